import pytest

from tune.progress.forms import choose_renderer
from tune.progress.json_lines import JsonLines
from tune.progress.lines import Lines
from tune.progress.live import LivePanel
from tune.progress.renderer import Renderer


@pytest.mark.parametrize(
    ("log", "quiet", "tty", "form"),
    [
        ("auto", False, True, LivePanel),
        ("auto", False, False, Lines),
        ("live", False, False, LivePanel),
        ("plain", False, True, Lines),
        ("jsonl", False, True, JsonLines),
        ("quiet", False, True, Renderer),
        ("auto", True, True, Renderer),
        ("jsonl", True, True, Renderer),
    ],
)
def test_the_form_suits_the_options_and_the_terminal(
    monkeypatch: pytest.MonkeyPatch, log: str, quiet: bool, tty: bool, form: type[Renderer]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: tty)
    monkeypatch.setenv("TERM", "xterm")
    assert type(choose_renderer(log, quiet=quiet)) is form


@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_a_terminal_that_can_show_no_panel_gets_lines(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", kind)
    assert type(choose_renderer("auto", quiet=False)) is Lines
