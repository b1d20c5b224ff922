"""Tracked training runs: what ``dclf train`` and ``dclf evaluate`` do, for notebooks too.

>>> from tune.runs import train
>>> from tune.config.settings import load_config
>>> run = train(load_config("iemocap", {"data.shards": "shards/iemocap"}))  # doctest: +SKIP
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.address import cluster_address
from cluster.machine import machine_cpus
from cluster.plan import TrainingPlan, crowding, local_cpus, plan_training
from cluster.session import ray_session
from cluster.storage import (
    StorageError,
    checked_storage,
    checkpoint_to_resume,
    latest_checkpoint,
    load_checkpoint,
    lost_storage_named,
)
from cluster.temporary import TemporaryFolder
from dclf.config import Config
from dclf.data import feature_card, read_shards
from dclf.data.storage import absolute, is_remote, parent_and_name, place_below
from dclf.inference import Predictor, load_model, predictor_of, save_model
from dclf.prose import quantity
from dclf.training.evaluation import score_predictor
from dclf.training.preflight import check_classes, check_same_shards, check_shards
from dclf.training.reports import EpochReport, FinalReport, SplitReport, class_names
from dclf.uris import without_secret
from tune.analysis.prediction_tables import prediction_writes
from tune.analysis.table import ShownAsTable, Table
from tune.config.settings import ConfigError, require_config
from tune.config.sweep_settings import SweepSettings
from tune.progress.interactive import listening
from tune.progress.stages import MLFLOW, RAY, SHARDS, StartClock
from tune.study.dataset import training_warnings
from tune.study.events import EpochEnded, Event, Listener, RunFinished, RunStarted, WorkersRestarted, send
from tune.study.locks import HeldElsewhereError, only_driver
from tune.study.scores import WF1
from tune.tracking.address import resume_command
from tune.tracking.find import RunRecord, checkpoint_of, find_run, find_trial
from tune.tracking.manners import mlflow_settings
from tune.tracking.records import EPOCH_METRIC
from tune.tracking.run import RunTracker
from tune.tracking.store import RUNS_FOLDER, Store, TrackingError, connect, resolve_tracking_uri
from tune.tracking.trouble import NotResumableError

if TYPE_CHECKING:
    from cluster.training import TrainingOutcome
    from tune.report.gallery import Gallery

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, repr=False)
class TrainedRun(ShownAsTable):
    """A finished run.

    Attributes:
        run_id: MLflow's id.
        name: MLflow run name.
        checkpoint: path or URI of the last epoch's checkpoint.
        final: history and scores.
        tracking_uri: the store, without secrets.
    """

    run_id: str
    name: str
    checkpoint: str
    final: FinalReport
    tracking_uri: str

    def summary(self) -> Table:
        """WA, WF1 and the F1 of every class in percent, a row per split."""
        classes = self.final.class_names
        best = f", epoch {self.final.history[-1].best_epoch}" if self.final.history else ""
        keys = ("wa", "wf1", *(f"f1/{name}" for name in classes))
        rows = tuple(
            (name, *(WF1.number(split.scores[key]) for key in keys)) for name, split in self.final.splits.items()
        )
        return Table(title=f"run {self.name} ({self.run_id}){best}", head=("split", "WA", "WF1", *classes), rows=rows)

    def figures(self) -> Gallery:
        """Learning curves and the confusion matrix of every split, by name; in a notebook they show themselves."""
        # Imported here: matplotlib is slow to import.
        from dclf.figures import confusion_figure, learning_curves  # noqa: PLC0415
        from tune.report.gallery import Gallery, Picture  # noqa: PLC0415

        pictures = []
        if self.final.history:
            caption = "The terms of the loss and the scores on the validation split after every epoch."
            curves = learning_curves(self.final.history)
            pictures.append(Picture(name="curves", title="Learning curves", caption=caption, figure=curves))
        for name, split in self.final.splits.items():
            title = f"Confusion matrix, {name} split"
            caption = "Each cell has the share of its row in percent, and the count."
            figure = confusion_figure(split.confusion, self.final.class_names)
            pictures.append(Picture(name=f"confusion-{name}", title=title, caption=caption, figure=figure))
        return Gallery(tuple(pictures))


class ScoredSplit(ShownAsTable, SplitReport):
    """A split's scores, as ``evaluate`` gives them."""

    def summary(self) -> Table:
        """WA, WF1 and the F1 of every class in percent."""
        names = class_names(self.scores)
        row = tuple(WF1.number(self.scores[key]) for key in ("wa", "wf1", *(f"f1/{name}" for name in names)))
        title = f"{self.split} split, {quantity(self.utterances, 'utterance')}"
        return Table(title=title, head=("WA", "WF1", *names), rows=(row,), numeric=0)


@mlflow_settings()
def train(
    config: Config,
    *,
    resume: str | None = None,
    listeners: Sequence[Listener] | None = None,
    progress: str = "auto",
    verbose: bool = False,
    address: str | None = None,
) -> TrainedRun:
    """Train on Ray and record the run in MLflow.

    Args:
        config: the run; when resuming only ``track.uri`` of it counts.
        resume: id or name of a run that was cut short; it goes on in the same MLflow run with its own configuration.
        listeners: are called with the run's events (``tune.study.events``).
        progress: how it is shown: ``live``, ``plain``, ``jsonl`` or ``quiet``. On ``auto``, without listeners, a panel
            in a notebook and on a terminal, and nothing elsewhere.
        verbose: let Ray and MLflow speak.
        address: of a Ray cluster; RAY_ADDRESS, then a local Ray where None.

    Raises:
        ConfigError: a value is impossible.
        DataError: the shards lack a split or modality, or are others than those that a resumed run began with.
        CheckpointError: the checkpoint of a resumed run cannot be read.
        TrackingError: the MLflow store does not answer or has no such run, or another process works on it.
        PlanError: the run does not fit the cluster.
        StorageError: checkpoints cannot be kept, or those of a resumed run are gone.
        NonFiniteLossError: a loss term became NaN or infinite.
        TrainingError: workers were lost too often.
    """
    require_config(config)
    uri = resolve_tracking_uri(config.track.uri)
    record = None if resume is None else _resumable(uri, resume)
    if record is not None:
        # It was checked when the run began; a rule that came later must not keep it from going on.
        config = _with_storage(Config.from_dict(record.config), record)
    elif problems := config.problems():
        raise ConfigError(problems)
    clock = StartClock()
    with clock.stage(SHARDS):
        shards = read_shards(config.data.shards)
        check_shards(shards, config.data.modalities, perturb=config.train.perturb_every > 0)
        check_classes(shards, config.model)
        card = feature_card(config.data.shards).to_dict()
    checked_storage(config.train.storage, record.run_id if record else "", resuming=True)
    if record is not None and (last := _last_checkpoint(config, record)) is not None:
        check_same_shards(shards, load_checkpoint(last))
    session = ray_session(address, verbose=verbose, num_cpus=local_cpus(config, machine_cpus()))
    with (
        listening(listeners, progress) as audience,
        _connecting(uri, config.track.experiment, clock) as store,
        clock.entering(RAY, session) as resources,
    ):
        plan = plan_training(config, resources)
        return _Tracked(config, audience, record, clock).run(store.result(), card, _plan_lines(plan, address))


@mlflow_settings()
def evaluate(
    run: str,
    *,
    split: str = "test",
    uri: str = "",
    shards: str | None = None,
    storage: str | Path = SweepSettings.storage,
) -> ScoredSplit:
    """Score a finished run's best model on a split.

    Args:
        run: id or name of the run, or of a training of a study.
        split: ``val`` or ``test``.
        uri: MLflow tracking URI; as ``track.uri`` where empty.
        shards: shards to score; those of the run where None.
        storage: folder of studies, or a URI of one, where the run is a training of a study without a model in MLflow.

    Raises:
        TrackingError: no such run, or it left no checkpoint.
        StudyError: the run's study, or its checkpoint, is not there.
        CheckpointError: the checkpoint cannot be read.
        DataError: the shards do not fit the model.
    """
    from tune.predictions import load_run  # noqa: PLC0415 - training need not wait for what reads conversations

    store = resolve_tracking_uri(uri)
    if find_trial(store, run) is not None:
        predictor = load_run(run, uri=store, storage=storage).predictor
        return _scored(predictor, shards or predictor.config.data.shards, split)
    record = find_run(store, run)
    predictor = predictor_of(load_checkpoint(checkpoint_of(record)))
    return _scored(predictor, shards or record.here(predictor.config.data.shards), split)


def _scored(predictor: Predictor, shards: str, split: str) -> ScoredSplit:
    return ScoredSplit(**vars(score_predictor(predictor, read_shards(shards), split)))


class _Tracked:
    """Training with its record: what happens goes to MLflow and to the listeners."""

    def __init__(
        self, config: Config, listeners: Sequence[Listener], record: RunRecord | None, clock: StartClock
    ) -> None:
        self.config = config
        self.listeners = listeners
        self.record = record
        self.clock = clock

    def run(self, store: Store, card: dict[str, Any], plan_lines: list[str]) -> TrainedRun:
        with ExitStack() as stack, RunTracker(store, _spool_folder(self.config)) as tracker:
            if self.record is not None:
                folder = _run_folder(self.config, self.record.run_id)
                with _run_named(self.record.name, self.record.run_id):
                    self._require_ours = stack.enter_context(only_driver(folder))
            tracker.start(self.config, card, None if self.record is None else self.record.run_id)
            if self.record is None:
                self._require_ours = stack.enter_context(only_driver(_run_folder(self.config, tracker.run_id)))
            tracker.checkpoint(_run_folder(self.config, tracker.run_id))
            self._send(RunStarted(self.config, plan_lines, tracker.run_name, tracker.run_id))
            self.clock.tell(self.listeners)
            for warning in training_warnings(self.config, card):
                _log.warning(warning)
            outcome = self._train(tracker, store.uri)
            tracker.scored(outcome.final)
            # Nobody who waits for the scores waits for figures to be drawn and a model to be packed.
            self._send(RunFinished(outcome.final))
            self._record(tracker, outcome)
            return TrainedRun(
                run_id=tracker.run_id,
                name=tracker.run_name,
                checkpoint=outcome.checkpoint,
                final=outcome.final,
                tracking_uri=store.name,
            )

    def _train(self, tracker: RunTracker, uri: str) -> TrainingOutcome:
        from cluster.training import train_on_ray  # noqa: PLC0415 - evaluating need not wait for Ray Train

        def epoch(report: EpochReport) -> None:
            with _run_named(tracker.run_name, tracker.run_id):
                self._require_ours()
            tracker.epoch(report)
            self._send(EpochEnded(report))

        resume_from = None
        if self.record is not None:
            resume_from = checkpoint_to_resume(self.config.train.storage, self.record.run_id)
        go_on = f"go on with: {resume_command(tracker.run_id, uri)}"
        with lost_storage_named(self.config.train.storage, go_on):
            return train_on_ray(
                self.config,
                run_name=tracker.run_id,
                on_epoch=epoch,
                on_restart=lambda count: self._send(WorkersRestarted(count)),
                on_workers=lambda count: _log.info(_workers_note(count)),
                resume_from=resume_from,
            )

    def _record(self, tracker: RunTracker, outcome: TrainingOutcome) -> None:
        with TemporaryFolder("model") as folder:
            save_model(folder, load_checkpoint(outcome.checkpoint))
            splits, run = list(outcome.final.splits), f"run {tracker.run_name}"
            tables = prediction_writes(load_model(folder), self.config.data.shards, splits, run)
            tracker.finish(outcome.final, folder, tables)

    def _send(self, event: Event) -> None:
        send(event, [self.clock, *self.listeners])


def _workers_note(count: int) -> str:
    return f"training goes on with {quantity(count, 'worker')}, from the last epoch"


@contextmanager
def _connecting(uri: str, experiment: str, clock: StartClock) -> Iterator[Future[Store]]:
    """Open the store while Ray starts: a fresh SQLite file takes two seconds."""

    def open_store() -> Store:
        with clock.stage(MLFLOW):
            return connect(uri, experiment)

    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool.submit(open_store)


def _plan_lines(plan: TrainingPlan, address: str | None) -> list[str]:
    """The plan in words; a cluster's machines declare their own slots, a local Ray has as many as the run asks for."""
    warning = None if cluster_address(address) else crowding(plan, machine_cpus())
    return plan.describe() if warning is None else [*plan.describe(), warning]


def _resumable(uri: str, ref: str) -> RunRecord:
    if (trial := find_trial(uri, ref)) is not None:
        raise NotResumableError(
            f"run {trial.name} ({trial.run_id}) is of study {trial.study!r}, which goes on as a whole: dclf resume "
            f"{trial.study}"
        )
    record = find_run(uri, ref)
    if record.status == "FINISHED":
        raise NotResumableError(f"run {record.name} ({record.run_id}) is finished; there is nothing to resume")
    return record


def _last_checkpoint(config: Config, record: RunRecord) -> str | None:
    """The checkpoint that a run goes on from; None where it has not finished an epoch.

    Raises:
        StorageError: it has, and its checkpoints are not there.
    """
    last = latest_checkpoint(config.train.storage, record.run_id)
    epochs = int(record.metrics.get(EPOCH_METRIC, 0))
    if last is None and epochs:
        place = without_secret(absolute(_run_folder(config, record.run_id)))
        raise StorageError(
            f"run {record.name} ({record.run_id}) has trained {quantity(epochs, 'epoch')}, and must have a checkpoint "
            f"at {place}, has none; bring that folder back, or start a new run"
        )
    return last


@contextmanager
def _run_named(name: str, run_id: str) -> Iterator[None]:
    try:
        yield
    except HeldElsewhereError as error:
        raise TrackingError(f"run {name} ({run_id}) {error}") from None


def _with_storage(config: Config, record: RunRecord) -> Config:
    """With the storage where the run's checkpoints are: its configuration may name it from another folder."""
    storage = parent_and_name(record.checkpoint)[0]
    return (
        replace(config, train=replace(config.train, storage=storage)) if storage and not is_remote(storage) else config
    )


def _run_folder(config: Config, run_id: str) -> str:
    return place_below(config.train.storage, run_id)


def _spool_folder(config: Config) -> Path:
    """A local folder for what MLflow could not take, beside local checkpoints."""
    storage = config.train.storage
    return Path(RUNS_FOLDER if is_remote(storage) else absolute(storage)).absolute().parent / "unsent"
