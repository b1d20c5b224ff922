"""The form of a view that moves: one panel on a terminal, redrawn in place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text


class LivePanel:
    """A panel that is there inside the ``with``; what is printed scrolls above it and stays.

    Args:
        console: where to draw; stderr where None.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._waiting = "starting"
        # Drawn once right here: a view's own state must be there before.
        self._live = Live(get_renderable=self.render, console=self._console, transient=True, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the panel away."""
        self._live.stop()

    def render(self) -> RenderableType:
        """The panel as it stands; each kind of view has its own."""
        raise NotImplementedError

    def note(self, text: str) -> None:
        """Print the note."""
        self._console.print(Text(text, style="cyan"))

    def _head(self, title: str, lines: Sequence[str], waiting: str) -> None:
        """Print what begins and its plan, and say what is waited for."""
        self._waiting = waiting
        self._console.print(Text(title, style="bold"))
        for line in lines:
            self._console.print(Text(line, style="dim"))


def panel(title: str, parts: Iterable[RenderableType]) -> Panel:
    """The frame around what is shown."""
    return Panel(Group(*parts), title=Text(title, overflow="ellipsis", no_wrap=True), title_align="left")
