"""Errors that users cause are one line in a notebook."""

import pickle

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from cluster.plan import PlanError
from cluster.storage import StorageError
from dclf.data.errors import DataError, ShardError
from dclf.errors import UserError, first_line
from dclf.training.checkpoint import CheckpointError
from tune.config.settings import ConfigError
from tune.study.places import StudyError
from tune.tracking.trouble import TrackingError, UnknownRunError

ERRORS = (
    ConfigError(["train.epochs: must be 1 or more, is 0"]),
    DataError(["d1: has no utterance"]),
    ShardError("shards: no manifest"),
    CheckpointError("damaged"),
    PlanError("does not fit"),
    StorageError("not writable"),
    StudyError("no study"),
    TrackingError("no answer"),
    UnknownRunError("no run"),
)


@pytest.fixture
def shell() -> InteractiveShell:
    """IPython's, as kernels have it."""
    return InteractiveShell()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_ipython_shows_the_message_alone(error: Exception, shell: InteractiveShell) -> None:
    shell.user_ns["error"] = error
    with capture_output() as output:
        shell.run_cell("def fail():\n    raise error\n\nfail()")
    assert output.stdout.strip() == f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_they_are_what_they_were(error: Exception) -> None:
    assert isinstance(error, UserError)
    assert isinstance(error, ValueError | OSError)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))


def test_other_errors_keep_their_traceback(shell: InteractiveShell) -> None:
    with capture_output() as output:
        shell.run_cell("1 / 0")
    assert "Traceback" in output.stdout


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("a\nb"), "ValueError: a"),
        (OSError("\n \n  lost \n"), "OSError: lost"),
        (RuntimeError(), "RuntimeError"),
        (RuntimeError("x" * 1000), f"RuntimeError: {'x' * 500}"),
    ],
)
def test_an_error_in_one_line(error: Exception, line: str) -> None:
    assert first_line(error) == line
