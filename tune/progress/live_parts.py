"""Rows of the live panel for a run, a perturbation test and an extraction."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dclf.training.reports import EpochReport
from tune.config.durations import duration
from tune.progress.texts import extraction_text, percent, robust_text
from tune.study.events import ConditionScored, ExtractionProgress


def epoch_rows(report: EpochReport, spent: float, left: float) -> Iterator[RenderableType]:
    """Progress, loss terms and validation scores of a run after an epoch.

    Args:
        report: the epoch.
        spent: seconds so far.
        left: seconds to go.
    """
    yield progress_row(
        f"epoch {report.epoch}/{report.epochs}",
        report.epoch,
        report.epochs,
        f"{duration(spent)} spent, {duration(left)} left",
    )
    losses = "  ".join(f"{name} [bold]{value:.3f}[/]" for name, value in report.losses.items())
    validation = (
        f"[bold green]{percent(report.validation['wf1'])}[/]  "
        f"best [bold]{percent(report.best_wf1)}[/] (epoch {report.best_epoch})"
    )
    if robust := robust_text(report):
        validation += f"  {robust}"
    if report.peeked:
        validation += f"  peeked test WF1 {percent(report.peeked['wf1'])}"
    yield Text.from_markup(f"loss     {losses}")
    yield Text.from_markup(f"val WF1  {validation}")


def condition_rows(
    last: ConditionScored, scored: int, total: int, spent: float, left: float
) -> Iterator[RenderableType]:
    """Progress of a perturbation test, and the condition that was scored last.

    Args:
        last: that condition.
        scored: how many there are with it.
        total: conditions in all.
        spent: seconds so far.
        left: seconds to go.
    """
    yield progress_row(f"{scored}/{total} conditions", scored, total, f"{duration(spent)} spent, {duration(left)} left")
    yield Text.assemble(f"{last.name}  WF1 ", (percent(last.wf1), "bold"))


def extraction_row(event: ExtractionProgress, spent: float) -> RenderableType:
    """How far a part of an extraction is.

    Args:
        event: the latest of it.
        spent: seconds so far, in all.
    """
    return progress_row(extraction_text(event), event.done, event.total, f"{duration(spent)} spent")


def progress_row(done: str, completed: int, total: int | None, time: str) -> RenderableType:
    """Return a bar between what is done and the time, over the whole width; it pulses where there is no total."""
    row = Table.grid(padding=(0, 1), expand=True)
    for ratio in (None, 1, None):
        row.add_column(ratio=ratio, no_wrap=True)
    row.add_row(done, ProgressBar(total=total, completed=completed, pulse=total is None), time)
    return row
