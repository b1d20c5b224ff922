"""The live view of a perturbation test on a terminal: one panel, redrawn in place."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rich.console import Console, RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from tune.commands.perturb_views import QuietPerturbationView
from tune.commands.view_panel import LivePanel, panel
from tune.commands.views import duration, percent


class RichPerturbationView(LivePanel, QuietPerturbationView):
    """How many conditions are scored, the last of them, time spent and left.

    Args:
        console: where to draw; stderr where None.
        now: seconds, monotonic.
    """

    def __init__(self, console: Console | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._begun = now()
        self._scoring = self._begun
        self._title = "dclf perturb"
        self._done, self._total = 0, 0
        self._last = ""
        super().__init__(console)

    def started(self, title: str, lines: Sequence[str], total: int) -> None:
        """Print the title and head the panel with it."""
        self._title, self._total, self._scoring = title, total, self._now()
        self._head(title, lines, "scoring the raw dialogues")

    def scored(self, name: str, wf1: float) -> None:
        """Show the condition."""
        self._done += 1
        self._last = f"{name}  WF1 [bold]{percent(wf1)}[/]"
        self._waiting = "" if self._done < self._total else "writing the results"
        self._live.refresh()

    def render(self) -> RenderableType:
        """The panel as it stands."""
        parts: list[RenderableType] = [self._progress(), Text.from_markup(self._last)] if self._done else []
        if self._waiting:
            parts.append(Spinner("dots", text=f"{self._waiting}, {duration(self._now() - self._begun)}"))
        return panel(self._title, parts)

    def _progress(self) -> RenderableType:
        line = Table.grid(padding=(0, 1), expand=True)
        for ratio in (None, 1, None):
            line.add_column(ratio=ratio, no_wrap=True)
        left = (self._now() - self._scoring) / self._done * (self._total - self._done)
        line.add_row(
            f"{self._done}/{self._total} conditions",
            ProgressBar(total=self._total, completed=self._done),
            f"{duration(self._now() - self._begun)} spent, {duration(left)} left",
        )
        return line
