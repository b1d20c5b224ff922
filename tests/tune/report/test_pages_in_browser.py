"""Every kind of page as a browser shows it: at three widths, light and dark, by pointer and by keyboard."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.requirements import chromium
from tests.tune.analysis.comparison.studies import (
    ablation_study,
    add_perturbed,
    comparison,
    leaderboard,
    model_scores,
    planned_main,
    preset,
    with_paper,
)
from tests.tune.report.test_reproduction import MISSING, studies
from tests.tune.study.samples import BASE, fill, new_folder, optuna_study
from tune.analysis.perturbation.files import REQUEST, split_folder, write_scores
from tune.analysis.perturbation.scores import ConditionScore
from tune.analysis.perturbation.study import StudyTarget
from tune.comparisons import ablation
from tune.config.local_files import save_text
from tune.report.files import write_report
from tune.report.perturbation_page import write_test_page
from tune.report.reproduction import write_reproduction

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Scheme = Literal["light", "dark"]
WIDTHS = (500, 1400, 2500)
KINDS = ("search", "front", "comparison", "leaderboard", "reproduction", "perturbation")
SMALLEST = 11
PAPER_WIDTH = 718
"""Pixels between the margins of an A4 page."""
SMALL_TEXT = """
() => {
  const sizes = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility() || element.closest("script, defs")) continue;
    const matrix = element instanceof SVGElement ? element.getScreenCTM() : null;
    const size = parseFloat(getComputedStyle(element).fontSize) * (matrix ? Math.hypot(matrix.a, matrix.b) : 1);
    sizes.push([size, texts.currentNode.data.trim()]);
  }
  return sizes.sort((a, b) => a[0] - b[0]).slice(0, 3);
}
"""
ACROSS = """
() => Math.max(...[...document.querySelectorAll(".flow")].map((flow) => {
  const tops = [...flow.children].map((block) => Math.round(block.getBoundingClientRect().top));
  return Math.max(...tops.map((top) => tops.filter((other) => other === top).length));
}))
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, shards: Path) -> dict[str, Path]:
    """Kind of page -> its file."""
    place = tmp_path_factory.mktemp("pages")
    none, iemocap = comparison(place, ablation(), name="none"), preset("iemocap", shards)
    search = fill(new_folder(place, seeds=3), 24, seeds=3)
    objectives = {"wf1": "maximize", "eics/wf1": "maximize"}
    front = fill(new_folder(place, name="front", objectives=objectives), 24)
    perturbed = planned_main(place / "perturbed", iemocap, seeds=3)
    for number, drop in enumerate((0.20, 0.10, 0.15, 0.08)):
        add_perturbed(perturbed, number, [{"raw": 0.7, "eccs": 0.69, "eics": 0.7 - drop}] * 3)
    board = leaderboard(place / "board", iemocap, ("mmgcn", "ddin", "mm_dfn", "aghmn"))
    reports = {
        "search": write_report(search, optuna_study(search)),
        "front": write_report(front, optuna_study(front)),
        "comparison": write_report(perturbed, optuna_study(none)),
        "leaderboard": write_report(board, optuna_study(none)),
    }
    written = write_reproduction(studies(place / "paper", shards), MISSING, place / "page", "All tables, measured")
    return {
        **{name: report.html for name, report in reports.items()},
        "reproduction": written.html,
        "perturbation": damaged_page(place, shards),
    }


def damaged_page(place: Path, shards: Path) -> Path:
    """The page of a test with substitutions and two damages of one training."""
    study = ablation_study(place / "damaged", with_paper(shards, BASE))
    request = {"settings": {"seed": 0, "draws": 3, "corruptions": [{"seed": 0}]}}
    save_text(split_folder(study, "test") / REQUEST, json.dumps(request))
    substituted = [ConditionScore(kind=kind, values=(0.65, 0.66, 0.64), raw=0.7) for kind in ("eccs", "eics")]
    damaged = [
        ConditionScore(kind=kind, modality="text", share=share, values=(0.7 - 0.2 * share,), raw=0.7)
        for kind in ("missing", "noise")
        for share in (0.1, 0.3, 0.5, 0.7, 0.9)
    ]
    write_scores(model_scores(study, 0, 0, request, (*substituted, *damaged)))
    target = StudyTarget(study, place / "perturbations")
    scores = target.perturbations("test")
    assert scores is not None
    return write_test_page(target, scores)[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium that is installed."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield running
        running.close()


def open_page(browser: Browser, file: Path, width: int = 1400, scheme: Scheme = "light", **more: Any) -> Page:
    """A page whose scripts have run; what they say on the console is an error of the test."""
    page = browser.new_page(viewport={"width": width, "height": 1200}, color_scheme=scheme, **more)
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(file.as_uri())
    assert not messages
    return page


@pytest.mark.parametrize("kind", KINDS)
def test_figures_are_whole_on_paper_and_black_on_white(browser: Browser, pages: dict[str, Path], kind: str) -> None:
    page = open_page(browser, pages[kind], width=PAPER_WIDTH, scheme="dark")
    page.emulate_media(media="print")
    figures = page.evaluate(
        """() => [...document.querySelectorAll(".figure-box svg")].map((svg) => svg.getBoundingClientRect().right)"""
    )
    assert figures
    assert max(figures) <= PAPER_WIDTH
    colours = page.evaluate(
        """() => ["--ink", "--paper", "--line-0"].map(
          (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim())"""
    )
    assert colours == ["#000", "#ffffff", ""]


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_fits_and_can_be_read_at_every_width_in_light_and_dark(
    browser: Browser, pages: dict[str, Path], kind: str
) -> None:
    schemes: tuple[Scheme, ...] = ("light", "dark")
    for scheme in schemes:
        page = open_page(browser, pages[kind], scheme=scheme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 1200})
            where = f"{kind} at {width}, {scheme}"
            wide = page.evaluate("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)")
            assert wide <= width, where
            small = page.evaluate(SMALL_TEXT)
            assert small[0][0] >= SMALLEST, f"{where}: {small}"
            violations = [
                f"{one['id']} ({one['impact']}): {[node['target'] for node in one['nodes']][:3]}"
                for one in Axe().run(page).response["violations"]
                if one["impact"] in ("serious", "critical")
            ]
            assert not violations, f"{where}: {violations}"
        page.close()


@pytest.mark.parametrize("kind", KINDS)
def test_figures_stand_beside_text_where_there_is_room(browser: Browser, pages: dict[str, Path], kind: str) -> None:
    page = open_page(browser, pages[kind])
    across = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 1200})
        across[width] = page.evaluate(ACROSS)
    page.close()
    assert across[500] == 1
    assert across[2500] > 1


def test_the_dark_is_dark(browser: Browser, pages: dict[str, Path]) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    light, dark = open_page(browser, pages["search"]), open_page(browser, pages["search"], scheme="dark")
    assert light.evaluate(colour) == "rgb(255, 255, 255)"
    assert max(map(int, dark.evaluate(colour)[4:-1].split(","))) < 40
    light.close()
    dark.close()


def column(page: Page, title: str, head: str) -> list[str]:
    """The visible cells of a column, from above."""
    table = page.get_by_role("region", name=title).locator("table")
    place = [text.strip() for text in table.locator("th").all_inner_texts()].index(head)
    rows = [row for row in table.locator("tbody tr").all() if row.is_visible()]
    return [row.locator("td").nth(place).inner_text() for row in rows]


def test_a_table_is_sorted_by_click_and_by_keyboard(browser: Browser, pages: dict[str, Path]) -> None:
    page, title = open_page(browser, pages["leaderboard"]), "Leaderboard"
    head = page.get_by_role("region", name=title).get_by_role("columnheader", name="difference")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    *numbers, _, _, _, last = column(page, title, "difference")
    assert [float(text) for text in numbers] == sorted(map(float, numbers), reverse=True)
    assert last == "–", "what is not there comes last"
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, title, "difference")[:4] == numbers[::-1]
    p = page.get_by_role("region", name=title).locator("th").filter(has_text=re.compile("^p$"))
    p.get_by_role("button").press("Space")
    p.get_by_role("button").press("Space")
    assert (p.get_attribute("aria-sort"), head.get_attribute("aria-sort")) == ("ascending", None)
    values = [float(text.removeprefix("< ")) for text in column(page, title, "p") if text != "–"]
    assert values == sorted(values)
    assert column(page, title, "p")[0].startswith("<")
    page.close()


def test_means_are_sorted_as_numbers_and_words_as_words(browser: Browser, pages: dict[str, Path]) -> None:
    page, title = open_page(browser, pages["search"]), "Best trials"
    table = page.get_by_role("region", name=title)
    for head, numeric in (("validation WF1 (%)", True), ("pairs", False)):
        table.get_by_role("button", name=head).click()
        cells = column(page, title, head)
        if numeric:
            means = [float(cell.split(" ± ")[0]) for cell in cells]
            assert means == sorted(means, reverse=True)
        else:
            assert cells == sorted(cells)
    page.close()


def test_rows_that_belong_together_stay_together(browser: Browser, pages: dict[str, Path]) -> None:
    page, title = open_page(browser, pages["comparison"]), "F1 (%) per class"
    page.get_by_role("region", name=title).get_by_role("button", name="happy").click()
    models, methods = column(page, title, "model"), column(page, title, "method")
    assert [model == "" for model in models] == [method.startswith("paper") for method in methods]
    assert models[0] != ""
    page.close()


def test_a_long_table_is_filtered_by_words(browser: Browser, pages: dict[str, Path]) -> None:
    page = open_page(browser, pages["leaderboard"])
    board = page.locator(".block", has=page.get_by_role("region", name="Leaderboard"))
    expect(board.get_by_role("status")).to_have_text("8 of 8 rows")
    board.get_by_role("searchbox", name="Filter rows").press_sequentially("dclf mm")
    expect(board.get_by_role("status")).to_have_text("2 of 8 rows")
    assert column(page, "Leaderboard", "model") == ["mmgcn", "mm_dfn"]
    board.get_by_role("searchbox").fill("")
    expect(board.get_by_role("status")).to_have_text("8 of 8 rows")
    page.close()


def test_without_scripts_everything_is_there(browser: Browser, pages: dict[str, Path]) -> None:
    page = open_page(browser, pages["leaderboard"], java_script_enabled=False)
    expect(page.locator("button, input")).to_have_count(0)
    expect(page.get_by_role("region", name="Leaderboard").locator("tbody tr")).to_have_count(8)
    page.close()


def test_a_verdict_has_sign_words_and_colour(browser: Browser, pages: dict[str, Path]) -> None:
    page = open_page(browser, pages["reproduction"])
    table = page.locator("table").first
    heads = table.locator("th").all_inner_texts()
    assert heads[1:] == ["finding", "paper (other data)", "measured", "95 % interval", "agrees or not"]
    agrees, missing = table.locator("td", has_text="✓ agrees").first, table.locator("tr", has_text="Table 1").last
    colour = "element => getComputedStyle(element).color"
    assert agrees.evaluate(colour) != missing.locator("td").last.evaluate(colour)
    expect(missing.locator("td").last).to_have_text("– undecided: not asked for (--only)")
    page.close()
