"""The ledger of a study: one JSON line for everything that must outlive a kill.

Lines are only ever appended, each in one write that reaches the disk before it is relied on. A last line that a kill or
a full disk cut off was not relied on: it is passed over, and the next writer marks it with a cancel character. What the
ledger says of a trial holds, whatever Ray, Optuna or MLflow say.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from dclf.errors import UserError

State = Literal["waiting", "running", "complete", "pruned", "failed"]
ENDED: tuple[State, ...] = ("complete", "pruned", "failed")
_TESTED = "test"
"""Kind of the notes with scores on the test split."""
BEGIN_NOTE, _ALIVE = "begin", "alive"
_BETWEEN = ("run", "budget", "kept", "sent", "parent", "warm_start")
"""Events, and kinds of notes, that are also written while no driver works on the study."""
ALIVE_S = 30.0
"""An epoch leaves an ``alive`` note when the last line is older than this many seconds. Of a killed driver's work, all
after its last line is not counted: what followed its last epoch, and at most this long before that epoch."""
_CANCEL = b"\x18"
"""Ends a line that was cut off; JSON text never holds this character."""


class LedgerError(UserError, ValueError):
    """A ledger that cannot be read; names the file and line."""


@dataclass(frozen=True, kw_only=True)
class SeedRun:
    """One training of a trial.

    Attributes:
        seed: ``train.seed`` of it.
        run_id: MLflow's id.
        values: best-epoch objective values, empty until it is finished.
        epochs: finished epochs, as far as the ledger knows.
    """

    seed: int
    run_id: str = ""
    values: tuple[float, ...] = ()
    epochs: int = 0


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial.

    Attributes:
        number: 0, 1, ... in the order of creation.
        params: dotted key -> value, what the trial changes in the base configuration.
        optuna: number of the trial in Optuna's study; -1 for none.
        system_attrs: what Optuna's sampler and pruner keep of the trial.
        curve: what Optuna was told of the epochs 1, 2, ..., None of one that it was not told of; of a trial that has
            not ended, and of all in ledgers of earlier versions, None as a whole.
        origin: ``start`` for a start point, ``search`` for the sampler, ``variant`` for a planned one.
        state: where it stands.
        values: objective values, means over its seeds; empty unless complete or pruned.
        runs: seed -> training, of those that were begun; in a trial whose trainings follow one another the next one may
            be missing.
        reason: why it failed or was pruned, one line.
        created: when it was asked for, seconds since the epoch.
        started: when it first ran, or None.
        ended: when it ended, or None.
        worked_s: seconds that it has run, from its first training's start to its last one's end, the time between two
            drivers left out; of a trial that runs those with earlier drivers.
        line: the last line of the ledger that says something new of it, counted from 1; which MLflow run it has is
            nothing new.
    """

    number: int
    params: Mapping[str, Any]
    optuna: int = -1
    system_attrs: Mapping[str, Any] = field(default_factory=dict)
    curve: tuple[float | None, ...] | None = None
    origin: str = "search"
    state: State = "waiting"
    values: tuple[float, ...] = ()
    runs: Mapping[int, SeedRun] = field(default_factory=dict)
    reason: str = ""
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    worked_s: float = 0.0
    line: int = 0


class Ledger:
    """The ledger in a file; one process writes it, from any thread, and any number may read.

    Args:
        path: the file; created with the first line.

    Attributes:
        trials: number -> record, as the lines so far amount to.
        notes: further events in order; a note of kind ``begin`` opens each driver's session.
        study_attrs: what Optuna's sampler keeps of the study as a whole.
        worked_s: seconds that drivers have worked on the study, from each session's first line to its last.
        lines: how many lines it has.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trials: dict[int, TrialRecord] = {}
        self.notes: list[dict[str, Any]] = []
        self.study_attrs: dict[str, Any] = {}
        self.worked_s = 0.0
        self.lines = 0
        self._last = 0.0
        self._last_worked: float | None = None
        self._began: float | None = None
        self._running: dict[int, float] = {}
        self._lock = threading.RLock()
        self._torn = _ends_torn(path)
        for line in _lines(path):
            self._take(line)

    def create(
        self,
        params: Mapping[str, Any],
        *,
        optuna: int = -1,
        origin: str = "search",
        system_attrs: Mapping[str, Any] | None = None,
        study_attrs: Mapping[str, Any] | None = None,
    ) -> TrialRecord:
        """A new trial, waiting; the attributes of trial and study are those that asking for it has set."""
        attrs = {"system_attrs": system_attrs, "study_attrs": study_attrs}
        content = {name: dict(values) for name, values in attrs.items() if values}
        with self._lock:
            number = len(self.trials)
            self._write("trial", number=number, params=dict(params), optuna=optuna, origin=origin, **content)
            return self.trials[number]

    def start(self, number: int, seed: int) -> None:
        """The trial runs with this seed, for the first time or again."""
        self._write("started", number=number, seed=seed)

    def run(self, number: int, seed: int, run_id: str) -> None:
        """A training of the trial is recorded as this MLflow run; nothing is written where that is noted already."""
        with self._lock:
            run = self.trials[number].runs.get(seed)
            if run is None or run.run_id != run_id:
                self._write("run", number=number, seed=seed, run_id=run_id)

    def seed_done(self, number: int, seed: int, values: tuple[float, ...], epochs: int) -> None:
        """A training of the trial is finished."""
        self._write("seed", number=number, seed=seed, values=list(values), epochs=epochs)

    def change(self, number: int, params: Mapping[str, Any]) -> None:
        """The trial goes on with other values: population based training."""
        self._write("params", number=number, params=dict(params))

    def attrs(self, number: int, system_attrs: Mapping[str, Any]) -> None:
        """Optuna's pruner keeps something new of the trial."""
        self._write("attrs", number=number, system_attrs=dict(system_attrs))

    def end(
        self,
        number: int,
        state: State,
        values: tuple[float, ...] = (),
        reason: str = "",
        curve: Sequence[float | None] | None = None,
    ) -> None:
        """The trial has ended; ``curve`` as in ``TrialRecord``."""
        content = {} if curve is None else {"curve": list(curve)}
        self._write("ended", number=number, state=state, values=list(values), reason=reason, **content)

    def test(
        self, number: int, seed: int, scores: Mapping[str, float], confusion: Sequence[Sequence[int]] = ()
    ) -> None:
        """A training was scored on the sealed test split; its confusion matrix [C][C] has true classes as rows."""
        matrix = {"confusion": confusion} if confusion else {}
        self.note(_TESTED, number=number, seed=seed, scores=dict(scores), **matrix)

    @property
    def tested(self) -> dict[tuple[int, int], Mapping[str, float]]:
        """(trial, seed) -> scores on the test split."""
        return {key: note["scores"] for key, note in self._test_notes().items()}

    @property
    def test_confusion(self) -> dict[tuple[int, int], list[list[int]]]:
        """(trial, seed) -> confusion matrix on the test split; not of those that earlier versions scored."""
        return {key: note["confusion"] for key, note in self._test_notes().items() if "confusion" in note}

    @property
    def tested_at(self) -> dict[tuple[int, int], float]:
        """(trial, seed) -> when it was scored on the test split, in seconds since the epoch."""
        return {key: note["time"] for key, note in self._test_notes().items()}

    def _test_notes(self) -> dict[tuple[int, int], dict[str, Any]]:
        return {(note["number"], note["seed"]): note for note in self.notes if note["kind"] == _TESTED}

    def note(self, kind: str, **content: Any) -> None:
        """Remember an event of the study itself."""
        self._write("note", kind=kind, **content)

    def alive(self) -> None:
        """Leave a sign that a driver works on the study, where its last line is some time ago."""
        if time.time() - self._last > ALIVE_S:
            self.note(_ALIVE)

    def _write(self, event: str, **content: Any) -> None:
        if content.get("kind") == BEGIN_NOTE:
            self._began = time.monotonic()
        # A machine's sleep is no work: the clock of its day counts it, this one does not.
        worked = {} if self._began is None else {"worked": round(time.monotonic() - self._began, 3)}
        line = {"event": event, "time": round(time.time(), 3), **worked, **content}
        text = json.dumps(line, default=_plain) + "\n"
        with self._lock:
            self._append((_CANCEL + b"\n" if self._torn else b"") + text.encode())
            self._take(json.loads(text))

    def _append(self, text: bytes) -> None:
        try:
            with self.path.open("ab") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        finally:
            # A full disk may have taken a part of it.
            self._torn = _ends_torn(self.path)

    def _take(self, line: Mapping[str, Any]) -> None:
        self.lines += 1
        self._count(line)
        self._apply(line)
        if line["event"] != "run" and (number := line.get("number")) in self.trials:
            self.trials[number] = replace(self.trials[number], line=self.lines)

    def _apply(self, line: Mapping[str, Any]) -> None:
        if line["event"] == "note":
            if line["kind"] != _ALIVE:
                self.notes.append({key: value for key, value in line.items() if key not in ("event", "worked")})
            return
        self.study_attrs.update(line.get("study_attrs", {}))
        number = line["number"]
        before = self.trials.get(number)
        self.trials[number] = _created(line) if before is None else _changed(before, line)
        if line["event"] == "started":
            self._running.setdefault(number, line["time"])
        elif line["event"] == "ended":
            self._rest(number, line["time"])

    def _count(self, line: Mapping[str, Any]) -> None:
        """Add to the time worked; what lies before a driver's first line is a pause, for its trials too."""
        if line.get("kind", line["event"]) in _BETWEEN:
            return
        if line.get("kind") == BEGIN_NOTE:
            for number in list(self._running):
                self._rest(number, self._last)
        elif self._last:
            self.worked_s += max(0.0, self._passed(line))
        self._last, self._last_worked = line["time"], line.get("worked")

    def _passed(self, line: Mapping[str, Any]) -> float:
        """Seconds since the driver's line before; by the day's clock in ledgers of earlier versions."""
        if self._last_worked is None or "worked" not in line:
            return float(line["time"] - self._last)
        return float(line["worked"] - self._last_worked)

    def _rest(self, number: int, when: float) -> None:
        """Count the time of a trial that no longer runs."""
        trial, since = self.trials[number], self._running.pop(number, when)
        self.trials[number] = replace(trial, worked_s=trial.worked_s + max(0.0, when - since))


def _created(line: Mapping[str, Any]) -> TrialRecord:
    return TrialRecord(
        number=line["number"],
        params=line["params"],
        optuna=line["optuna"],
        system_attrs=line.get("system_attrs", {}),
        origin=line["origin"],
        created=line["time"],
    )


def _changed(trial: TrialRecord, line: Mapping[str, Any]) -> TrialRecord:
    event, when = line["event"], line["time"]
    if event == "started":
        started = when if trial.started is None else trial.started
        record = replace(trial, state="running", started=started, ended=None, reason="")
        if "seed" not in line or line["seed"] in trial.runs:  # the former in ledgers of earlier versions
            return record
        return _with_run(record, SeedRun(seed=line["seed"]))
    if event == "params":
        return replace(trial, params=line["params"])
    if event == "attrs":
        return replace(trial, system_attrs={**trial.system_attrs, **line["system_attrs"]})
    if event == "ended":
        values, curve = tuple(line["values"]), tuple(line["curve"]) if "curve" in line else None
        return replace(trial, state=line["state"], values=values, curve=curve, reason=line["reason"], ended=when)
    seed = line["seed"]
    run = trial.runs.get(seed, SeedRun(seed=seed))
    if event == "run":
        run = replace(run, run_id=line["run_id"])
    else:
        run = replace(run, values=tuple(line["values"]), epochs=line["epochs"])
    return _with_run(trial, run)


def _with_run(trial: TrialRecord, run: SeedRun) -> TrialRecord:
    """The trial with this training, all of them in the order of their seeds."""
    return replace(trial, runs=dict(sorted({**trial.runs, run.seed: run}.items())))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    *ended, last = path.read_bytes().split(b"\n")
    for place, text in enumerate([*ended, last], start=1):
        cut_off = place > len(ended) or text.endswith(_CANCEL)
        try:
            if text:
                yield json.loads(text.rstrip(_CANCEL))
        except ValueError:
            if not cut_off:
                raise LedgerError(f"{path}:{place}: must be a JSON line, is damaged; restore it from a copy") from None


def _ends_torn(path: Path) -> bool:
    if not path.exists() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
