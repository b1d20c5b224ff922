"""A study in MLflow: a parent run, and a child per trial and seed.

Everything but opening the parent is sent in the background and in order, so that a slow or lost server costs no
training. Marks in the ledger say how far it has come; what a driver had not sent when it died is sent again, see
``tune.runner.replay``.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.temporary import TemporaryFolder
from dclf.config import Config
from dclf.training.reports import EpochReport
from tune.runner import child_writes, parent_writes
from tune.runner.run_models import model_writes
from tune.study.definition import child_name
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.parent import PARENT_NOTE, created_ms, parent_id
from tune.study.sent_marks import mark_sent
from tune.tracking import records, writes
from tune.tracking.children import KIND_TAG, STUDY_TAG, Children, Key, find_runs
from tune.tracking.ending import DRIVER_TAG, STATUS_TAG
from tune.tracking.facts import surroundings
from tune.tracking.outbox import Outbox
from tune.tracking.redact import clean
from tune.tracking.reopening import OpenRun, create_run, reopen_run
from tune.tracking.store import Store
from tune.tracking.watch import Guardian
from tune.tracking.writes import Sender, Write

FLUSH_S, INTERRUPTED_FLUSH_S = 60.0, 10.0
_log = logging.getLogger(__name__)
SEND_EVERY_S = 2.0
"""How long a training's epochs may wait to reach MLflow in one request; it takes as long for one as for ten."""
MARK_S = 20.0
"""How long trials may end before a mark says that they have been sent: a kill has them sent again."""


@dataclass(frozen=True)
class _Addressed(Write):
    """A write to the run of one trial and seed; to the parent run where ``key`` is None."""

    key: Key | None = None


class StudyRecorder:
    """Writes a study to MLflow.

    Args:
        store: an open store.
        folder: the study.

    Attributes:
        run_id: the parent run; empty before ``open``.
    """

    def __init__(self, store: Store, folder: StudyFolder) -> None:
        self.run_id = ""
        self.store = store
        self._folder = folder
        self._token = uuid.uuid4().hex
        self._children = Children(store, folder.definition.name, folder.ledger.run)
        self._opened: set[Key] = set()
        self._epochs: defaultdict[Key, list[Write]] = defaultdict(list)
        self._best: dict[Key, EpochReport] = {}
        self._send_at: dict[Key, float] = {}
        self._files = TemporaryFolder("study")
        self._surroundings: dict[str, str] = {}
        self._mark_at = time.monotonic() + MARK_S

    def open(self, card: Mapping[str, Any]) -> str:
        """Create the parent run, or take up the one of an earlier driver; its id.

        Raises:
            TrackingError: the store does not answer.
        """
        definition = self._folder.definition
        earlier_id = parent_id(self._folder)
        tags = {DRIVER_TAG: self._token, STATUS_TAG: "running", STUDY_TAG: definition.name, KIND_TAG: definition.kind}
        # Before there is a run: a kill in between would leave it RUNNING.
        self._guardian = Guardian(self.store.uri, self.store.experiment_id, self._token)
        try:
            run = self._parent(earlier_id, tags)
            self.run_id = run.run_id
            if earlier_id is None:
                self._folder.ledger.note(PARENT_NOTE, run_id=self.run_id, store=self.store.name)
        except BaseException:
            self._guardian.close()
            raise
        self._outbox = Outbox(self._send, None)
        self._surroundings = surroundings()
        self._describe(card, run)
        return self.run_id

    def _parent(self, earlier_id: str | None, tags: dict[str, str]) -> OpenRun:
        if earlier_id is not None:
            return reopen_run(self.store, earlier_id, tags)
        definition = self._folder.definition
        runs = find_runs(self.store, definition.name, {KIND_TAG: definition.kind})
        own = [run.info.run_id for run in runs if run.info.start_time >= created_ms(definition)]
        if own:
            return reopen_run(self.store, own[0], tags)
        return create_run(self.store, definition.name, tags)

    def _describe(self, card: Mapping[str, Any], run: OpenRun) -> None:
        definition = self._folder.definition
        flat = {f"sweep.{key}": clean(value) for key, value in definition.settings.items()}
        params = {**records.config_params(definition.base), **flat}
        self._put(*records.user_tags(definition.base), *writes.text_values("tags", self._surroundings))
        self._put(*writes.text_values("params", {k: v for k, v in params.items() if k not in run.params}))
        self._put(records.dataset_write(definition.base, card))
        self.file("study.yaml", (self._folder.path / "study.yaml").read_text(encoding="utf-8"))
        self.file(records.CARD_FILE, records.card_json(card))

    def knows(self, number: int, seed: int) -> bool:
        """Whether this driver has recorded that a training begins or goes on."""
        return (number, seed) in self._opened

    def trial(self, trial: TrialRecord, seed: int, config: Config) -> None:
        """A training of a trial begins or goes on; said once, see ``knows``."""
        key = trial.number, seed
        self._opened.add(key)
        definition, run = self._folder.definition, trial.runs.get(seed)
        items = child_writes.start_writes(trial, seed, config, self._surroundings)
        tags = {name: text for item in items if item.kind == "tags" for name, text in item.body["values"].items()}
        body = {
            "name": child_name(definition, trial, seed),
            "run_id": run.run_id if run is not None else "",
            "look": trial.started is not None,
            "tags": {**tags, **child_writes.child_tags(definition, self.run_id, *key), DRIVER_TAG: self._token},
        }
        self._put(_Addressed("open", body, key))
        # Not through _to, which sends tags together with epochs.
        self._put(*(_Addressed(item.kind, item.body, key) for item in records.user_tags(config)))
        self._to(key, *(item for item in items if item.kind != "tags"))
        self._send_at[key] = time.monotonic() + SEND_EVERY_S

    def epochs(self, number: int, seed: int, reports: Iterable[EpochReport], *, last: bool) -> None:
        """A training has finished epochs; those of ``SEND_EVERY_S`` are sent together.

        Args:
            number: of the trial.
            seed: of the training.
            reports: the epochs.
            last: the training's end is told next, and sent with them.
        """
        key, trial = (number, seed), self._folder.ledger.trials[number]
        timed = child_writes.dated(reports, trial.created if trial.started is None else trial.started)
        for report in timed:
            self._epochs[key].append(records.epoch_write(report))
            if report.epoch == report.best_epoch:
                self._best[key] = report
        if not last and time.monotonic() >= self._send_at.get(key, 0.0):
            self._send_epochs(key)

    def seed_finished(self, number: int, seed: int, values: tuple[float, ...], report: EpochReport) -> None:
        """A training is over; that of the last seed is sent with the trial's end."""
        sweep, runs = self._folder.definition.sweep, self._folder.ledger.trials[number].runs
        self._epochs[number, seed].append(child_writes.seed_write(sweep.objectives, values, report))
        if sum(bool(run.values) for run in runs.values()) < sweep.seeds:
            self._send_epochs((number, seed))

    def tested(self, number: int, seed: int) -> None:
        """A training was scored on the test split, as the ledger has it."""
        self._adopt(self._folder.ledger.trials[number], seed)
        self._to((number, seed), *child_writes.test_writes(self._folder.ledger, (number, seed)))

    def model(self, number: int, seed: int) -> None:
        """The run of a training is to hold its model."""
        key = number, seed
        self._adopt(self._folder.ledger.trials[number], seed)
        self._to(key, *model_writes(self._folder, key, self._files.path / "models" / f"{number}-{seed}"))

    def reused(self, number: int, seed: int, study: str, run_id: str) -> None:
        """A training was not run but taken over from a run of another study."""
        self._to((number, seed), *child_writes.reused_write(study, run_id))

    def ended(self, trial: TrialRecord) -> None:
        """A trial has ended: its runs too."""
        base = self._folder.definition.base.train.seed
        seeds = range(base, base + self._folder.definition.sweep.seeds)
        # The ledger learns of a run when the server has made it, which may be later.
        seeds_with_run = {seed for seed, run in trial.runs.items() if run.run_id}
        for seed in seeds_with_run | {seed for seed in seeds if (trial.number, seed) in self._opened}:
            self._adopt(trial, seed)
            self._to((trial.number, seed), *child_writes.end_writes(trial))
            if (best := self._best.pop((trial.number, seed), None)) is not None:
                self._to((trial.number, seed), *child_writes.validation_writes(best))

    def _adopt(self, trial: TrialRecord, seed: int) -> None:
        """Write to the run of a training that an earlier driver finished."""
        key = trial.number, seed
        if key not in self._opened:
            self._put(_Addressed("adopt", {"run_id": trial.runs[seed].run_id}, key))

    def progress(self) -> None:
        """The parent's figures after the last ended trial, all of which has been told."""
        self._put(*parent_writes.progress_writes(self._folder, len(parent_writes.ended_trials(self._folder))))
        if time.monotonic() >= self._mark_at:
            self._mark_at = time.monotonic() + MARK_S
            self._mark(closed=False)

    def concluded(self) -> None:
        """All trials have ended and have been scored: the parent gets the winner's scores."""
        self._put(*parent_writes.winner_writes(self._folder))

    def describe(self, markdown: str) -> None:
        """The text at the top of the parent's page."""
        self._put(*writes.text_values("tags", {"mlflow.note.content": markdown}))

    def file(self, name: str, text: str, folder: str = "") -> None:
        """A text file among the parent's artifacts."""
        self._put(writes.text(f"{folder}/{name}" if folder else name, text))

    def artifact(self, path: Path, folder: str = "") -> None:
        """A file that stays where it is, among the parent's artifacts."""
        self._put(writes.artifact(path, folder))

    def close(self, status: str, reason: str) -> None:
        """End the parent run, and as KILLED the children of trials that have not ended.

        Args:
            status: FINISHED, FAILED or KILLED.
            reason: for the status tag.
        """
        for number, seed in self._opened:
            if self._folder.ledger.trials[number].ended is None:
                self._to((number, seed), *child_writes.cut_writes())
        self._put(*writes.text_values("tags", {STATUS_TAG: reason}), writes.status(status))
        self._mark(closed=True)
        flush_s = FLUSH_S if status == "FINISHED" else INTERRUPTED_FLUSH_S
        unsent = f"MLflow did not answer for {flush_s:g} s"
        try:
            success = self._outbox.flush(flush_s, patient=status == "FINISHED")
        except KeyboardInterrupt:
            if status != "FINISHED":
                raise
            # Nothing else is left to do, and the study's result is not to be lost with it.
            success, unsent = False, "not all of this study has reached MLflow"
        if not success:
            _log.warning(f"{unsent}; send it the rest with: dclf doctor {self._folder.definition.name} --fix")
        self._outbox.close(0)
        self._guardian.close()
        self._files.close()

    def _send_epochs(self, key: Key, tags: Mapping[str, str] | None = None) -> None:
        epochs = self._epochs.pop(key, [])
        if epochs or tags:
            self._send_at[key] = time.monotonic() + SEND_EVERY_S
            self._put(_Addressed(**vars(writes.history(epochs, tags)), key=key))

    def _to(self, key: Key, *items: Write) -> None:
        """Queue writes to a child run, behind its waiting epochs, which go in one request with tags."""
        tags = items[0].body["values"] if items and items[0].kind == "tags" else None
        self._send_epochs(key, tags)
        self._put(*(_Addressed(item.kind, item.body, key) for item in items[0 if tags is None else 1 :]))

    def _mark(self, *, closed: bool) -> None:
        """Have the ledger note that everything queued so far is sent, once it is."""
        self._put(Write("mark", {"line": self._folder.ledger.lines, "closed": closed}))

    def _put(self, *items: Write) -> None:
        for item in items:
            self._outbox.put(item)

    def _send(self, write: Write) -> None:
        """Send a write; called by the outbox's thread."""
        key = write.key if isinstance(write, _Addressed) else None
        if write.kind == "mark":
            mark_sent(self._folder, **write.body)
        elif key is None:
            Sender(self.store.client, self.run_id, self.store.experiment_id)(write)
        elif write.kind == "open":
            self._children.open(key, **write.body)
        elif write.kind == "adopt":
            self._children.adopt(key, **write.body)
        else:
            self._children.send(key, write)
