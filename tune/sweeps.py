"""Sweeps, for notebooks and the command line: start one, resume one.

>>> from tune.search.read import load_sweep
>>> from tune.sweeps import sweep
>>> config, settings = load_sweep("iemocap", {"data.shards": "shards/iemocap", "sweep.trials": 20})  # doctest: +SKIP
>>> study = sweep(config, settings, name="first")  # doctest: +SKIP
>>> study.best_config.loss.gamma_ca, study.trials.head()  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from cluster.storage import checked_storage
from dclf.config import Config
from dclf.data import feature_card, read_shards
from dclf.data.storage import absolute
from dclf.training.checkpoint import FORMAT, is_format_2
from dclf.training.preflight import check_shards
from tune.analysis.comparison.variants import is_comparison
from tune.config.settings import ConfigError, require_config
from tune.config.sweep_settings import SweepSettings
from tune.progress.interactive import listening
from tune.progress.stages import SHARDS, StartClock
from tune.runner.named_study import NamedStudy
from tune.runner.optuna_export import require_place
from tune.runner.study_driver import StudyDriver
from tune.runner.warm_start import warm_start_problems
from tune.search.checks import objective_problems, sweep_problems, sweep_space, trained_modalities
from tune.search.space import Space
from tune.studies import Study
from tune.study.definition import StudyDefinition
from tune.study.events import Listener
from tune.study.folder import StudyFolder
from tune.study.places import StudyError, StudyUnavailableError, require_new, study_exists
from tune.study.ranking import untested
from tune.tracking.manners import mlflow_settings
from tune.tracking.redact import clean

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
    require_config(config)
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
        driver = StudyDriver(definition.base, settings, card, audience, clock)
        outcome = driver.run(
            lambda: _created(settings, definition, has_name=bool(name)), verbose=verbose, address=address
        )
        return Study(**vars(outcome))


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
        driver = StudyDriver(config, settings, card, audience, clock)
        return Study(**vars(driver.run(lambda: folder, changed, verbose=verbose, address=address)))


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


def _created(settings: SweepSettings, definition: StudyDefinition, *, has_name: bool) -> StudyFolder:
    """The study's folder; a name that we have made up may have been taken while Ray started."""
    if not has_name and study_exists(settings.storage, definition.name):
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
