"""Look runs up: by id, by the beginning of an id, by name, or as the training of a study's trial."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from cluster.temporary import TemporaryFolder
from tune.config.moved_folders import relocated, with_places
from tune.config.sweep_settings import study_name_problem
from tune.tracking.address import is_new, sqlite_path
from tune.tracking.children import KIND_TAG, SEED_TAG, STUDY_TAG, TRIAL_TAG, is_training, tagged
from tune.tracking.manners import manners
from tune.tracking.records import CONFIG_FILE
from tune.tracking.redact import without_secrets
from tune.tracking.relocation import CHECKPOINT_TAG, HOME_TAG, all_pages
from tune.tracking.store import open_client
from tune.tracking.trouble import TrackingError, UnknownExperimentError, UnknownRunError, cause_of, explained

_MOST_SHOWN = 5
_SEARCHED = 1000


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What is known of a run.

    Attributes:
        run_id: MLflow's id.
        name: its name.
        status: RUNNING, FINISHED, FAILED or KILLED.
        checkpoint: where it can be resumed from; empty before its first checkpoint.
        config: its configuration as nested dictionaries (``Config.from_dict`` reads them); empty in a list of runs.
        artifact_uri: where its artifacts are.
        experiment_id: its experiment.
        started: when it began.
        metrics: the last value of each metric.
        home: folder of the store when the run recorded its places; empty where it is no local one.
        store: folder of the store now; likewise.
    """

    run_id: str
    name: str
    status: str
    checkpoint: str
    config: Mapping[str, Any]
    artifact_uri: str
    experiment_id: str
    started: datetime
    metrics: Mapping[str, float]
    home: str = ""
    store: str = ""

    def here(self, place: str) -> str:
        """Where a place that the run has recorded lies now: runs may be moved with their store."""
        return relocated(place, Path(self.home), Path(self.store)) if self.home and self.store else place


def find_run(uri: str, ref: str) -> RunRecord:
    """The one run that ``ref`` means, with its configuration.

    Args:
        uri: of the store.
        ref: a run id, the beginning of one, a run's name, or ``STUDY/TRIAL``.

    Raises:
        UnknownRunError: no run or several of them match, or it is that of a whole study.
        TrackingError: the store does not answer, or the run left no configuration.
    """
    client = _open(uri, ref)
    with explained(uri), manners():
        run = _the_one(client, uri, ref, _experiment_ids(client, uri, None))
        tags = run.data.tags
        if not is_training(tags):
            raise UnknownRunError(
                f"{ref!r} must be a training, is a whole {tags[KIND_TAG]}; name one of its trainings by its id, or as "
                "STUDY/TRIAL: `dclf runs` lists them"
            )
        return _record(uri, run, _config(client, uri, run))


def recorded_run(uri: str, ref: str, experiment: str | None = None) -> RunRecord:
    """As ``find_run``, of any run, without its configuration; of this experiment only where one is named."""
    return _record(uri, find_mlflow_run(uri, ref, experiment), {})


@dataclass(frozen=True, kw_only=True)
class TrialRun:
    """A run of a study: one training of one trial.

    Attributes:
        run_id: MLflow's id.
        name: its name.
        study: the study's name.
        trial: number of the trial.
        seed: ``train.seed`` of the training.
    """

    run_id: str
    name: str
    study: str
    trial: int
    seed: int


def find_trial(uri: str, ref: str) -> TrialRun | None:
    """The training of a study that ``ref`` means; None where the run is of another kind.

    Args:
        uri: of the store.
        ref: a run id, the beginning of one, a run's name, or ``STUDY/TRIAL``.

    Raises:
        UnknownRunError: no run or several of them match.
        TrackingError: the store does not answer.
    """
    run = find_mlflow_run(uri, ref)
    tags = run.data.tags
    if not {STUDY_TAG, TRIAL_TAG, SEED_TAG} <= tags.keys():
        return None
    return TrialRun(
        run_id=run.info.run_id,
        name=run.info.run_name,
        study=tags[STUDY_TAG],
        trial=int(tags[TRIAL_TAG]),
        seed=int(tags[SEED_TAG]),
    )


def find_mlflow_run(uri: str, ref: str, experiment: str | None = None) -> Any:
    """As ``find_run``, of any run, as MLflow's own ``Run``."""
    client = _open(uri, ref)
    with explained(uri), manners():
        return _the_one(client, uri, ref, _experiment_ids(client, uri, experiment))


def list_runs(uri: str, experiment: str | None = None, limit: int = 100) -> list[RunRecord]:
    """The latest runs, newest first, without their configurations.

    Raises:
        UnknownExperimentError: the store has no such experiment.
        TrackingError: it does not answer.
    """
    client = open_client(uri)
    with explained(uri), manners():
        ids = _experiment_ids(client, uri, experiment)
        return [_record(uri, run, {}) for run in _search(client, ids, "", limit)]


def checkpoint_of(record: RunRecord) -> str:
    """Path or URI of a run's last checkpoint; TrackingError where it left none."""
    # Imported here: it brings Ray, which looking runs up can do without.
    from cluster.storage import latest_checkpoint  # noqa: PLC0415
    from dclf.data.storage import parent_and_name  # noqa: PLC0415 - and this pyarrow

    storage, run_id = parent_and_name(record.checkpoint)
    checkpoint = latest_checkpoint(storage, run_id) if record.checkpoint else None
    if checkpoint is None:
        raise TrackingError(
            f"run {record.name} ({record.run_id}) has no checkpoint at {record.checkpoint or 'any known place'}; "
            "it ended before its first epoch, or the folder was moved"
        )
    return checkpoint


def _open(uri: str, ref: str) -> Any:
    """The client of a store in which a run is looked up; UnknownRunError where it is a file that is not there."""
    if is_new(uri):
        raise UnknownRunError(f"{without_secrets(uri)} has no run with the id or name {ref!r}; there is no such file")
    return open_client(uri)


def experiment_ids(client: Any) -> list[str]:
    """The ids of all experiments of a store that are not deleted."""
    return [entry.experiment_id for entry in all_pages(client.search_experiments)]


def _experiment_ids(client: Any, uri: str, experiment: str | None) -> list[str]:
    if experiment is None:
        return experiment_ids(client)
    entry = client.get_experiment_by_name(experiment)
    if entry is None:
        names = ", ".join(other.name for other in client.search_experiments(max_results=_MOST_SHOWN))
        raise UnknownExperimentError(f"{without_secrets(uri)} has no experiment {experiment!r}; it has {names}")
    return [entry.experiment_id]


def _the_one(client: Any, uri: str, ref: str, experiments: list[str]) -> Any:
    for look in (_of_name, _beginning, _of_trial):
        runs = look(client, ref, experiments)
        if len(runs) == 1:
            return runs[0]
        if runs:
            raise UnknownRunError(f"{ref!r} means several runs; give an id:\n{_lines(runs)}")
    raise UnknownRunError(_missing(client, uri, ref, experiments))


def _of_name(client: Any, name: str, experiments: list[str]) -> list[Any]:
    """MLflow's filters have no escapes: a name that would need one is looked for among the latest runs."""
    if any(c in name for c in "\"'\\"):
        return [run for run in _search(client, experiments, "", _SEARCHED) if run.info.run_name == name]
    return _search(client, experiments, f'attributes.run_name = "{name}"', 2 * _MOST_SHOWN)


def _beginning(client: Any, ref: str, experiments: list[str]) -> list[Any]:
    return _search(client, experiments, f"attributes.run_id LIKE '{ref}%'", 2 * _MOST_SHOWN) if ref.isalnum() else []


def _of_trial(client: Any, ref: str, experiments: list[str]) -> list[Any]:
    """The trainings of ``STUDY/TRIAL``, one for each seed."""
    trial = trial_of(ref)
    if trial is None:
        return []
    return _search(client, experiments, tagged({STUDY_TAG: trial[0], TRIAL_TAG: trial[1]}), 2 * _MOST_SHOWN)


def trial_of(ref: str) -> tuple[str, str] | None:
    """Study and number of a trial that is written as ``STUDY/TRIAL``; None for what is no such reference."""
    study, _, number = ref.rpartition("/")
    return (study, number) if number.isdecimal() and not study_name_problem(study) else None


def _search(client: Any, experiments: list[str], condition: str, limit: int) -> list[Any]:
    if not experiments:
        return []
    return list(client.search_runs(experiments, condition, max_results=limit, order_by=["attributes.start_time DESC"]))


def _missing(client: Any, uri: str, ref: str, experiments: list[str]) -> str:
    recent = _search(client, experiments, "", _SEARCHED)
    names = {name: run for run in reversed(recent) for name in (run.info.run_name, run.info.run_id)}
    near = list({names[name].info.run_id: names[name] for name in difflib.get_close_matches(ref, names)}.values())
    runs = near or recent[:_MOST_SHOWN]
    hint = f"; {'near matches' if near else 'the latest runs'}:\n{_lines(runs)}" if runs else "; it has no runs yet"
    return f"{without_secrets(uri)} has no run with the id or name {ref!r}{hint}"


def _lines(runs: list[Any]) -> str:
    return "\n".join(
        f"  {run.info.run_id}  {run.info.run_name}  {run.info.status}  started {_started(run):%Y-%m-%d %H:%M:%S} UTC"
        for run in runs
    )


def _started(run: Any) -> datetime:
    return datetime.fromtimestamp(run.info.start_time / 1000, UTC)


def _config(client: Any, uri: str, run: Any) -> dict[str, Any]:
    """The configuration as the run's artifact has it: parameters are cut short where they are long."""
    with TemporaryFolder("run") as folder:
        try:
            file = client.download_artifacts(run.info.run_id, CONFIG_FILE, str(folder))
        except Exception as error:  # noqa: BLE001 - MLflow raises what its backends raise
            raise TrackingError(
                f"run {run.info.run_id} in {without_secrets(uri)} has no readable {CONFIG_FILE} ({cause_of(error)}); "
                "was it made by dclf, and were its unsent records sent (dclf track send)?"
            ) from None
        loaded: dict[str, Any] = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        return loaded


def _record(uri: str, run: Any, config: Mapping[str, Any]) -> RunRecord:
    """Return the record of a run, with its places where they lie now."""
    database, home = sqlite_path(uri), run.data.tags.get(HOME_TAG, "")
    record = RunRecord(
        run_id=run.info.run_id,
        name=run.info.run_name,
        status=run.info.status,
        checkpoint=run.data.tags.get(CHECKPOINT_TAG, ""),
        config=config,
        artifact_uri=run.info.artifact_uri,
        experiment_id=run.info.experiment_id,
        started=_started(run),
        metrics=dict(run.data.metrics),
        home=home,
        store="" if database is None else str(database.parent),
    )
    return replace(record, checkpoint=record.here(record.checkpoint), config=with_places(config, record.here))
