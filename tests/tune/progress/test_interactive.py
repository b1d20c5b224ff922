"""Lines of progress where Python is interactive, silence where a program calls."""

import logging
import sys

import pytest

from tests.tune.progress.reports import epoch_report
from tune.progress.interactive import listening
from tune.study.events import EpochEnded, Event, send

Shown = pytest.CaptureFixture[str]
EPOCH = EpochEnded(epoch_report(2, 0.6, (1, 0.625)))


@pytest.fixture
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an interactive interpreter, IPython and notebooks."""
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)


@pytest.mark.usefixtures("prompt")
def test_epochs_and_messages_are_printed_at_a_prompt(capsys: Shown) -> None:
    with listening(None) as audience:
        send(EPOCH, audience)
        logging.getLogger("tune.tracking").info("the server is back")
    epoch, message = capsys.readouterr().out.splitlines()
    assert epoch.startswith("epoch 2/4")
    assert message == "the server is back"


@pytest.mark.usefixtures("prompt")
def test_own_listeners_take_the_place_of_the_lines(capsys: Shown) -> None:
    events: list[Event] = []
    with listening([events.append]) as audience:
        send(EPOCH, audience)
    with listening([]) as audience:
        send(EPOCH, audience)
    assert events == [EPOCH]
    assert capsys.readouterr() == ("", "")


def test_a_program_is_told_nothing(capsys: Shown) -> None:
    with listening(None) as audience:
        send(EPOCH, audience)
    assert capsys.readouterr() == ("", "")
