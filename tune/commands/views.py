"""What a training run shows while it goes on: plain lines, JSON lines, or nothing. ``live`` has the moving view.

A view is a context manager that hears of events (``tune.view.View``). Results are printed by the command on stdout;
the views write to stderr, save for JSON lines, which are made to be piped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from dclf.config import Config
from dclf.training.reports import EpochReport, FinalReport, Optimism
from tune.commands.view_forms import JsonLines, Lines, Quiet
from tune.view import NoView


class QuietView(Quiet, NoView):
    """Says nothing; also the ground on which the other views stand.

    Attributes:
        run_id: MLflow's id of the run, empty until it has started.
        config: the run's configuration; a resumed run brings its own.
    """

    run_id = ""
    config = Config()

    def started(self, config: Config, plan_lines: list[str], run_name: str, run_id: str) -> None:  # noqa: ARG002
        """Remember the run."""
        self.config, self.run_id = config, run_id


class PlainView(Lines, QuietView):
    """One line per event, for terminals that cannot redraw and for log files."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._clock = Clock()

    def started(self, config: Config, plan_lines: list[str], run_name: str, run_id: str) -> None:
        """Name the run and print its plan."""
        super().started(config, plan_lines, run_name, run_id)
        self._say(headline(config, run_name, run_id), *plan_lines)

    def epoch(self, report: EpochReport) -> None:
        """Losses, validation and times of the epoch."""
        self._clock.add(report)
        self._say(
            f"epoch {report.epoch}/{report.epochs}  {losses_text(report.losses)}  {validation_text(report)}  "
            f"{report.seconds:.1f} s  left {duration(self._clock.left)}"
        )

    def restarted(self, count: int) -> None:
        """Say that training goes on from the last checkpoint."""
        self._say(restart_text(count))

    def finished(self, final: FinalReport) -> None:
        """Scores per class."""
        self._say(*score_lines(final))


class JsonLinesView(JsonLines, QuietView):
    """One JSON object per event, each with the key ``event``: started, epoch, restarted, note, finished or failed."""

    def started(self, config: Config, plan_lines: list[str], run_name: str, run_id: str) -> None:
        """Write the run's id, plan and whole configuration."""
        super().started(config, plan_lines, run_name, run_id)
        self._write("started", run_id=run_id, name=run_name, plan=plan_lines, config=config.to_dict())

    def epoch(self, report: EpochReport) -> None:
        """Write the report."""
        self._write("epoch", **report.to_dict())

    def restarted(self, count: int) -> None:
        """Write the count."""
        self._write("restarted", count=count)

    def finished(self, final: FinalReport) -> None:
        """Write the scores, without the history that was written already."""
        paper = paper_result(final)
        self._write("finished", class_names=final.class_names, splits=final.to_dict()["splits"], **paper)


class Clock:
    """Estimates the time left from the epochs seen so far."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._remaining = 0

    def add(self, report: EpochReport) -> None:
        """Count an epoch."""
        self._seconds.append(report.seconds)
        self._remaining = report.epochs - report.epoch

    @property
    def left(self) -> float:
        """Seconds, from the mean of the last ten epochs."""
        recent = self._seconds[-10:]
        return self._remaining * sum(recent) / len(recent) if recent else 0.0


def headline(config: Config, run_name: str, run_id: str) -> str:
    """What is trained, on what, as which run."""
    reading = "causal" if config.model.causal else "bidirectional"
    framework = {"none": "with DCLF", "base": "without DCLF"}.get(
        config.loss.ablate, f"with DCLF, {config.loss.ablate}"
    )
    return f"{config.model.name} ({reading}) {framework} on {config.data.shards}, run {run_name} ({run_id})"


def losses_text(losses: Mapping[str, float]) -> str:
    """``total 1.204  ce 0.911``."""
    return "  ".join(f"{name} {value:.3f}" for name, value in losses.items())


def validation_text(report: EpochReport) -> str:
    """Validation WF1 and the best so far, in percent; the test WF1 where the epoch looked at it."""
    wf1 = percent(report.validation["wf1"])
    peeked = f"  peeked test WF1 {percent(report.peeked['wf1'])}" if report.peeked else ""
    return f"val WF1 {wf1}  best {percent(report.best_wf1)} (epoch {report.best_epoch}){peeked}"


def score_lines(final: FinalReport) -> Sequence[str]:
    """A small table: a row per split, columns for WA, WF1 and the F1 of every class."""
    head = ["split", "WA", "WF1", *final.class_names]
    rows = [
        [name, *(percent(split.scores[key]) for key in ("wa", "wf1", *(f"f1/{c}" for c in final.class_names)))]
        for name, split in final.splits.items()
    ]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]]


def paper_result(final: FinalReport) -> dict[str, Any]:
    """Key ``paper`` as JSON has it: the epoch selected on test, its scores and the gap in percentage points."""
    found = final.optimism
    if found is None:
        return {}
    return {"paper": {"epoch": found.epoch, "test": dict(found.scores), "optimism_gap": found.gap}}


def optimism_text(found: Optimism) -> str:
    """``test WF1 73.10 where test chose epoch 17, optimism gap +1.03``."""
    return (
        f"test WF1 {percent(found.scores['wf1'])} where test chose epoch {found.epoch}, optimism gap {found.gap:+.2f}"
    )


def restart_text(count: int) -> str:
    """The sentence for a restart."""
    return f"a worker was lost: training goes on from the last checkpoint (restart {count})"


def percent(share: float) -> str:
    """A share in [0, 1] as percent with two decimals, as papers print it."""
    return f"{100 * share:.2f}"


def duration(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
