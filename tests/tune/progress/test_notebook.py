"""What a cell of a notebook shows of work that goes on in it, by a kernel of its own."""

from pathlib import Path

import pytest

from tests.notebooks import Output, forms, notebook, printed, run_notebook

SETUP = """
import logging
import threading
from pathlib import Path

from dclf.config import Config
from tests.tune.progress.reports import epoch_report
from tests.tune.study.samples import new_folder
from tune.config.yaml_files import ConfigError
from tune.progress.interactive import listening
from tune.progress.notebook import CellOutput
from tune.study.events import EpochEnded, RunStarted, StudyStarted, send

EPOCHS = [EpochEnded(epoch_report(1, 0.5, (1, 0.5))), EpochEnded(epoch_report(2, 0.6, (1, 0.625)))]
STARTED = RunStarted(Config(), [], "bold", "3f2a")
"""
RUN = """
with listening(None) as audience:
    send(STARTED, audience)
    logging.getLogger("tune").warning("<b>few</b>")
    for epoch in EPOCHS:
        send(epoch, audience)
"""
INTERRUPTED = """
with listening(None) as audience:
    send(STARTED, audience)
    raise KeyboardInterrupt
"""
FAILED_STUDY = """
with listening(None) as audience:
    send(StudyStarted(new_folder(Path("studies")), [], "3f2a"), audience)
    raise ConfigError(["train.epochs: must be 1 or more, is 0"])
"""
LINES = """
with listening(None, "plain") as audience:
    send(EPOCHS[0], audience)
"""
LISTENED = """
events = []
with listening([events.append]) as audience:
    send(EPOCHS[0], audience)
with listening([]) as audience:
    send(EPOCHS[0], audience)
len(events)
"""
REDRAWN = """
drawn, enough = [], threading.Event()


def draw():
    drawn.append(len(drawn))
    if len(drawn) == 4:
        enough.set()
    return {"text/plain": f"drawn {len(drawn)} times" if enough.is_set() else "drawn"}


output = CellOutput(draw, seconds=0.01)
output.start()
assert enough.wait(30)
output.stop()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kernel")


@pytest.fixture(scope="module")
def cells(folder: Path) -> dict[str, list[Output]]:
    sources = (SETUP, RUN, INTERRUPTED, FAILED_STUDY, LINES, LISTENED, REDRAWN)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
        outputs = run_notebook(notebook(*sources), folder, seconds=60)
    return dict(zip(sources, outputs, strict=True))


def test_a_run_has_one_output_that_is_redrawn(cells: dict[str, list[Output]]) -> None:
    assert cells[SETUP] == []
    (panel,) = cells[RUN]
    assert panel["output_type"] == "display_data"
    text, html = panel["data"]["text/plain"], panel["data"]["text/html"]
    for words in ("epoch 2/4", "60.00", "best 62.50 (epoch 1)", "run bold (3f2a)"):
        assert words in text
    assert "epoch 1/4" not in text
    assert "&lt;b&gt;few&lt;/b&gt;" in html
    assert "<b>" not in html


def test_an_interrupted_run_says_how_it_goes_on(cells: dict[str, list[Output]]) -> None:
    panel, error = cells[INTERRUPTED]
    assert error["traceback"] == ["Interrupted: the work was ended where it stood"]
    (text,) = forms([panel], "text/plain")
    assert "interrupted; tune.train(config, resume='3f2a') goes on" in text


def test_a_mistake_is_one_line_below_the_study_that_it_ends(cells: dict[str, list[Output]], folder: Path) -> None:
    panel, error = cells[FAILED_STUDY]
    # The panel breaks long lines, at blanks or within a path.
    text = "".join(panel["data"]["text/plain"].replace("│", "").split())
    assert f"failed;tune.resume('gammas',storage='{folder / 'studies'}')goeson" in text
    assert error["traceback"] == ["ConfigError: train.epochs: must be 1 or more, is 0"]


def test_lines_are_printed_where_they_are_asked_for(cells: dict[str, list[Output]]) -> None:
    (stream,) = cells[LINES]
    assert stream["name"] == "stdout"
    assert printed([stream]).startswith("epoch 1/4")


def test_own_listeners_take_the_place_of_the_panel(cells: dict[str, list[Output]]) -> None:
    (result,) = cells[LISTENED]
    assert result["data"]["text/plain"] == "1"


def test_it_is_redrawn_by_itself_and_at_the_end(cells: dict[str, list[Output]]) -> None:
    (output,) = cells[REDRAWN]
    assert output["data"]["text/plain"].startswith("drawn ")
    assert output["data"]["text/plain"].endswith(" times")
