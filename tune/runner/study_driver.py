"""A driver's work on a study: from joining Ray to the report.

The sealed test split is scored once, at the end: the winner of a search, or every variant of a comparison. Beside the
winner the base configuration is scored, so that the gain of the search is known on test as well. Nothing is chosen by
either score.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.actors import ActorSettings
from cluster.machine import machine_cpus
from cluster.resources import ClusterResources
from cluster.session import ray_session, reaches_cluster
from cluster.shares import shared_bytes
from cluster.trial_plan import TrialPlan, local_cpus_for_trials, local_trial_resources, plan_trials
from dclf.config import Config
from dclf.data import read_shards
from dclf.training.checkpoint import is_format_2
from tune.analysis.comparison.variants import is_comparison
from tune.analysis.scoring import last_checkpoint, score_checkpoint
from tune.config.sweep_settings import SweepSettings
from tune.progress.stages import MLFLOW, RAY, StartClock
from tune.report.facts import best_note
from tune.runner.evaluations import evaluate_models
from tune.runner.illustrator import Illustrator
from tune.runner.optuna_export import export_study, note_copies
from tune.runner.optuna_study import LiveStudy, load_study
from tune.runner.recorder import StudyRecorder
from tune.runner.replay import send_unsent
from tune.runner.session import Session
from tune.runner.warm_start import warm_start
from tune.search.pruners import make_pruner
from tune.search.samplers import make_sampler, search_seed
from tune.search.space import Space
from tune.study.best import best_yaml
from tune.study.checkpoints import has_checkpoint
from tune.study.dataset import training_warnings
from tune.study.events import Listener, StudyFinished, StudyStarted, send
from tune.study.folder import StudyFolder
from tune.study.places import StudyError
from tune.study.ranking import base_untested, best_trial, untested
from tune.tracking.redact import without_secrets
from tune.tracking.store import Store, connect, resolve_tracking_uri

if TYPE_CHECKING:
    from tune.report.files import ReportFiles

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StudyOutcome:
    """What a driver leaves.

    Attributes:
        folder: the study.
        run_id: MLflow's id of the parent run.
        tracking_uri: of the store.
        report: the HTML page; None where the driver was cut short.
    """

    folder: StudyFolder
    run_id: str
    tracking_uri: str
    report: Path | None


class StudyDriver:
    """Works on one study.

    Args:
        config: the base configuration.
        settings: of the study.
        card: feature card of the shards.
        listeners: are called with the study's events.
        clock: of the stages of the start.
    """

    def __init__(
        self,
        config: Config,
        settings: SweepSettings,
        card: dict[str, Any],
        listeners: Sequence[Listener],
        clock: StartClock,
    ) -> None:
        self.config = config
        self.settings = settings
        self.card = card
        self.listeners = listeners
        self.clock = clock
        self.shards = read_shards(config.data.shards)
        self._kept_at_most = settings.cache_mb << 20
        self._own_ray = False
        self._bytes = shared_bytes(self.shards, self.shards.info.modalities, config.train.epoch_splits)

    def run(
        self,
        folder: Callable[[], StudyFolder],
        changed: Mapping[str, Any] | None = None,
        *,
        verbose: bool,
        address: str | None,
    ) -> StudyOutcome:
        """Join Ray, plan, and only then create the study's folder, so that a refused one leaves nothing.

        Args:
            folder: creates or opens the study.
            changed: another budget than the study has.
            verbose: let Ray speak.
            address: of a Ray cluster; RAY_ADDRESS, then a local Ray where None.

        Raises:
            PlanError: the trials do not fit the cluster.
            TrackingError: the MLflow store does not answer.
            KeyboardInterrupt: Ctrl-C.
        """
        self._own_ray = not reaches_cluster(address)
        if self._own_ray:
            plan_trials(self.config, self.settings, local_trial_resources(self.config, self.settings))
        # Ray and Ray Data both import it: from two threads at once they find its modules half initialised.
        import_module("ray.dag")
        with ThreadPoolExecutor(max_workers=2) as pool:
            # A fresh SQLite file takes two seconds, and so does starting Ray; a cluster first says whether it has room.
            store = pool.submit(self._connect) if self._own_ray else None
            pool.submit(import_module, "tune.runner.trials")
            with ExitStack() as joined:
                ray = self.clock.entering(RAY, self._ray(verbose=verbose, address=address))
                plan = plan_trials(self.config, self.settings, joined.enter_context(ray))
                store = store or pool.submit(self._connect)
                opened = store.result()
                study_folder = folder()
                with study_folder.locked():
                    if changed:
                        study_folder.extend(**changed)
                    return self._run_study(study_folder, plan, opened, joined.close)

    def _connect(self) -> Store:
        with self.clock.stage(MLFLOW):
            return connect(resolve_tracking_uri(self.config.track.uri), self.config.track.experiment)

    def _ray(self, *, verbose: bool, address: str | None) -> AbstractContextManager[ClusterResources]:
        return ray_session(
            address,
            verbose=verbose,
            num_cpus=local_cpus_for_trials(self.config, self.settings, machine_cpus()),
            kept_bytes=min(self._kept_at_most, self._bytes),
        )

    def _run_study(
        self, folder: StudyFolder, plan: TrialPlan, store: Store, leave_ray: Callable[[], None]
    ) -> StudyOutcome:
        space = Space.of(folder.definition.space, self.config)
        if not folder.ledger.notes:
            note_copies(folder)
        for line in [*warm_start(folder), *send_unsent(folder, store)]:
            _log.info(line)
        seed = search_seed(self.settings, len(folder.ledger.trials))
        pruner = make_pruner(self.settings, self.config.train.epochs)
        study = LiveStudy(folder, space, make_sampler(self.settings, space, seed), pruner)
        recorder = StudyRecorder(store, folder)
        run_id = recorder.open(self.card)
        try:
            send(StudyStarted(folder, plan.describe(), run_id), self.listeners)
            self.clock.tell(self.listeners)
            for warning in training_warnings(self.config, self.card):
                _log.warning(warning)
            recorder.file("plan.txt", "\n".join(plan.describe()) + "\n")
            with self._illustrator(folder, recorder) as illustrator:
                session = Session(folder, study, space, recorder, [self.clock, *self.listeners, illustrator])
                interrupted = self._trials(plan, session)
            report = None if interrupted else self._conclude(session, recorder, leave_ray)
        except BaseException as error:
            self._close(folder, recorder, *_ending(error))
            raise
        if interrupted is not None:
            self._close(folder, recorder, *_ending(interrupted))
            raise interrupted
        # Nobody who waits for the result waits for the last records to be sent.
        try:
            send(StudyFinished(folder), self.listeners)
        finally:
            self._close(folder, recorder, "FINISHED", "finished")
        return StudyOutcome(folder=folder, run_id=run_id, tracking_uri=store.name, report=report)

    def _close(self, folder: StudyFolder, recorder: StudyRecorder, status: str, reason: str) -> None:
        """End the parent run, then copy the study to the database that ``sweep.optuna`` names, where it names one."""
        recorder.close(status, reason)
        if self.settings.optuna:
            _copy(folder)

    def _illustrator(self, folder: StudyFolder, recorder: StudyRecorder) -> AbstractContextManager[Illustrator]:
        out = folder.path / "live"
        return closing(Illustrator(folder.path, out, lambda drawings: _send_folder(recorder, drawings)))

    def _trials(self, plan: TrialPlan, session: Session) -> BaseException | None:
        from tune.runner.trials import run_trials  # noqa: PLC0415 - imported while Ray starts

        return run_trials(session, self.config, self.shards, plan, own_ray=self._own_ray)

    def _conclude(self, session: Session, recorder: StudyRecorder, leave_ray: Callable[[], None]) -> Path:
        """Score on test once, measure what else was asked for, and write the report, for which Ray need not wait."""
        folder = session.folder
        if best_trial(folder) is not None:
            score_sealed(session)
            session.conclude()
            evaluate_models(folder, ActorSettings(gpus=min(1.0, self.settings.gpus_per_trial)))
            if not is_comparison(folder.definition):
                recorder.file("best.yaml", best_yaml(folder))
            recorder.describe(best_note(folder))
        leave_ray()
        files = _write_report(folder)
        recorder.artifact(files.html)
        groups = {"tables": [*files.tables.values()], "figures": [*files.figures.values(), *files.pictures.values()]}
        for folder_name, group in groups.items():
            for file in group:
                recorder.artifact(file, folder_name)
        return files.html


def _copy(folder: StudyFolder) -> None:
    """Copy the study to its database; how it has ended is recorded by now, and is not lost with the copy."""
    definition = folder.definition
    _log.info(f"copying the study to {without_secrets(definition.sweep.optuna)}; Ctrl-C leaves it out")
    try:
        export_study(folder)
    except (StudyError, OSError) as error:
        _log.warning(f"not copied: {error}")
    except KeyboardInterrupt:
        _log.warning(f"not copied: interrupted; dclf resume {definition.name} copies the study again")


def _write_report(folder: StudyFolder) -> ReportFiles:
    # Imported here: matplotlib is slow to import, and nobody needs it before.
    from tune.report.files import write_report  # noqa: PLC0415

    return write_report(folder, load_study(folder))


def score_sealed(session: Session) -> None:
    """Score on test what ``sweep.test`` names, each training once in the study's life.

    Args:
        session: the driver's work on the study; all trials have ended.
    """
    waiting = untested(session.folder)
    if session.settings.test == "all" and waiting:
        _log.info(f"scoring {len(waiting)} trained models on the test split, each once")
    for number, seed in waiting:
        _score(session, number, seed, session.folder.fetched(number, seed))
    for number, seed in base_untested(session.folder):
        place = session.folder.fetched(number, seed)
        # Earlier versions deleted it when better trials had come, or wrote another format.
        if has_checkpoint(place) and not is_format_2(place):
            _score(session, number, seed, place)


def _score(session: Session, number: int, seed: int, place: Path) -> None:
    report = score_checkpoint(last_checkpoint(place), session.folder.definition.base.data.shards)
    session.record_test(number, seed, report.scores, report.confusion)


def _ending(error: BaseException) -> tuple[str, str]:
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "KILLED", f"killed: {str(error) or type(error).__name__}"
    return "FAILED", f"failed: {type(error).__name__}: {error}"


def _send_folder(recorder: StudyRecorder, folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        recorder.artifact(file, "figures" if file.suffix == ".svg" else "tables")
