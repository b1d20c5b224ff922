"""What a child run of a study says, as writes: the same while the study goes on and when it is made again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dclf.config import Config
from dclf.training.reports import EpochReport
from tune.study.definition import StudyDefinition
from tune.study.ledger import TrialRecord
from tune.tracking import records, writes
from tune.tracking.children import KIND_TAG, PARENT_TAG, SEED_TAG, STATE_TAG, STUDY_TAG, TRIAL_TAG
from tune.tracking.ending import STATUS_TAG
from tune.tracking.writes import Write

EPOCH_METRIC = "epoch_seconds"
"""A metric that every epoch has; its last step is the last epoch that the run knows."""


def child_tags(definition: StudyDefinition, parent: str, number: int, seed: int) -> dict[str, str]:
    """Tags by which a run is found, and those of a training under way.

    Args:
        definition: of the study.
        parent: MLflow's id of the parent run.
        number: the trial.
        seed: the training.
    """
    return {
        PARENT_TAG: parent,
        STUDY_TAG: definition.name,
        KIND_TAG: "trial",
        TRIAL_TAG: str(number),
        SEED_TAG: str(seed),
        STATE_TAG: "running",
        STATUS_TAG: "running",
    }


def begun(trial: TrialRecord, seed: int, config: Config, tags: Mapping[str, Any]) -> list[Write]:
    """A training begins: its configuration, where the trial comes from, and further tags; not those of the user."""
    said = {**tags, "seed": seed, "dclf.origin": trial.origin}
    return [*writes.text_values("tags", said), *writes.text_values("params", records.config_params(config))]


def epoch_write(report: EpochReport) -> Write:
    """A finished epoch."""
    return writes.metrics(records.epoch_metrics(report), report.epoch)


def epochs_write(history: Sequence[EpochReport]) -> list[Write]:
    """Finished epochs in one write; none where there are none."""
    return [writes.history([epoch_write(report) for report in history])] if history else []


def seed_write(objectives: Iterable[str], values: tuple[float, ...], report: EpochReport) -> Write:
    """A training is over: its objective values, at its best epoch."""
    return writes.metrics(objective_metrics(objectives, values), report.best_epoch)


def objective_metrics(objectives: Iterable[str], values: tuple[float, ...]) -> dict[str, float]:
    """Objective values under their metrics' names."""
    return records.metric_names(dict(zip(objectives, values, strict=True)), "objective")


def test_write(scores: Mapping[str, float]) -> Write:
    """Scores on the test split."""
    return writes.metrics(records.metric_names(scores, "test"), 0)


TEST_METRIC = "test/wf1"
"""A metric of every run that was scored on the test split."""


def final_status(trial: TrialRecord) -> str:
    """MLflow's word for how a trial ended."""
    return "FAILED" if trial.state == "failed" else "FINISHED"


def ended(trial: TrialRecord) -> list[Write]:
    """A trial has ended."""
    said = {STATE_TAG: trial.state, STATUS_TAG: f"{trial.state}: {trial.reason}".rstrip(": ")}
    when = writes.now_ms() if trial.ended is None else int(trial.ended * 1000)
    status = Write("status", {"status": final_status(trial), "end_time": when})
    return [*writes.text_values("tags", said), status]


def cut_short() -> list[Write]:
    """A trial that has not ended, and nobody works on."""
    said = {STATE_TAG: "waiting", STATUS_TAG: "killed: the study was cut short"}
    return [*writes.text_values("tags", said), writes.status("KILLED")]
