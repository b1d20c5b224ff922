"""Records one training run in MLflow.

    with RunTracker(connect(uri, "dclf"), Path("dclf-runs")) as tracker:
        tracker.start(config, card)
        ...                               # tracker.epoch(report) after every epoch
        tracker.scored(final)
        tracker.finish(final, model_folder)

Whatever leaves the ``with`` ends the run first: an exception as FAILED, Ctrl-C, SIGTERM and SIGHUP as KILLED, and as
FINISHED once it is scored, without figures and model.
"""

from __future__ import annotations

import logging
import shlex
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cluster.signals import termination_raises
from dclf.config import Config
from dclf.data.storage import absolute, is_remote
from dclf.training.reports import EpochReport, FinalReport
from tune.tracking import records, writes
from tune.tracking.ending import DRIVER_TAG, STATUS_TAG
from tune.tracking.facts import surroundings
from tune.tracking.manners import mlflow_settings
from tune.tracking.model import new_token, pack_model
from tune.tracking.outbox import Outbox
from tune.tracking.redact import without_secrets
from tune.tracking.relocation import CHECKPOINT_TAG, HOME_TAG
from tune.tracking.reopening import OpenRun, create_run, reopen_run
from tune.tracking.spool import Address, Spool, read_spool
from tune.tracking.store import RUNS_FOLDER, Store, sqlite_path
from tune.tracking.trouble import cause_of
from tune.tracking.watch import Guardian
from tune.tracking.writes import Sender, Write

FLUSH_S = 60.0
_KILLED_FLUSH_S = 10.0
_FIGURE_DPI = 120
_log = logging.getLogger(__name__)


class RunTracker:
    """Records a run in MLflow without ever making training wait for the server.

    Args:
        store: from ``tune.tracking.store.connect``.
        folder: local folder beside the run's checkpoints, for what could not be sent.
        flush_s: seconds to wait at the end for a slow or lost server.

    Attributes:
        run_id: MLflow's id of the run; empty before ``start``.
        run_name: its name.
    """

    def __init__(
        self,
        store: Store,
        folder: Path | str = RUNS_FOLDER,
        flush_s: float = FLUSH_S,
    ) -> None:
        self.run_id = ""
        self.run_name = ""
        self._store = store
        self._folder = Path(folder)
        self._flush_s = flush_s
        self._open = False
        self._scored = False
        self._surroundings = ExitStack()
        self._resumed = False

    def __enter__(self) -> Self:
        self._surroundings.enter_context(mlflow_settings())
        self._surroundings.enter_context(termination_raises())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._surroundings:
            if not self._open:
                return
            if isinstance(error, KeyboardInterrupt | SystemExit) and self._scored:
                self._close("FINISHED", "finished; figures and model left out", hurry=True)
            elif isinstance(error, KeyboardInterrupt | SystemExit):
                self.kill(str(error) or type(error).__name__)
            else:
                self.fail(error or RuntimeError("the run ended without its final report"))

    def start(self, config: Config, card: Mapping[str, Any] | None, resume_run_id: str | None = None) -> None:
        """Create the run, or take up one that ended, and record what it is.

        Raises:
            TrackingError: the store does not answer, or has no such run.
        """
        token = uuid.uuid4().hex
        self._resumed = resume_run_id is not None
        # Before there is a run: a kill in between would leave it RUNNING.
        self._guardian = Guardian(self._store.uri, self._store.experiment_id, token)
        try:
            run = self._begin(config, card, resume_run_id, token)
        except BaseException:
            self._guardian.close()
            raise
        self.run_id, self.run_name = run.run_id, run.name
        address = Address(self._store.name, self.run_id, self._store.experiment_id)
        self._spool = Spool(self._folder, address)
        self._outbox = Outbox(Sender(self._store.client, self.run_id, address.experiment_id), self._spool)
        self._open = True
        if self._resumed:
            self._put(*self._left_over())
        self._put(*self._describe(config, card, run))

    def epoch(self, report: EpochReport) -> None:
        """Record an epoch's metrics."""
        self._put(records.epoch_write(report))

    def checkpoint(self, uri: str) -> None:
        """Record where the run can be resumed from."""
        # Other commands run in other folders.
        tags = {CHECKPOINT_TAG: without_secrets(uri) if is_remote(uri) else absolute(uri)}
        if (database := sqlite_path(self._store.uri)) is not None:
            # The folder may be moved with its runs.
            tags[HOME_TAG] = str(database.parent)
        self._put(*writes.text_values("tags", tags))

    def scored(self, final: FinalReport) -> None:
        """Record history and scores of the best model: from now on an interrupt costs figures and model alone."""
        # A kill may have come between the checkpoint of an epoch and its record, or its message may not have arrived.
        self._put(*records.history_writes(final.history))
        step = records.best_epoch(final)
        self._put(writes.metrics(records.test_metrics(final), step, records.epoch_stamp(final, step)))
        if final.optimism is not None:
            # Apart from the scores, which the logged model gets too: they are another epoch's.
            epoch = final.optimism.epoch
            paper = records.paper_metrics(final.optimism)
            self._put(writes.metrics(paper, epoch, records.epoch_stamp(final, epoch)))
        for split, report in final.splits.items():
            self._put(records.confusion_write(split, final.class_names, report.confusion))
        self._scored = True

    def finish(self, final: FinalReport, model_folder: Path | None = None, further: Sequence[Write] = ()) -> None:
        """Record figures and the model, scores where that was not done, and end the run.

        Args:
            final: history and scores of the best model.
            model_folder: what ``dclf.inference.save_model`` wrote; None records no model.
            further: what else is known of the best model.

        Raises:
            CheckpointError: the model folder cannot be read.
        """
        if not self._scored:
            self.scored(final)
        self._put_figures(final)
        self._put(*further)
        if model_folder is not None:
            self._put(self._model(final, model_folder))
        self._close("FINISHED", "finished")

    def fail(self, error: BaseException) -> None:
        """End the run as FAILED, with the error's type and first line as a tag."""
        self._close("FAILED", f"failed: {type(error).__name__}: {cause_of(error)}")

    def kill(self, reason: str) -> None:
        """End the run as KILLED, with the reason as a tag; somebody waits for us, so a lost server gets less time."""
        self._close("KILLED", f"killed: {without_secrets(reason)}", hurry=True)

    def _begin(self, config: Config, card: Mapping[str, Any] | None, resume: str | None, token: str) -> OpenRun:
        tags = {DRIVER_TAG: token, STATUS_TAG: "running"}
        if resume is None:
            return create_run(self._store, records.run_name(config, card), tags)
        return reopen_run(self._store, resume, tags)

    def _left_over(self) -> list[Write]:
        """Writes that the run's earlier life could not send, except that it had ended."""
        if not self._spool.path.exists():
            return []
        return [write for write in read_spool(self._spool.path)[1] if write.kind != "status"]

    def _describe(self, config: Config, card: Mapping[str, Any] | None, run: OpenRun) -> list[Write]:
        # MLflow refuses another value of a parameter, and all that comes with it.
        params = {key: value for key, value in records.config_params(config).items() if key not in run.params}
        tags = {**surroundings(), "seed": config.train.seed}
        items = [*records.user_tags(config), *writes.text_values("tags", tags), *writes.text_values("params", params)]
        items.append(writes.text(records.CONFIG_FILE, records.config_yaml(config)))
        if card is not None:
            items.append(records.dataset_write(config, card))
            items.append(writes.text(records.CARD_FILE, records.card_json(card)))
        return items

    def _model(self, final: FinalReport, model_folder: Path) -> Write:
        packed = self._spool.new_file("model")
        pack_model(model_folder, packed)
        best = records.best_metrics(final.history[-1]) if final.history else {}
        scores, step = {**records.test_metrics(final), **best}, records.best_epoch(final)
        body = {"folder": str(packed), "token": new_token(), "scores": scores, "step": step}
        return Write("model", {**body, "timestamp": records.epoch_stamp(final, step)})

    def _put_figures(self, final: FinalReport) -> None:
        for name, figure in records.figures(final).items():
            file = self._spool.new_file(f"{name}.png")
            figure.savefig(file, dpi=_FIGURE_DPI)
            self._put(writes.artifact(file, "figures"))

    def _put(self, *items: Write) -> None:
        for item in items:
            self._outbox.put(item)

    def _close(self, status: str, reason: str, *, hurry: bool = False) -> None:
        """End the run; hurry where somebody waits for us, so that a lost server gets less time."""
        self._open = False
        self._put(*writes.text_values("tags", {STATUS_TAG: reason}), writes.status(status))
        flush_s = min(self._flush_s, _KILLED_FLUSH_S) if hurry else self._flush_s
        try:
            unsent = self._outbox.close(flush_s, patient=not hurry)
        except BaseException:
            self._tell_rest("not all of this run has reached MLflow", self._spool.path)
            if status == "FINISHED":  # the guardian would call it KILLED, as it may another one
                self._guardian.close()
            raise
        if unsent is not None:
            self._tell_rest(f"MLflow did not answer for {flush_s:g} s", unsent)
        self._guardian.close()

    def _tell_rest(self, cause: str, unsent: Path) -> None:
        _log.warning(f"{cause}; send the rest of this run with: dclf track send {shlex.quote(str(unsent))}")
