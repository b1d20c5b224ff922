"""The notebook runs, quickly and quietly, and shows tables and figures."""

from pathlib import Path

import nbformat
import pytest

from tests.notebooks import Output, forms, images, printed, run_notebook

NOTEBOOK = Path(__file__).parents[2] / "examples" / "first_study.ipynb"
pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow]


def code_cells() -> list[str]:
    return [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("first-study")


@pytest.fixture(scope="module")
def cells(folder: Path) -> dict[str, list[Output]]:
    """Source of every code cell -> its outputs."""
    return dict(zip(code_cells(), run_notebook(nbformat.read(NOTEBOOK, as_version=4), folder), strict=True))


def outputs(cells: dict[str, list[Output]], last_line: str) -> list[Output]:
    """Those of the cell that ends with a line."""
    (cell,) = [parts for source, parts in cells.items() if source.splitlines()[-1] == last_line]
    return cell


def test_no_outputs_are_kept_in_it() -> None:
    cells_with_outputs = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.get("outputs")]
    assert not cells_with_outputs, "jupyter nbconvert --clear-output --inplace examples/first_study.ipynb"


@pytest.mark.timeout(600)
def test_every_cell_runs_and_shows_what_it_returns(cells: dict[str, list[Output]]) -> None:
    for source, parts in cells.items():
        assert not [output["traceback"] for output in parts if output["output_type"] == "error"], source
        assert parts[-1]["output_type"] == "execute_result", source


def test_nothing_is_printed(cells: dict[str, list[Output]]) -> None:
    assert {source: text for source, parts in cells.items() if (text := printed(parts))} == {}


@pytest.mark.parametrize(("last_line", "progress"), [("with_dclf", "epoch 8/8"), ("study", "8 of 8 trials")])
def test_a_panel_stands_above_the_result(cells: dict[str, list[Output]], last_line: str, progress: str) -> None:
    panel, result = outputs(cells, last_line)
    assert panel["output_type"] == "display_data"
    for text in panel["data"].values():
        assert progress in text
    assert result["data"]["text/html"].startswith("<table>")


@pytest.mark.parametrize("last_line", ["comparison", "tune.list_runs()", 'tune.open_study("gammas")'])
def test_results_are_tables(cells: dict[str, list[Output]], last_line: str) -> None:
    (table,) = forms(outputs(cells, last_line), "text/html")
    assert table.startswith("<table>")
    assert table.count("<tr>") > 2


@pytest.mark.parametrize(
    "last_line",
    ['with_dclf.figures()["curves"]', 'with_dclf.figures()["confusion-test"]', 'study.figures()["history"]'],
)
def test_figures_show_themselves(cells: dict[str, list[Output]], last_line: str) -> None:
    (svg,) = forms(outputs(cells, last_line), "image/svg+xml")
    assert svg.rstrip().endswith("</svg>")


def test_all_figures_of_a_study_show_themselves_with_their_words(cells: dict[str, list[Output]]) -> None:
    (page,) = forms(outputs(cells, "study.figures()"), "text/html")
    assert len(images(page)) == page.count("<figcaption>") >= 3


def test_it_writes_where_it_says(cells: dict[str, list[Output]], folder: Path) -> None:
    assert cells
    assert {path.name for path in folder.iterdir()} == {"first-study", "dclf-runs", ".ipython"}
