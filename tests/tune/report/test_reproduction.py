"""The page of several studies: each laid out as the paper does, the data named, nothing confirmed on invented data."""

import csv
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import dropwhile, takewhile
from pathlib import Path

import pytest

from tests.paper_data import write_like_paper
from tests.tune.analysis.comparison.studies import (
    ablation_study,
    comparison,
    gamma_study,
    planned_main,
    preset,
    window_study,
    with_paper,
)
from tune.analysis.comparison.verdicts import Verdict
from tune.analysis.table import Table
from tune.comparisons import ablation
from tune.report.reproduction import ReproductionFiles, write_reproduction
from tune.report.verdict_table import verdict_table
from tune.study.folder import StudyFolder

MISSING = {"Table 1": "not asked for (--only)"}


def planned(folder: StudyFolder, paper: str, layout: str) -> StudyFolder:
    folder.definition = replace(folder.definition, plan={"paper": paper, "title": "What it asks", "layout": layout})
    return folder


def studies(storage: Path, shards: Path) -> list[StudyFolder]:
    base = with_paper(shards)
    return [
        planned_main(storage, preset("iemocap", shards)),
        planned(ablation_study(storage, base), "Table 4", "variants"),
        planned(window_study(storage, base), "Table 5", "window"),
        planned(gamma_study(storage, base), "Figure 4", "gammas"),
    ]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory, shards: Path) -> ReproductionFiles:
    place = tmp_path_factory.mktemp("reproduction")
    return write_reproduction(studies(place, shards), MISSING, place / "page", "All tables, measured", ["Mind this."])


def test_tables_of_no_study_come_last_and_are_files_too(tmp_path: Path, shards: Path) -> None:
    further = {"others": Table(title="The others", head=("who", "why"), rows=(("they", "a & b"),), note="Mind.")}
    folder = planned(ablation_study(tmp_path, with_paper(shards)), "Table 4", "variants")
    files = write_reproduction([folder], {}, tmp_path / "page", "One table", further=further)
    page = files.html.read_text()
    assert page.index('<h2 id="others">The others</h2>') > page.index('<h2 id="table-4">')
    assert "a &amp; b" in page
    assert "## The others" in files.markdown.read_text()
    assert {"others.csv", "others.tex"} <= {*files.tables}


class Headings(HTMLParser):
    """Headings, their anchors, links within the page, and all ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found, self.links, self.ids, self._in = list[str](), list[str](), list[str](), ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in = tag
        self.links += [str(value)[1:] for name, value in attrs if name == "href" and str(value).startswith("#")]
        self.ids += [str(value) for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        if self._in in ("h1", "h2", "h3"):
            self.found.append(data.strip())
            self._in = ""


def test_the_page_follows_the_paper(generated: ReproductionFiles) -> None:
    page = Headings(generated.html.read_text(encoding="utf-8"))
    assert page.found == [
        "All tables, measured on generated-iemocap-small",
        "What agrees in sign with the paper and what does not",
        "What to know first",
        "What was run",
        "Table 3: Base models without and with DCLF",
        "Table 3",
        "Figure 3",
        "Table 7",
        "Table 4: What it asks",
        "Table 5: What it asks",
        "Figure 4: What it asks",
    ]
    assert set(page.links) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_everything_lies_beside_it(generated: ReproductionFiles) -> None:
    assert set(generated.pictures) == {"table-3-labels", "table-5-window", "figure-4-gammas"}
    assert set(generated.figures) == set(generated.pictures)
    names = {"table-3-main", "table-3-f1", "table-3-accuracy", "table-3-shifts", "table-4-variants"}
    names |= {"table-5-window", "table-5-variants", "figure-4-gammas"}
    scores = {f"{slug}-scores.csv" for slug in ("table-3", "table-4", "table-5", "figure-4")}
    assert set(generated.tables) == {f"{name}.{kind}" for name in names for kind in ("csv", "tex")} | scores
    paths = {path for path in generated.folder.rglob("*") if path.is_file()}
    outputs = (*generated.tables.values(), *generated.figures.values(), *generated.pictures.values())
    assert paths == {generated.html, generated.markdown, *outputs}


def test_generated_data_are_never_presented_as_the_papers(generated: ReproductionFiles) -> None:
    for path in (generated.html, generated.markdown):
        text = path.read_text(encoding="utf-8")
        assert text.count("must not be reported as results on it") == 1, "once for all studies"
        assert "confirmed" not in text
        assert "contradicted" not in text
    assert "The data are generated" in " ".join(generated.sentences)
    assert "Mind this." in generated.sentences


def test_findings_are_listed_by_the_table_that_has_them(generated: ReproductionFiles) -> None:
    findings = [line for line in generated.sentences if line.startswith("Table")]
    assert "Table 3, the paper's sign, significant (2): ddin, DCLF; mmgcn, DCLF." in findings
    assert any(line.startswith("Table 7, the paper's sign") for line in findings)
    assert "Table 4, not tested (1): mmgcn, w/o MCCL." in findings


def rows_of(markdown: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    lines = markdown[markdown.index(heading) :].splitlines()
    table = list(dropwhile(lambda line: not line.startswith("|"), lines))
    cells = [line.strip("| ").split(" | ") for line in takewhile(lambda line: line.startswith("|"), table)]
    return [[cell.replace("\\", "") for cell in row] for row in cells[2:]]


def test_the_page_begins_with_every_finding_its_numbers_and_a_verdict(generated: ReproductionFiles) -> None:
    text = generated.markdown.read_text(encoding="utf-8")
    rows = {(row[0], row[1]): row[2:] for row in rows_of(text, "## What agrees")}
    agrees = "✓ agrees: the paper's sign, significant"
    assert rows["Table 4", "mmgcn, w/o CACL against DCLF"] == ["-2.12", "-3.00", "[-5.48, -0.52]", agrees]
    untested = ["-4.05", "+1.00", "not measured", "– undecided: not tested"]
    assert rows["Table 4", "mmgcn, w/o MCCL against DCLF"] == untested
    assert rows["Table 5", "mmgcn, best window"][:3] == ["W 4", "W 8", "not measured"]
    assert rows["Table 7", "ddin, emotion shift against base"][3] == agrees
    assert rows["Table 1", "all of it"] == ["–", "not measured", "not measured", "– undecided: not asked for (--only)"]
    assert "paper (other data)" in text
    page = generated.html.read_text(encoding="utf-8")
    assert page.index("<table") < page.index("-5.48") < page.index("Mind this.")
    assert re.search('<td class="number good"[^>]*>✓ agrees', page)


@pytest.mark.parametrize(
    ("outcome", "cell"),
    [
        ("contradicted", "✗ disagrees: contradicted"),
        ("not confirmed", "– undecided: not confirmed"),
        ("not the paper's sign, significant", "✗ disagrees: not the paper's sign, significant"),
        ("the same direction, but not significant", "– undecided: the same direction, but not significant"),
    ],
)
def test_only_what_is_significant_agrees_or_disagrees(outcome: str, cell: str) -> None:
    verdict = Verdict(
        about="a", sentence="", outcome=outcome, finding="a against b", published="+1.00", measured="0.00"
    )
    (row,) = verdict_table([("Table 4", [verdict])], {}, "").rows
    assert row == ("Table 4", "a against b", "+1.00", "0.00", "not measured", cell)


def test_the_papers_own_data_confirm_or_not(tmp_path: Path) -> None:
    own = write_like_paper(tmp_path / "own")
    files = write_reproduction(studies(tmp_path, own), {}, tmp_path / "page", "All tables")
    page = Headings(files.html.read_text(encoding="utf-8"))
    assert page.found[:2] == ["All tables on iemocap", "What is confirmed and what is not"]
    assert "Table 4, confirmed (2): mmgcn, w/o CACL; mmgcn, base model." in files.sentences
    assert "Table 4, not tested (1): mmgcn, w/o MCCL." in files.sentences


def test_what_was_run_and_what_was_not_is_told(generated: ReproductionFiles) -> None:
    text = generated.markdown.read_text(encoding="utf-8")
    assert "- Table 1: not asked for (--only)." in text
    assert generated.missing == MISSING
    assert re.search(r"\| Table 3 \| main \| 0 to 4 \| 60 \| 4 of 4 \|", text)
    assert re.search(r"\| Table 4 \| parts \| 0 to 2 \| 12 \| 4 of 6 \|", text)
    assert "Interrupted; 4 of 6 trials ended" in text
    assert text.count("Versions: dclf 0.1.0.") == 1


def test_tables_are_printed_and_full_scores_kept(generated: ReproductionFiles) -> None:
    printed = list(csv.reader(generated.tables["table-5-window.csv"].read_text(encoding="utf-8").splitlines()))
    assert printed[1] == ["mmgcn", "measured", "60.50 ± 0.71", "62.50 ± 0.71", "64.50 ± 0.71"]
    assert printed[2] == ["", "paper (other data)", "70.29", "71.05", "–"]
    full = list(csv.DictReader(generated.tables["table-5-scores.csv"].read_text(encoding="utf-8").splitlines()))
    assert [float(row["test/wf1"]) for row in full[:2]] == [0.60, 0.61]
    assert r"\begin{table*}" in generated.tables["table-3-main.tex"].read_text(encoding="utf-8")


@pytest.mark.slow
def test_it_is_written_over_an_earlier_one_with_nothing_left_behind(tmp_path: Path, shards: Path) -> None:
    many = studies(tmp_path, shards)
    out = tmp_path / "page"
    first = write_reproduction(many, {}, out, "All")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert write_reproduction(many, {}, out, "All") == first
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    less = write_reproduction(many[:1], {}, out, "All")
    assert {path.stem for path in (out / "figures").iterdir()} == set(less.figures) == {"table-3-labels"}
    tables = {path.name for path in out.iterdir() if path.suffix in (".csv", ".tex")}
    assert tables == set(less.tables) < set(first.tables)


def test_files_that_are_not_the_page_s_stay(tmp_path: Path, shards: Path) -> None:
    out = tmp_path / "page"
    own = ["mine.tex", "table-of-mine.tex", "parts-variants.csv"]
    out.mkdir()
    for name in own:
        (out / name).touch()
    (out / "table-1-variants.tex").touch()
    write_reproduction(studies(tmp_path, shards)[1:2], {}, out, "One")
    assert {name for name in own if (out / name).exists()} == set(own)
    assert not (out / "table-1-variants.tex").exists()


def test_the_epochs_of_presets_that_differ_are_a_range(tmp_path: Path, shards: Path) -> None:
    one, other, *rest = planned_main(tmp_path, preset("iemocap", shards)).definition.variants
    others = [{**other, "params": {**other["params"], "train.epochs": epochs}} for epochs in (150, 20, 100)]
    folder = planned_main(tmp_path / "again", preset("iemocap", shards))
    folder.definition = replace(folder.definition, variants=[one, *others, *rest])
    files = write_reproduction([folder], {}, tmp_path / "page", "One")
    assert re.search(r"\| Table 3 \| main \| .* \| 20 to 150 \|", files.markdown.read_text(encoding="utf-8"))


def test_a_page_without_results_says_so(tmp_path: Path, shards: Path) -> None:
    waiting = planned(comparison(tmp_path, ablation(seeds=2), with_paper(shards)), "Table 4", "variants")
    files = write_reproduction([waiting], {"Table 3": "not run yet"}, tmp_path / "page", "All")
    text = files.markdown.read_text(encoding="utf-8")
    assert "Nothing has been tested yet" in text
    assert "Not started" in text
    assert write_reproduction([], {"Table 3": "not run yet"}, tmp_path / "none", "All").html.exists()
