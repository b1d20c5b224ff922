"""The figures of a page answer to pointer and keys, zoom, and can be saved; in both of the page's themes."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

from tests.requirements import chromium
from tests.tune.study.samples import fill, new_folder, optuna_study
from tune.report.files import write_report

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = fill(new_folder(tmp_path_factory.mktemp("studies")), 40)
    return write_report(folder, optuna_study(folder)).html


@pytest.fixture(scope="module")
def page(report: Path) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        yield page
        browser.close()
        assert errors == []


@pytest.fixture
def history(page: Page, report: Path) -> Locator:
    """The first figure of a fresh page."""
    page.set_viewport_size({"width": 1000, "height": 900})
    page.goto(report.as_uri())
    figure = page.locator('figure[data-name="history"]')
    figure.scroll_into_view_if_needed()
    return figure


def marks_of(figure: Locator) -> list[tuple[float, float, str]]:
    return figure.evaluate("figure => JSON.parse(figure.dataset.marks)")  # type: ignore[no-any-return]


def on_screen(figure: Locator, x: float, y: float) -> tuple[float, float]:
    """Where a place of the SVG is on the screen: its view box fills its box, both of one shape."""
    box = figure.locator("svg").bounding_box()
    assert box is not None
    left, top, width, height = view_of(figure)
    return box["x"] + (x - left) / width * box["width"], box["y"] + (y - top) / height * box["height"]


def view_of(figure: Locator) -> list[float]:
    return [float(part) for part in str(figure.locator("svg").get_attribute("viewBox")).split()]


def test_the_point_under_the_pointer_is_named_and_ringed(page: Page, history: Locator) -> None:
    label, ring = history.get_by_role("status"), history.locator(".figure-ring")
    assert not label.is_visible()
    x, y, text = next(mark for mark in marks_of(history) if mark[2].startswith("best, trial"))
    at = on_screen(history, x, y)
    page.mouse.move(at[0] + 3, at[1] - 2)
    assert label.is_visible()
    assert label.inner_text() == text
    assert [float(str(ring.get_attribute(name))) for name in ("cx", "cy")] == [x, y]
    box, frame = label.bounding_box(), history.bounding_box()
    assert box is not None
    assert frame is not None
    assert frame["x"] <= box["x"] < box["x"] + box["width"] <= frame["x"] + frame["width"]
    page.mouse.move(5, 5)
    assert not label.is_visible()
    assert ring.get_attribute("visibility") == "hidden"


def test_the_name_of_a_point_stays_inside_a_narrow_figure(page: Page, history: Locator) -> None:
    page.set_viewport_size({"width": 500, "height": 900})
    history.scroll_into_view_if_needed()
    x, y, _ = max(marks_of(history))
    page.mouse.move(*on_screen(history, x, y))
    box, frame = history.get_by_role("status").bounding_box(), history.bounding_box()
    assert box is not None
    assert frame is not None
    assert frame["x"] <= box["x"] < box["x"] + box["width"] <= frame["x"] + frame["width"]
    assert box["height"] < 60, "in one line or two"


def test_where_nothing_is_near_nothing_is_named(page: Page, history: Locator) -> None:
    width, height = view_of(history)[2:]
    page.mouse.move(*on_screen(history, width - 2, height - 2))
    assert not history.get_by_role("status").is_visible()


def test_buttons_zoom_and_reset(history: Locator) -> None:
    whole = view_of(history)
    history.get_by_label("Zoom in").click()
    once = view_of(history)
    assert once[2] == pytest.approx(whole[2] / 1.5)
    assert [once[0] + once[2] / 2, once[1] + once[3] / 2] == pytest.approx([whole[2] / 2, whole[3] / 2])
    history.get_by_label("Zoom out").click()
    assert view_of(history) == pytest.approx(whole)
    history.get_by_label("Zoom in").click()
    history.get_by_label("Show the whole figure").click()
    assert view_of(history) == pytest.approx(whole)


def wheel(figure: Locator, at: tuple[float, float], *, ctrl: bool) -> bool:
    """Turn the wheel forwards over a place; whether that is left to the page, which scrolls by it."""
    turn = """(box, [x, y, ctrlKey]) => box.dispatchEvent(
        new WheelEvent("wheel", { clientX: x, clientY: y, ctrlKey, deltaY: -300, bubbles: true, cancelable: true }))"""
    return bool(figure.locator(".figure-box").evaluate(turn, [*at, ctrl]))


def test_ctrl_and_the_wheel_zoom_around_the_pointer_and_dragging_pans(page: Page, history: Locator) -> None:
    whole = view_of(history)
    x, y, text = marks_of(history)[0]
    at = on_screen(history, x, y)
    page.mouse.move(*at)
    assert wheel(history, at, ctrl=False), "the wheel alone scrolls the page"
    assert view_of(history) == whole
    assert not wheel(history, at, ctrl=True)
    before = view_of(history)
    assert before[2] < whole[2]
    assert on_screen(history, x, y) == pytest.approx(at, abs=3), "what was under the pointer still is"
    assert history.get_by_role("status").inner_text() == text
    page.mouse.down()
    page.mouse.move(at[0] + 20, at[1] - 20)
    page.mouse.up()
    after = view_of(history)
    assert after[2:] == pytest.approx(before[2:])
    assert on_screen(history, x, y) == pytest.approx((at[0] + 20, at[1] - 20), abs=3), "it goes with the pointer"
    page.mouse.move(at[0] - 60, at[1] - 60)
    assert view_of(history) == after, "once let go, it stays"


def test_arrow_keys_walk_from_point_to_point(page: Page, history: Locator) -> None:
    history.locator(".figure-box").focus()
    label = history.get_by_role("status")
    walked = []
    for _ in range(4):
        page.keyboard.press("ArrowRight")
        walked.append(label.inner_text())
    in_order = [text for *_, text in sorted(marks_of(history), key=lambda mark: (mark[0], mark[1]))]
    assert walked == in_order[:4]
    page.keyboard.press("ArrowLeft")
    assert label.inner_text() == in_order[2]
    page.keyboard.press("Escape")
    assert not label.is_visible()
    page.keyboard.press("ArrowUp")
    assert label.inner_text() == max(marks_of(history), key=lambda mark: (mark[1], mark[0]))[2]
    page.keyboard.press("+")
    assert view_of(history)[2] < 252
    page.keyboard.press("0")
    assert view_of(history)[2] == pytest.approx(252)


@pytest.mark.parametrize("width", [500, 1000, 1600])
def test_no_type_is_below_eleven_pixels(page: Page, report: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(report.as_uri())
    sizes = page.locator("figure svg text").evaluate_all(
        """texts => texts.map(text => {
             const matrix = text.getScreenCTM();
             return parseFloat(getComputedStyle(text).fontSize) * Math.hypot(matrix.a, matrix.b);
           })"""
    )
    assert len(sizes) > 50
    assert min(sizes) >= 11
    inside = "figures => figures.every(one => one.getBoundingClientRect().right <= innerWidth)"
    assert page.locator("figure").evaluate_all(inside), "wide ones scroll in their own box"


def test_figures_are_saved_black_on_white_whatever_the_page_shows(page: Page, history: Locator, tmp_path: Path) -> None:
    page.add_style_tag(content=":root { --ink: #eeeeee; --paper: #101010; --grid: #444444; }")
    history.get_by_label("Zoom in").click()
    with page.expect_download() as download:
        history.get_by_label("Save as SVG").click()
    assert download.value.suggested_filename == "history.svg"
    download.value.save_as(tmp_path / "history.svg")
    root = ET.parse(tmp_path / "history.svg").getroot()
    text = (tmp_path / "history.svg").read_text(encoding="utf-8")
    assert root.get("width") == "252pt"
    assert str(root.get("viewBox")).startswith("0 0 252 ")
    assert "var(" not in text
    assert "figure-ring" not in text
    with page.expect_download() as download:
        history.get_by_label("Save as PNG").click()
    download.value.save_as(tmp_path / "history.png")
    with Image.open(tmp_path / "history.png") as image:
        assert image.width == 1050
        assert image.convert("RGB").getpixel((2, 2)) == (255, 255, 255)


def test_the_page_may_be_dark(page: Page, history: Locator) -> None:
    page.add_style_tag(content=":root { --ink: #eeeeee; --paper: #101010; --grid: #444444; }")
    colours = history.locator("svg text").evaluate_all("texts => texts.map(text => getComputedStyle(text).fill)")
    assert set(colours) == {"rgb(238, 238, 238)"}
    assert history.locator("#history-patch_1 path").evaluate("one => getComputedStyle(one).fill") == "rgb(16, 16, 16)"


def test_without_scripts_the_figures_are_there(page: Page, report: Path) -> None:
    browser = page.context.browser
    assert browser is not None
    plain = browser.new_page(java_script_enabled=False)
    plain.goto(report.as_uri())
    assert plain.locator("figure svg").count() == 6
    assert plain.locator(".figure-tools").count() == 0
    plain.close()
