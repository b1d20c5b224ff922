"""Plain lines, for terminals that cannot redraw and for log files."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from dclf.training.reports import EpochReport
from tune.config.durations import duration
from tune.progress.renderer import Renderer
from tune.progress.state import Clock, StudyState
from tune.progress.texts import (
    condition_text,
    counts_text,
    extraction_text,
    losses_text,
    params_text,
    progress_text,
    restart_text,
    run_headline,
    running_text,
    score_lines,
    study_headline,
    validation_text,
    values_text,
)
from tune.study import events
from tune.study.ledger import ENDED, TrialRecord

EXTRACTION_SECONDS = 5.0
"""Between two lines on the progress of an extraction."""
STUDY_SECONDS = 60.0
"""Without a line on a study, after which one says how far its running trials are."""


class Lines(Renderer):
    """A line for every epoch of a run, for every trial of a study that ends, and for every condition that is scored.

    Of a study whose trials take long a line every minute, too: where its running trials are. Of an extraction a line
    every few seconds, and one at the end of each part.

    Args:
        stream: where they go; stderr where None.
        now: seconds, monotonic.
    """

    def __init__(self, stream: TextIO | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._now = now
        self._clock = Clock()
        self._state = StudyState(now)
        self._scored, self._conditions = 0, 0
        self._extraction_line = -EXTRACTION_SECONDS
        self._last_line = now()

    def show(self, event: events.Event) -> None:
        """Print what has happened."""
        match event:
            case events.RunStarted():
                self.say(run_headline(event.config, event.name, event.run_id), *event.plan)
            case events.EpochEnded(report):
                self.say(self._epoch(report))
            case events.WorkersRestarted(count):
                self.say(restart_text(count))
            case events.RunFinished(final):
                self.say(*score_lines(final))
            case events.PerturbationStarted():
                self._scored, self._conditions = 0, event.total
                self.say(event.title, *event.lines)
            case events.ConditionScored():
                self._scored += 1
                self.say(f"{self._scored}/{self._conditions}  {condition_text(event)}")
            case events.ReproductionStudy():
                self._state = StudyState(self._now)
                self.say("", f"{event.paper}: {event.title}")
            case events.ExtractionStarted():
                self._extraction_line = self._now()
                self.say(event.title, *event.lines)
            case events.ExtractionProgress():
                self._extracted(event)
            case _:
                self._show_study(event)

    def _show_study(self, event: events.Event) -> None:
        self._state.update(event)
        match event:
            case events.StudyStarted():
                self.say(study_headline(event.folder, event.run_id), *event.plan)
                if event.folder.ledger.trials:
                    self.say(f"so far: {counts_text(self._state)}")
            case events.TrialChanged(trial) if trial.state in ENDED:
                self.say("  ".join(self._trial(trial)))
            case events.TrialEpoch() if self._now() - self._last_line >= STUDY_SECONDS:
                self.say(running_text(self._state))
            case events.StudyFinished():
                self.say(f"{counts_text(self._state)}; took {duration(self._state.spent)}")

    def _extracted(self, event: events.ExtractionProgress) -> None:
        now = self._now()
        if event.done == event.total or now - self._extraction_line >= EXTRACTION_SECONDS:
            self._extraction_line = now
            self.say(extraction_text(event))

    def note(self, text: str) -> None:
        """Print the message."""
        self.say(text)

    def say(self, *lines: str) -> None:
        """Print lines, all at once: other threads print too."""
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()
        self._last_line = self._now()

    def _epoch(self, report: EpochReport) -> str:
        """Losses, validation and times of the epoch."""
        self._clock.add(report)
        return (
            f"epoch {report.epoch}/{report.epochs}  {losses_text(report.losses)}  {validation_text(report)}  "
            f"{report.seconds:.1f} s  left {duration(self._clock.seconds_left)}"
        )

    def _trial(self, trial: TrialRecord) -> list[str]:
        """How the trial ended, the best so far, and the time left."""
        state = self._state
        parts = [f"trial {trial.number} {trial.state}  {values_text(state.scores, trial.values)}"]
        if trial.reason:
            parts.append(f"({trial.reason})")
        if state.best is not None:
            parts.append(f"best {state.scores[0].number(state.best.values[0])} (trial {state.best.number})")
        parts.append(progress_text(state))
        if state.seconds_left is not None:
            parts.append(f"left {duration(state.seconds_left)}")
        return [*parts, params_text(trial.params)]
