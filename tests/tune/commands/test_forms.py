import pytest

from tune.commands.forms import choose_renderer
from tune.commands.json_lines import JsonLines
from tune.commands.lines import Lines
from tune.commands.live import LivePanel
from tune.commands.renderer import Renderer


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
    assert type(choose_renderer(log, quiet=quiet)) is form
