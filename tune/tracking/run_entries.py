"""Trainings as MLflow has them, with parameters, metrics and tags: for lists and comparisons of runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tune.config.yaml_files import ConfigError
from tune.tracking.children import SEED_TAG, STATE_TAG, STUDY_TAG, TRIAL_TAG, is_training
from tune.tracking.ending import STATUS_TAG
from tune.tracking.find import experiment_ids, find_mlflow_run
from tune.tracking.manners import manners
from tune.tracking.store import open_client
from tune.tracking.trouble import explained

STATUSES = ("running", "finished", "pruned", "failed", "killed", "scheduled")
AT_A_TIME = 500
"""Runs of one request; each takes some milliseconds."""
_OURS = f"tags.`{STATUS_TAG}` LIKE '%'"
"""Only runs of this project have the tag; a server may be shared with others."""


@dataclass(frozen=True, kw_only=True)
class RunEntry:
    """One training.

    Attributes:
        run_id: MLflow's id.
        name: its name.
        status: MLflow's, in small letters; ``pruned`` for the training of a trial that was stopped early.
        started: when it began.
        ended: when it ended; None while it goes on.
        params: dotted key of the configuration -> value as text.
        metrics: the last value of each metric.
        tags: all of them.
    """

    run_id: str
    name: str
    status: str
    started: datetime
    ended: datetime | None
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]

    @property
    def study(self) -> str:
        """Name of the study that it is a training of; empty for a run of ``dclf train``."""
        return self.tags.get(STUDY_TAG, "")

    @property
    def is_training(self) -> bool:
        """Whether it is a training, and not the parent of some or the page of a reproduction."""
        return is_training(self.tags)

    @property
    def trial(self) -> int | None:
        """Number of its trial; None for a run of ``dclf train``."""
        return int(self.tags[TRIAL_TAG]) if TRIAL_TAG in self.tags else None

    @property
    def seed(self) -> int | None:
        """``train.seed``; None where the run does not say."""
        text = self.tags.get(SEED_TAG, self.params.get("train.seed", ""))
        return int(text) if text.isdecimal() else None


def trainings(uri: str, conditions: str = "", at_a_time: int = AT_A_TIME) -> Iterator[RunEntry]:
    """Give the trainings of all experiments, newest first; those that a caller does not ask for are not fetched.

    Args:
        uri: of the store.
        conditions: in MLflow's filter language; all where empty.
        at_a_time: how many are fetched in one request; those of the store's runs that are no trainings count.

    Raises:
        ConfigError: MLflow does not take the conditions.
        TrackingError: the store does not answer.
    """
    client = open_client(uri)
    with explained(uri), manners():
        experiments = experiment_ids(client)
    condition = " AND ".join(part for part in (_OURS, conditions) if part)
    token: str | None = "" if experiments else None
    while token is not None:
        page = _page(client, uri, experiments, condition, token, at_a_time)
        yield from (entry for run in page if (entry := _entry(run)).is_training)
        token = page.token or None


def _page(client: Any, uri: str, experiments: list[str], condition: str, token: str, size: int) -> Any:
    with explained(uri), manners() as mlflow:
        try:
            return client.search_runs(
                experiments,
                condition,
                max_results=size,
                order_by=["attributes.start_time DESC"],
                page_token=token or None,
            )
        except mlflow.exceptions.MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            cause = str(error).splitlines()[0].removeprefix("INVALID_PARAMETER_VALUE: ")
    example = "metrics.`test/wf1` > 0.6 AND params.`model.name` = 'mmgcn'"
    raise ConfigError([f"--filter: must be in MLflow's filter language, as in {example}; MLflow says: {cause}"])


def read_training(uri: str, ref: str) -> RunEntry:
    """The one training that ``ref`` means.

    Args:
        uri: of the store.
        ref: a run id, the beginning of one, or a run's name.

    Raises:
        UnknownRunError: no run or several of them match.
        TrackingError: the store does not answer.
    """
    return _entry(find_mlflow_run(uri, ref))


def best_scores(uri: str, run: RunEntry) -> dict[str, float]:
    """``val/<score>`` of the best epoch and ``test/<score>`` as far as it was scored, in [0, 1].

    Scores are ``wf1``, ``wa`` and ``f1/<class>``; what a run lacks is left out.

    Raises:
        TrackingError: the store does not answer.
    """
    names = [name for name in run.metrics if name.startswith(("val/", "test/")) and _is_headline(name)]
    scores = {name: run.metrics[name] for name in names if name.startswith("test/")}
    if "best/val_wf1" in run.metrics:
        scores["val/wf1"] = run.metrics["best/val_wf1"]
    if "best/epoch" in run.metrics:
        client, best = open_client(uri), int(run.metrics["best/epoch"])
        with explained(uri), manners():
            for name in names:
                # The last value of a metric is the last epoch's.
                if name.startswith("val/"):
                    points = client.get_metric_history(run.run_id, name)
                    scores.update((name, point.value) for point in points if point.step == best)
    return scores


def _is_headline(name: str) -> bool:
    score = name.partition("/")[2]
    return score in ("wf1", "wa") or score.startswith("f1/")


def _entry(run: Any) -> RunEntry:
    tags = dict(run.data.tags)
    status = str(run.info.status).lower()
    return RunEntry(
        run_id=run.info.run_id,
        name=run.info.run_name,
        status="pruned" if tags.get(STATE_TAG) == "pruned" and status == "finished" else status,
        started=_time(run.info.start_time),
        ended=_time(run.info.end_time) if run.info.end_time else None,
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags=tags,
    )


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
