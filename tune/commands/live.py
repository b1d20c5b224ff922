"""The live view of a run on a terminal: one panel, redrawn in place."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console, RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dclf.config import Config
from dclf.training.reports import EpochReport, FinalReport
from tune.commands.view_panel import LivePanel, panel
from tune.commands.views import Clock, QuietView, duration, headline, percent, restart_text, score_lines


class RichView(LivePanel, QuietView):
    """Epoch, loss terms, validation WF1, best, time spent and left; notes scroll above the panel.

    Args:
        console: where to draw; stderr where None.
        now: seconds, monotonic.
    """

    def __init__(self, console: Console | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._begun = now()
        self._clock = Clock()
        self._title = "dclf"
        self._report: EpochReport | None = None
        super().__init__(console)

    def started(self, config: Config, plan_lines: list[str], run_name: str, run_id: str) -> None:
        """Print the plan and head the panel with the run."""
        super().started(config, plan_lines, run_name, run_id)
        self._title = headline(config, run_name, run_id)
        self._head(self._title, plan_lines, "waiting for the first epoch")

    def epoch(self, report: EpochReport) -> None:
        """Show the epoch."""
        self._clock.add(report)
        self._report = report
        self._waiting = "scoring the test split" if report.epoch == report.epochs else ""
        self._live.refresh()

    def restarted(self, count: int) -> None:
        """Print that training goes on from the last checkpoint."""
        self._console.print(Text(restart_text(count), style="yellow"))

    def finished(self, final: FinalReport) -> None:
        """Print the scores."""
        self._waiting = "closing the run"
        for line in score_lines(final):
            self._console.print(Text(line))

    def render(self) -> RenderableType:
        """The panel as it stands."""
        parts: list[RenderableType] = [] if self._report is None else [*self._rows(self._report)]
        if self._waiting:
            parts.append(Spinner("dots", text=f"{self._waiting}, {self._elapsed()}"))
        return panel(self._title, parts)

    def _rows(self, report: EpochReport) -> list[RenderableType]:
        progress = Table.grid(padding=(0, 1), expand=True)
        for ratio in (None, 1, None):
            progress.add_column(ratio=ratio, no_wrap=True)
        progress.add_row(
            f"epoch {report.epoch}/{report.epochs}",
            ProgressBar(total=report.epochs, completed=report.epoch),
            f"{self._elapsed()} spent, {duration(self._clock.left)} left",
        )
        losses = "  ".join(f"{name} [bold]{value:.3f}[/]" for name, value in report.losses.items())
        validation = (
            f"[bold green]{percent(report.validation['wf1'])}[/]  "
            f"best [bold]{percent(report.best_wf1)}[/] (epoch {report.best_epoch})"
        )
        if report.peeked:
            validation += f"  peeked test WF1 {percent(report.peeked['wf1'])}"
        return [progress, Text.from_markup(f"loss     {losses}"), Text.from_markup(f"val WF1  {validation}")]

    def _elapsed(self) -> str:
        return duration(self._now() - self._begun)
