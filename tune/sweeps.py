"""Sweeps, for notebooks and the command line: start one, resume one.

>>> from tune.search.read import load_sweep
>>> from tune.sweeps import sweep
>>> config, settings = load_sweep("iemocap", {"data.shards": "shards/iemocap", "sweep.trials": 20})  # doctest: +SKIP
>>> study = sweep(config, settings, name="first")  # doctest: +SKIP
>>> study.best_config.loss.gamma_ca, study.trials.head()  # doctest: +SKIP
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.machine import machine_cpus
from cluster.model_plan import ActorSettings
from cluster.resources import ClusterResources
from cluster.session import ray_session, reaches_cluster
from cluster.shares import shared_bytes
from cluster.storage import checked_storage
from cluster.trial_plan import TrialPlan, local_cpus_for_trials, local_trial_resources, plan_trials
from dclf.config import Config
from dclf.data import feature_card, read_shards
from dclf.data.storage import absolute
from dclf.training.checkpoint import FORMAT, is_format_2
from dclf.training.preflight import check_shards
from tune.analysis.comparison.variants import is_comparison
from tune.config.settings import ConfigError
from tune.config.sweep_settings import SweepSettings
from tune.progress.interactive import listening
from tune.progress.stages import MLFLOW, RAY, SHARDS, StartClock
from tune.report.facts import best_note
from tune.runner.evaluations import evaluate_models
from tune.runner.illustrator import Illustrator
from tune.runner.named_study import NamedStudy
from tune.runner.optuna_export import export_study, note_copies, require_place
from tune.runner.optuna_study import LiveStudy, load_study
from tune.runner.recorder import StudyRecorder
from tune.runner.replay import send_unsent
from tune.runner.sealed_split import score_sealed
from tune.runner.session import Session
from tune.runner.warm_start import warm_start, warm_start_problems
from tune.search.checks import objective_problems, sweep_problems, sweep_space, trained_modalities
from tune.search.pruners import make_pruner
from tune.search.samplers import make_sampler, search_seed
from tune.search.space import Space
from tune.studies import Study
from tune.study.best import best_yaml
from tune.study.dataset import training_warnings
from tune.study.definition import StudyDefinition
from tune.study.events import Listener, StudyFinished, StudyStarted, send
from tune.study.folder import StudyFolder
from tune.study.places import StudyError, StudyUnavailableError, require_new, study_exists
from tune.study.ranking import best_trial, untested
from tune.tracking.manners import mlflow_settings
from tune.tracking.redact import clean, without_secrets
from tune.tracking.store import Store, connect, resolve_tracking_uri

if TYPE_CHECKING:
    from tune.report.files import ReportFiles

_log = logging.getLogger(__name__)
_PACKAGES = ("dclf", "torch", "ray", "optuna", "mlflow")


@mlflow_settings()
def sweep(  # noqa: PLR0913 - the last two are for other kinds of studies
    config: Config,
    settings: SweepSettings,
    *,
    name: str = "",
    listeners: Sequence[Listener] | None = None,
    progress: str = "auto",
    verbose: bool = False,
    address: str | None = None,
    kind: str = "sweep",
    described: Mapping[str, Any] | None = None,
) -> Study:
    """Search for the best configuration.

    Args:
        config: the base configuration.
        settings: what to search, how and how long.
        name: of the study; made of dataset and model where empty.
        listeners: are called with the study's events (``tune.study.events``).
        progress: how it is shown, as for ``tune.train``.
        verbose: let Ray and MLflow speak.
        address: of a Ray cluster; RAY_ADDRESS, then a local Ray where None.
        kind: what the study is called in lists and in MLflow's tags.
        described: what a study file says beyond settings: ``variants`` and ``plan`` of the ``StudyDefinition``.

    Raises:
        ConfigError: a value or the space is impossible.
        StudyError: the name is taken.
        DataError: the shards lack a split or modality.
        StorageError: the study's folder cannot be written.
        PlanError: the trials do not fit the cluster.
        TrackingError: the MLflow store does not answer.
        KeyboardInterrupt: Ctrl-C; the study can be resumed.
    """
    problems = [*config.problems(), *sweep_problems(settings, config), *warm_start_problems(settings)]
    if problems:
        raise ConfigError(problems)
    # Trials run in other folders than this process.
    config = replace(config, data=replace(config.data, shards=absolute(config.data.shards)))
    clock = StartClock()
    with clock.stage(SHARDS):
        card = _card(config, settings, sweep_space(settings, config))
    definition = _definition(config, settings, name, card, kind)
    definition = replace(definition, **(described or {}))
    require_new(settings.storage, definition.name)
    checked_storage(absolute(settings.storage), "", resuming=True, key="sweep.storage")
    with listening(listeners, progress) as audience:
        work = _Work(definition.base, settings, card, audience, clock)
        return work.on_ray(lambda: _created(settings, definition, named=bool(name)), verbose=verbose, address=address)


@mlflow_settings()
def resume(
    name: str,
    *,
    storage: str = SweepSettings.storage,
    trials: int | None = None,
    time: str | None = None,
    listeners: Sequence[Listener] | None = None,
    progress: str = "auto",
    verbose: bool = False,
    address: str | None = None,
) -> Study:
    """Go on with a study after whatever ended it: the plan minus what is done.

    Args:
        name: of the study.
        storage: folder of studies.
        trials: another number of trials than was planned.
        time: another time budget than was planned.
        listeners: are called with the study's events (``tune.study.events``).
        progress: how it is shown, as for ``tune.train``.
        verbose: let Ray and MLflow speak.
        address: of a Ray cluster; RAY_ADDRESS, then a local Ray where None.

    Raises:
        StudyError: there is no such study, or another process works on it.
        StorageError: its folder cannot be written.
        Exception: as ``sweep``.
    """
    folder = StudyFolder.open(storage, name)
    changed: dict[str, Any] = {key: value for key, value in (("trials", trials), ("time", time)) if value is not None}
    settings = replace(folder.definition.sweep, **changed)
    if mistakes := list(_budget_problems(folder, settings, changed)):
        raise ConfigError(mistakes)
    config = folder.definition.base
    clock = StartClock()
    with clock.stage(SHARDS):
        card = _card(config, settings, Space.of(folder.definition.space, config))
    if card["sha256"] != folder.definition.shards_sha256:
        raise StudyUnavailableError(
            f"study {name!r} began on other shards than {config.data.shards} holds now; bring the first ones back or "
            "start a new study"
        )
    checked_storage(folder.address, "", resuming=True, key="sweep.storage")
    _require_readable(folder)
    require_place(folder.definition, folder)
    with listening(listeners, progress) as audience:
        work = _Work(config, settings, card, audience, clock)
        return work.on_ray(lambda: folder, changed, verbose=verbose, address=address)


def begin_or_resume(
    study: NamedStudy,
    kind: str,
    *,
    listeners: Sequence[Listener] | None = None,
    verbose: bool = False,
    address: str | None = None,
) -> Study:
    """Begin a planned study, or go on with it where an earlier call has begun it.

    Args:
        study: the plan.
        kind: as for ``sweep``, as the others.
        listeners: see there.
        verbose: see there.
        address: see there.

    Raises:
        Exception: as ``sweep`` and ``resume``.
    """
    if study.existing_folder() is not None:
        return resume(study.name, storage=study.storage, listeners=listeners, verbose=verbose, address=address)
    planned = study.planned
    return sweep(
        planned.config,
        planned.settings,
        name=study.name,
        listeners=listeners,
        verbose=verbose,
        address=address,
        kind=kind,
        described=planned.described,
    )


def _budget_problems(folder: StudyFolder, settings: SweepSettings, changed: Mapping[str, Any]) -> Iterator[str]:
    """Every mistake in another budget for a study that has begun.

    What was sound when it began is not checked again: that takes torch, which the driver can do without.
    """
    if is_comparison(folder.definition):
        rule = "is for searches; a comparison trains every variant to its end, leave it out"
        yield from (f"sweep.{key}: {rule}" for key in changed)
        return
    if changed:
        # Without a time a study must have a number of trials, whichever of them was changed.
        keys = ("sweep.trials:", "sweep.time:")
        yield from (line for line in sweep_problems(settings, folder.definition.base) if line.startswith(keys))
    trials, created = changed.get("trials", 0), len(folder.ledger.trials)
    if 0 < trials < created:
        yield f"sweep.trials: must be at least {created}, as many as there are, or 0 for no limit, is {trials}"


def _require_readable(folder: StudyFolder) -> None:
    """Refuse a study with checkpoints of the version before, while its trials can still go on with that one.

    Raises:
        StudyError: the study has such checkpoints.
    """
    unfinished = [trial.number for trial in folder.ledger.trials.values() if trial.ended is None]
    needed = {(number, int(place.name[1:])) for number in unfinished for place in folder.trainings(number)}
    for number, seed in sorted(needed | set(untested(folder))):
        if is_format_2(folder.fetched(number, seed)):
            raise StudyError(
                f"study {folder.definition.name!r}: checkpoints must be of format {FORMAT}, that of trial {number}, "
                f"seed {seed} is of format 2; finish the study with the version of dclf that began it"
            )


class _Work:
    """A driver's work on a study, from joining Ray to the report."""

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

    def on_ray(
        self,
        folder: Callable[[], StudyFolder],
        changed: Mapping[str, Any] | None = None,
        *,
        verbose: bool,
        address: str | None,
    ) -> Study:
        """Join Ray, plan, and only then create the study's folder, so that a refused one leaves nothing."""
        self._own_ray = not reaches_cluster(address)
        if self._own_ray:
            plan_trials(self.config, self.settings, local_trial_resources(self.config, self.settings))
        # Ray imports it while it starts, and Ray Data uses it: two threads in a circle of imports find its modules half
        # made.
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
                    return self._locked(study_folder, plan, opened, joined.close)

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

    def _locked(self, folder: StudyFolder, plan: TrialPlan, store: Store, leave_ray: Callable[[], None]) -> Study:
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
        self._close(folder, recorder, "FINISHED", "finished")
        send(StudyFinished(folder), self.listeners)
        return Study(folder=folder, run_id=run_id, tracking_uri=store.name, report=report)

    def _close(self, folder: StudyFolder, recorder: StudyRecorder, status: str, reason: str) -> None:
        """End the parent run, then copy the study to the database that ``sweep.optuna`` names, where it names one."""
        recorder.close(status, reason)
        if not self.settings.optuna:
            return
        _log.info(f"copying the study to {without_secrets(self.settings.optuna)}; Ctrl-C leaves it out")
        try:
            export_study(folder)
        except (StudyError, OSError) as error:
            _log.warning(f"not copied: {error}")

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
            session.concluded()
            evaluate_models(folder, ActorSettings(gpus=min(1.0, self.settings.gpus_per_trial)))
            if not is_comparison(folder.definition):
                recorder.file("best.yaml", best_yaml(folder))
            recorder.describe(best_note(folder))
        leave_ray()
        files = _write_report(folder)
        recorder.artifact(files.html)
        sent = {"tables": [*files.tables.values()], "figures": [*files.figures.values(), *files.pictures.values()]}
        for folder_name, group in sent.items():
            for file in group:
                recorder.artifact(file, folder_name)
        return files.html


def _write_report(folder: StudyFolder) -> ReportFiles:
    # Imported here: matplotlib is slow to import, and nobody needs it before.
    from tune.report.files import write_report  # noqa: PLC0415

    return write_report(folder, load_study(folder))


def _created(settings: SweepSettings, definition: StudyDefinition, *, named: bool) -> StudyFolder:
    """The study's folder; a name that we have made up may have been taken while Ray started."""
    if not named and study_exists(settings.storage, definition.name):
        definition = replace(definition, name=_free_name(settings.storage, definition.name))
    require_place(definition)
    return StudyFolder.create(settings.storage, definition)


def _definition(config: Config, settings: SweepSettings, name: str, card: dict[str, Any], kind: str) -> StudyDefinition:
    stem = [card["dataset"], config.model.name, *([] if kind == "sweep" else [kind])]
    return StudyDefinition(
        name=name or _free_name(settings.storage, "-".join(stem)),
        kind=kind,
        config=clean(config.to_dict()),
        settings=settings.to_dict(),
        space=sweep_space(settings, config).spec,
        shards_sha256=card["sha256"],
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={package: metadata.version(package) for package in _PACKAGES},
    )


def _free_name(storage: str, stem: str) -> str:
    stem = "".join(c if c.isalnum() or c in "._-" else "-" for c in stem).strip("-._") or "sweep"
    return next(
        candidate
        for candidate in (stem, *(f"{stem}-{number}" for number in range(2, 10_000)))
        if not study_exists(storage, candidate)
    )


def _card(config: Config, settings: SweepSettings, space: Space) -> dict[str, Any]:
    shards = read_shards(config.data.shards)
    check_shards(shards, trained_modalities(space, config), perturb=config.train.perturb_every > 0)
    if problems := objective_problems(settings, shards.info.class_names):
        raise ConfigError(problems)
    return feature_card(config.data.shards).to_dict()


def _ending(error: BaseException) -> tuple[str, str]:
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "KILLED", f"killed: {error or type(error).__name__}"
    return "FAILED", f"failed: {type(error).__name__}: {error}"


def _send_folder(recorder: StudyRecorder, folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        recorder.artifact(file, "figures" if file.suffix == ".svg" else "tables")
