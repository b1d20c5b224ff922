"""A panel on a terminal, silence where nobody looks; ``test_notebook`` has what a notebook shows."""

import logging

import pytest

from tests.tune.progress.reports import epoch_report
from tune.config.yaml_files import ConfigError
from tune.progress.interactive import listening
from tune.progress.json_lines import JsonLines
from tune.progress.lines import Lines
from tune.progress.live import LivePanel
from tune.study.events import EpochEnded, Event, send

Streams = pytest.CaptureFixture[str]
EPOCH = EpochEnded(epoch_report(2, 0.6, (1, 0.625)))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)


@pytest.mark.usefixtures("terminal")
def test_a_panel_is_shown_on_a_terminal() -> None:
    with listening(None) as audience:
        (panel,) = audience
        assert isinstance(panel, LivePanel)


@pytest.mark.usefixtures("terminal")
def test_own_listeners_take_the_place_of_the_panel(capsys: Streams) -> None:
    events: list[Event] = []
    with listening([events.append]) as audience:
        send(EPOCH, audience)
    with listening([]) as audience:
        send(EPOCH, audience)
    assert events == [EPOCH]
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("terminal")
def test_a_terminal_is_left_alone_where_that_is_asked_for(capsys: Streams) -> None:
    with listening(None, "quiet") as audience:
        send(EPOCH, audience)
    assert capsys.readouterr() == ("", "")


def test_nothing_is_shown_where_there_is_no_terminal(capsys: Streams, caplog: pytest.LogCaptureFixture) -> None:
    with listening(None) as audience:
        send(EPOCH, audience)
        logging.getLogger("tune.tracking").warning("the server is away")
    assert capsys.readouterr() == ("", "")
    assert caplog.messages == ["the server is away"], "messages go the ways of logging"


@pytest.mark.parametrize(("progress", "form"), [("plain", Lines), ("jsonl", JsonLines), ("live", LivePanel)])
def test_a_form_is_shown_everywhere_where_it_is_asked_for(progress: str, form: type) -> None:
    events: list[Event] = []
    with listening([events.append], progress) as audience:
        own, renderer = audience
        assert own == events.append
        assert type(renderer) is form


def test_an_unknown_form_is_refused() -> None:
    with (
        pytest.raises(ConfigError, match=r"progress: must be one of auto, .*, is 'plian'; did you mean plain"),
        listening(None, "plian"),
    ):
        pass
