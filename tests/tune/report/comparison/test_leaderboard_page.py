"""A leaderboard's page begins with one table of everything; the policy of a page allows its own scripts alone."""

import base64
import hashlib
import re
from pathlib import Path

import pytest

from tests.tune.analysis.comparison.studies import ablation_study, comparison, leaderboard, preset, with_paper
from tests.tune.study.samples import optuna_study
from tune.comparisons import ablation
from tune.report.comparison.figures import comparison_figures
from tune.report.files import ReportFiles, write_report
from tune.report.html import SCRIPTS

SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]*)"')


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, shards: Path) -> ReportFiles:
    place = tmp_path_factory.mktemp("board")
    folder = leaderboard(place, preset("iemocap", shards))
    return write_report(folder, optuna_study(comparison(place, ablation(), name="none")), place / "report")


def test_the_policy_allows_the_pages_scripts_and_no_others(report: ReportFiles) -> None:
    page = report.html.read_text()
    scripts = SCRIPT.findall(page)
    assert len(scripts) == len(SCRIPTS)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    (policy,) = POLICY.findall(page)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    assert policy.endswith(f"; script-src {allowed}")
    assert "src=" not in page
    assert page.index('class="sortable"') < page.index("mm_dfn, DCLF: +"), "the table comes before the sentences"


def test_its_parts_are_files_and_not_on_the_page_twice(report: ReportFiles) -> None:
    page = report.html.read_text()
    assert "What the models of board cost" not in page
    assert "EICS drop vs base" in page, "what the board has no column for is there"
    assert "Hu et al., 2022" in page
    assert "F1 (%) per class on the test split of study board" in page, "with the paper's rows"
    assert {"leaderboard.csv", "leaderboard.tex", "f1.tex", "costs.tex", "published.tex"} <= {*report.tables}
    assert "\\toprule" in report.tables["published.tex"].read_text()


def test_bars_of_many_base_models_are_not_drawn(tmp_path: Path, shards: Path) -> None:
    base = preset("iemocap", shards)
    assert "labels" in comparison_figures(leaderboard(tmp_path / "few", base, ("mmgcn", "ddin")))
    many = ("mmgcn", "ddin", "aghmn", "dialogue_rnn", "mm_dfn")
    assert "labels" not in comparison_figures(leaderboard(tmp_path / "many", base, many))


def test_a_study_of_another_kind_has_no_board(tmp_path: Path, shards: Path) -> None:
    folder = ablation_study(tmp_path, with_paper(shards))
    files = write_report(folder, optuna_study(comparison(tmp_path, ablation(), name="none")), tmp_path / "report")
    assert "leaderboard.csv" not in files.tables
