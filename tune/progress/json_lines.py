"""JSON lines, for programs that follow a command."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from types import TracebackType
from typing import Any, TextIO

from tune.progress.renderer import Renderer
from tune.progress.texts import paper_result
from tune.study import events


class JsonLines(Renderer):
    """One JSON object for every event, each with the key ``event``.

    Of a run: started, stage, epoch, restarted, finished; of a study: started, stage, trial, epoch, finished; of a
    perturbation test: started, scored; of an extraction: started, progress. Of all: note for a log message, and failed
    where the work ended by an exception.

    Args:
        stream: where they go; stdout where None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write ``failed`` where there was an error."""
        super().__exit__(kind, error, trace)
        if error is not None:
            self._write("failed", error=str(error) or type(error).__name__)

    def show(self, event: events.Event) -> None:
        """Write the event."""
        match event:
            case events.RunStarted():
                config = event.config.to_dict()
                self._write("started", run_id=event.run_id, name=event.name, plan=event.plan, config=config)
            case events.StageEnded(name, seconds):
                self._write("stage", name=name, seconds=seconds)
            case events.EpochEnded(report):
                self._write("epoch", **report.to_dict())
            case events.WorkersRestarted(count):
                self._write("restarted", count=count)
            case events.RunFinished(final):
                # Without the history, which was written already.
                splits = final.to_dict()["splits"]
                self._write("finished", class_names=final.class_names, splits=splits, **paper_result(final))
            case events.PerturbationStarted():
                self._write("started", title=event.title, lines=event.lines, conditions=event.total)
            case events.ConditionScored():
                self._write("scored", condition=event.name, wf1=event.wf1)
            case events.ExtractionStarted():
                self._write("started", title=event.title, lines=event.lines)
            case events.ExtractionProgress():
                self._write("progress", **asdict(event))
            case _:
                self._show_study(event)

    def _show_study(self, event: events.Event) -> None:
        match event:
            case events.StudyStarted():
                self._write("started", **_study(event))
            case events.TrialChanged(trial):
                self._write("trial", **asdict(trial))
            case events.TrialEpoch():
                self._write("epoch", trial=event.number, seed=event.seed, **event.report.to_dict())
            case events.StudyFinished(folder):
                self._write("finished", study=folder.definition.name)

    def note(self, text: str) -> None:
        """Write the message."""
        self._write("note", text=text)

    def _write(self, event: str, **content: Any) -> None:
        # At once, as other threads write too.
        self._stream.write(json.dumps({"event": event, **content}, default=_plain) + "\n")
        self._stream.flush()


def _study(event: events.StudyStarted) -> dict[str, Any]:
    """What was asked for, the plan, and how many trials there are already."""
    folder, definition = event.folder, event.folder.definition
    return {
        "study": definition.name,
        "run_id": event.run_id,
        "folder": str(folder.path),
        "plan": event.plan,
        "settings": definition.settings,
        "space": definition.space,
        "trials": len(folder.ledger.trials),
    }


def _plain(value: Any) -> Any:
    """NumPy's and torch's numbers as numbers; paths and whatever else as text."""
    return float(value) if hasattr(value, "__float__") else str(value)
