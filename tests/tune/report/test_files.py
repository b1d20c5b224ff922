"""The report as files: what is in them, that all is escaped, that the HTML needs nothing else."""

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dclf.config import Config
from dclf.data import read_shards
from tests.tune.study.samples import BASE, add_trial, base_params, fill, new_folder, optuna_study
from tune.analysis.table import Table, latex_escape, latex_table, markdown_escape, markdown_table
from tune.report.facts import report_facts
from tune.report.files import ReportFiles, write_report
from tune.report.html import SCRIPTS
from tune.report.tables import domain_text, ended_early_table
from tune.study.dataset import dataset_note
from tune.study.folder import StudyFolder

NASTY = "</td><script>alert(1)</script> & 50% of $x_1$ | `tick` \\input{x} ~^#"


class Page(HTMLParser):
    """What stands in a page: its text, its tags, and every address it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.tags, self.links, self.ids = "", list[str](), list[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        self.text += data


def with_shards(shards: Path) -> Config:
    return replace(BASE, data=replace(BASE.data, shards=str(shards)))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, shards: Path) -> tuple[StudyFolder, ReportFiles]:
    folder = fill(new_folder(tmp_path_factory.mktemp("studies"), base=with_shards(shards), seeds=2), 40, seeds=2)
    return folder, write_report(folder, optuna_study(folder))


def test_everything_is_written(report: tuple[StudyFolder, ReportFiles]) -> None:
    folder, files = report
    assert files.folder == folder.path / "report"
    assert set(files.tables) == {"trials.csv", "top.tex", "comparison.tex"}
    assert len(files.figures) == 6
    paths = {path for path in files.folder.rglob("*") if path.is_file()}
    outputs = (*files.tables.values(), *files.figures.values(), *files.pictures.values())
    assert paths == {files.html, files.markdown, files.config, *outputs}


def test_tables_of_an_earlier_report_do_not_stay(tmp_path: Path) -> None:
    folder = fill(new_folder(tmp_path), 4)
    out = tmp_path / "report"
    out.mkdir()
    (out / "damage.tex").touch()
    files = write_report(folder, optuna_study(folder), out)
    assert {path.name for path in out.iterdir() if path.suffix in (".csv", ".tex")} == set(files.tables)


def test_the_page_needs_nothing_else(report: tuple[StudyFolder, ReportFiles]) -> None:
    page = Page(report[1].html.read_text(encoding="utf-8"))
    assert page.tags.count("svg") == 6
    assert not {"link", "iframe", "img"} & set(page.tags)
    assert page.tags.count("script") == len(SCRIPTS)
    assert [link for link in page.links if not link.startswith(("#", "data:"))] == []


def test_figures_on_one_page_do_not_share_ids(report: tuple[StudyFolder, ReportFiles]) -> None:
    page = Page(report[1].html.read_text(encoding="utf-8"))
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)


def test_generated_data_are_called_so(report: tuple[StudyFolder, ReportFiles]) -> None:
    for path in (report[1].html, report[1].markdown):
        text = path.read_text(encoding="utf-8")
        assert "Study gammas on generated-iemocap-small" in text
        assert "must not be reported as results on it" in text


def test_best_and_base_stand_side_by_side(report: tuple[StudyFolder, ReportFiles]) -> None:
    text = report[1].markdown.read_text(encoding="utf-8")
    assert re.search(r"Best is trial 28: validation WF1 \d\d\.\d\d ± \d\.\d\d %", text)
    assert re.search(r"The base configuration \(trial 0\) has .*: a gain of \d\.\d\d points", text)
    assert "| loss.window | 10 | 17 |" in text


def test_what_happened_is_told(report: tuple[StudyFolder, ReportFiles]) -> None:
    page = Page(report[1].html.read_text(encoding="utf-8"))
    for words in (
        "out of memory: 2.1 GiB asked for",
        "trials pruned",
        "1 waiting, 1 cut short, 24 complete",
        "trials cut short",
        "0.01 to 1, logarithmic; base configuration: 0.07",
        "dclf resume",
    ):
        assert words in page.text


def test_the_table_reads_back(report: tuple[StudyFolder, ReportFiles]) -> None:
    frame = pd.read_csv(report[1].tables["trials.csv"])
    assert len(frame) == 40
    assert frame["wf1"].max() == max(t.values[0] for t in report[0].ledger.trials.values() if t.state == "complete")


def test_figures_are_svg_files(report: tuple[StudyFolder, ReportFiles]) -> None:
    for path in report[1].figures.values():
        assert ET.parse(path).getroot().tag.endswith("svg")


def test_every_figure_is_a_png_for_print_too(report: tuple[StudyFolder, ReportFiles]) -> None:
    files = report[1]
    assert set(files.pictures) == set(files.figures)
    with Image.open(files.pictures["history"]) as image:
        assert image.format == "PNG"
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize(
    ("states", "title"),
    [
        (["failed"], "Trials that failed"),
        (["pruned"], "Trials that were pruned"),
        (["failed", "pruned"], "Trials that failed or were pruned"),
    ],
)
def test_the_table_of_ends_names_those_that_there_are(tmp_path: Path, states: list[str], title: str) -> None:
    folder = new_folder(tmp_path)
    assert ended_early_table(folder) is None
    for state in states:
        add_trial(folder, base_params(), state=state, reason="why")
    table = ended_early_table(folder)
    assert table is not None
    assert table.title == title


@pytest.mark.slow
def test_a_report_is_renewed_the_same(report: tuple[StudyFolder, ReportFiles]) -> None:
    folder, files = report
    before = {path: path.read_bytes() for path in files.folder.rglob("*") if path.is_file()}
    write_report(folder, optuna_study(folder))
    assert {path: path.read_bytes() for path in files.folder.rglob("*") if path.is_file()} == before


def test_what_is_no_longer_drawn_is_taken_away(folder: StudyFolder, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "figures").mkdir(parents=True)
    (out / "figures" / "pareto.svg").write_text("old")
    (out / "figures" / "pareto.png").write_text("old")
    (out / "best.yaml").write_text("old")
    files = write_report(folder, optuna_study(folder), out)
    assert files.config is None
    assert not list((out / "figures").iterdir())
    assert not (out / "best.yaml").exists()


def test_what_users_name_is_escaped(tmp_path: Path, shards: Path) -> None:
    folder = new_folder(tmp_path, base=with_shards(shards))
    add_trial(folder, base_params(), [[0.5]])
    add_trial(folder, {**base_params(), "loss.pairs": NASTY}, [[0.6]])
    add_trial(folder, base_params(), [], "failed", reason=NASTY)
    files = write_report(folder, optuna_study(new_folder(tmp_path, "empty")))
    page = Page(files.html.read_text(encoding="utf-8"))
    assert page.tags.count("script") == len(SCRIPTS), "the page's own"
    assert page.text.count(NASTY) >= 3
    markdown = files.markdown.read_text(encoding="utf-8")
    assert "<script" not in markdown.replace("\\<", "")
    latex = files.tables["top.tex"].read_text(encoding="utf-8")
    assert latex_escape(NASTY) in latex


@given(st.text())
def test_escapes_keep_a_cell_in_its_place(text: str) -> None:
    table = Table(title="t", head=("a", "b"), rows=((text, "1"),))
    assert len(markdown_table(table).split("\n")) == 3
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", markdown_table(table).split("\n")[2])) == 3
    assert re.search(r"(?<!\\)(?:\\\\)*[&%#]", latex_escape(text)) is None
    assert "\n" not in markdown_escape(text)


def test_latex_is_booktabs() -> None:
    table = Table(title="Best of a_b", head=("name", "WF1 (%)"), rows=(("x_1 & y", "68.00 ± 0.31"),))
    text = latex_table(table, "tab:a_b top")
    for line in (r"\toprule", r"\bottomrule", r"\caption{Best of a\_b.}", r"\label{tab:a-b-top}", r"\centering"):
        assert line in text
    assert r"x\_1 \& y & 68.00 $\pm$ 0.31 \\" in text
    assert r"\begin{tabular}{lr}" in text


def test_other_data_are_called_by_their_name(folder: StudyFolder, shards: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "renamed"
    shutil.copytree(shards, renamed)
    manifest = renamed / "manifest.json"
    text = manifest.read_text().replace("generated-iemocap-small", "meld")
    manifest.write_text(text)
    definition = replace(folder.definition, config=with_shards(renamed).to_dict())
    sentence = dataset_note(definition).sentence
    assert sentence.startswith("Generated dialogues that somebody calls meld"), "their provenance says so"
    manifest.write_text(text.replace('"importer": "generate"', '"importer": "test"'))
    assert dataset_note(definition).sentence.startswith("Dataset meld.")


def test_data_that_are_gone_or_changed_are_told(folder: StudyFolder, shards: Path) -> None:
    gone = dataset_note(folder.definition)
    assert gone.name == "unknown"
    assert "shards/demo" in gone.warning
    same = replace(folder.definition, config=with_shards(shards).to_dict())
    assert "changed" in dataset_note(same).warning
    twin = replace(same, shards_sha256=read_shards(shards).manifest.sha256)
    assert dataset_note(twin).warning == ""


@pytest.mark.parametrize(
    ("trials", "words"),
    [
        ([], "No trial is complete yet."),
        ([({"loss.window": 3}, "complete")], "was not tried"),
        ([({"loss.window": 10}, "complete"), ({"loss.window": 3}, "failed")], "no trial was better"),
        ([({"loss.window": 10}, "failed"), ({"loss.window": 3}, "complete")], "own trial (0) is failed"),
    ],
)
def test_a_gain_is_only_stated_where_there_is_one(
    folder: StudyFolder, trials: list[tuple[dict[str, int], str]], words: str
) -> None:
    for params, state in trials:
        add_trial(folder, params, [[0.5]] if state == "complete" else [], state)
    result = " ".join(report_facts(folder, "best.yaml").result)
    assert words in result
    assert "gain of" not in result


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        ({"low": 1, "high": 20, "log": True, "int": True}, "1 to 20, logarithmic"),
        ({"low": 0.0, "high": 1.0, "step": 0.25}, "0 to 1, in steps of 0.25"),
        (
            {"choices": [["text"], ["text", "audio"]], "when": {"model.name": "ddin"}},
            "text, text + audio; only where model.name is ddin",
        ),
        (
            {"choices": [1, 2], "when": {"model.name": ["dag_erc", "mm_dfn"], "data.modalities": [["text", "audio"]]}},
            "1, 2; only where model.name is dag_erc or mm_dfn and data.modalities is text + audio",
        ),
    ],
)
def test_domains_in_words(domain: dict[str, object], text: str) -> None:
    assert domain_text(domain) == text
