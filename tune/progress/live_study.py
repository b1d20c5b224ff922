"""Rows of the live panel for a study: no more of them than the terminal has."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dclf.training.reports import EpochReport
from tune.config.durations import duration
from tune.progress.live_parts import progress_row
from tune.progress.state import RECENT, RunningTrial, StudyState
from tune.progress.texts import counts_text, params_text, percent, progress_text, values_text
from tune.study.ledger import State, TrialRecord

STYLES: dict[State, str] = {"complete": "green", "pruned": "yellow", "failed": "bold red"}
FIXED_ROWS = 9 + RECENT
"""Rows of the panel beside those of running trials: its frame, what all trials came to, and those that ended last."""
WIDE = 76
"""Columns from which on running trials have room for bars and parameters."""


class StudyRows:
    """Progress, counts, the best trial, running ones epoch by epoch, and those that ended last.

    Args:
        state: of the study.
        console: how large the terminal is.
    """

    def __init__(self, state: StudyState, console: Console) -> None:
        self._state = state
        self._console = console
        self._rows = 0

    def rows(self) -> Iterator[RenderableType]:
        """The rows as they stand; none before the study has started."""
        state = self._state
        if state.name:
            yield self._progress()
            yield _line(Text(counts_text(state)))
            if not state.compares:
                yield _line(self._best())
        if state.running or self._rows:
            yield Text()
            yield self._trials()
        if state.recent:
            yield Text()
            yield from (self._ended(trial) for trial in list(state.recent))

    def _progress(self) -> RenderableType:
        state = self._state
        left = "" if state.seconds_left is None else f", {duration(state.seconds_left)} left"
        return progress_row(
            progress_text(state), state.ended, state.planned or None, f"{duration(state.spent)} spent{left}"
        )

    def _best(self) -> Text:
        state, trial = self._state, self._state.best
        if trial is None:
            return Text.assemble("best ", ("none yet", "dim"))
        value = values_text(state.scores, trial.values)
        where = f" by trial {trial.number} ({state.scores[0].label})  "
        return Text.assemble("best ", (value, "bold green"), where, (params_text(trial.params), "dim"))

    def _trials(self) -> RenderableType:
        """Running trials; the table keeps the height that it once had, as far as the terminal allows."""
        running = [row for _, trial in sorted(self._state.running.items()) for row in _trainings(trial)]
        room = max(self._console.size.height - FIXED_ROWS, 1)
        self._rows = min(max(self._rows, len(running)), room)
        trainings = running if len(running) <= self._rows else running[: self._rows - 1]
        wide = self._console.size.width >= WIDE
        table = self._table(wide=wide)
        for training in trainings:
            table.add_row(*self._row(*training, wide=wide))
        if hidden := len(running) - len(trainings):
            table.add_row("", Text(f"and {hidden} more", style="dim"))
        for _ in range(self._rows - len(trainings) - bool(hidden)):
            table.add_row("")
        return table

    def _table(self, *, wide: bool) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), expand=True, header_style="dim", pad_edge=False)
        table.add_column("trial", justify="right", no_wrap=True, min_width=5)
        table.add_column("epoch", no_wrap=True, min_width=9)
        if wide:
            table.add_column("", width=12)
        table.add_column("val WF1", justify="right", no_wrap=True, min_width=7)
        table.add_column("best", justify="right", no_wrap=True, min_width=5)
        if wide:
            table.add_column("parameters", no_wrap=True, overflow="ellipsis", ratio=1)
        return table

    def _row(self, trial: TrialRecord, seed: int, report: EpochReport | None, *, wide: bool) -> list[RenderableType]:
        done, total = (0, 1) if report is None else (report.epoch, report.epochs)
        epoch: RenderableType = Text("starting", style="dim") if report is None else self._epoch(seed, report)
        now = "" if report is None else percent(report.validation["wf1"])
        best = "" if report is None else percent(report.best_wf1)
        cells: list[RenderableType] = [str(trial.number), epoch, now, Text(best, style="bold")]
        if wide:
            params = Text(params_text(trial.params), style="dim", no_wrap=True, overflow="ellipsis")
            cells = [*cells[:2], ProgressBar(total=total, completed=done), *cells[2:], params]
        return cells

    def _epoch(self, seed: int, report: EpochReport) -> str:
        seeds = f" seed {seed}" if self._state.settings.seeds > 1 else ""
        return f"{report.epoch}/{report.epochs}{seeds}"

    def _ended(self, trial: TrialRecord) -> RenderableType:
        text = Text.assemble((f"{trial.number:>5}  ", ""), (f"{trial.state:<8}", STYLES.get(trial.state, "")), "  ")
        text.append(f"{values_text(self._state.scores, trial.values):>5}")
        text.append(f"  {trial.reason or params_text(trial.params)}", style="dim")
        return _line(text)


def _trainings(running: RunningTrial) -> list[tuple[TrialRecord, int, EpochReport | None]]:
    """Rows of a running trial: it, seed and last epoch of each training; one without an epoch while it starts."""
    return [(running.trial, *training) for training in running.latest.items()] or [(running.trial, 0, None)]


def _line(text: Text) -> Text:
    """One row, cut with an ellipsis where the terminal is narrow."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
