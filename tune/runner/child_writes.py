"""What a child run of a study says, as writes: the same while the study goes on and when it is sent again.

Metrics have the times of epochs, and of lines of the ledger, so that MLflow keeps what it is sent twice once.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dclf.config import Config
from dclf.training.reports import EpochReport, class_names
from tune.study.definition import StudyDefinition
from tune.study.ledger import Ledger, TrialRecord
from tune.tracking import records, writes
from tune.tracking.children import KIND_TAG, PARENT_TAG, SEED_TAG, STATE_TAG, STUDY_TAG, TRIAL_TAG, Key
from tune.tracking.ending import STATUS_TAG
from tune.tracking.writes import Write

REUSED_TAG = "dclf.reused_from"
TEST_METRIC = "test/wf1"
"""A metric of every run that was scored on the test split."""


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


def start_writes(
    trial: TrialRecord, seed: int, config: Config, tags: Mapping[str, Any], had: Container[str] = ()
) -> list[Write]:
    """Return the writes of a training that begins: origin and further tags, not the user's, and the configuration.

    That is its parameters, and the file for ``dclf train`` that every run has.

    Args:
        trial: the trial.
        seed: the training.
        config: the training's.
        tags: further ones.
        had: parameters that the run has; a population changes the trial's, and MLflow refuses another value.
    """
    all_tags = {**tags, "seed": seed, "dclf.origin": trial.origin}
    params = {key: value for key, value in records.config_params(config).items() if key not in had}
    file = writes.text(records.CONFIG_FILE, records.config_yaml(config))
    return [*writes.text_values("tags", all_tags), *writes.text_values("params", params), file]


def epochs_write(reports: Sequence[EpochReport]) -> list[Write]:
    """Finished epochs in one write; none where there are none."""
    return [writes.history([records.epoch_write(report) for report in reports])] if reports else []


def dated(reports: Iterable[EpochReport], started: float) -> Iterator[EpochReport]:
    """Epochs with the times they ended; those of earlier versions, which kept none, as if one had followed the other.

    Args:
        reports: consecutive epochs, from the first one where some have no time.
        started: when the trial did, in seconds since the epoch.
    """
    for report in reports:
        started = report.ended or started + report.seconds
        yield replace(report, ended=started)


def seed_write(objectives: Iterable[str], values: tuple[float, ...], report: EpochReport) -> Write:
    """Return the write of a finished training: its objective values, at its best epoch and the time of its last one.

    Args:
        objectives: of the study.
        values: one for each.
        report: the last epoch.
    """
    return writes.metrics(objective_metrics(objectives, values), report.best_epoch, writes.stamp(report.ended))


def objective_metrics(objectives: Iterable[str], values: tuple[float, ...]) -> dict[str, float]:
    """Objective values under their metrics' names."""
    return records.metric_names(dict(zip(objectives, values, strict=True)), "objective")


def validation_writes(best: EpochReport) -> list[Write]:
    """The confusion matrix of the best epoch on the validation split; none of epochs that earlier versions trained."""
    return [records.confusion_write("val", best.class_names, best.confusion)] if best.confusion else []


def test_writes(ledger: Ledger, key: Key) -> list[Write]:
    """Scores on the test split, of the time at which they were taken, and the confusion matrix.

    Args:
        ledger: of the study, which has them.
        key: trial and seed.
    """
    scores = ledger.tested[key]
    metrics = writes.metrics(records.metric_names(scores, "test"), 0, writes.stamp(ledger.tested_at[key]))
    if (confusion := ledger.test_confusion.get(key)) is None:
        return [metrics]
    return [metrics, records.confusion_write("test", class_names(scores), confusion)]


def reused_write(study: str, run_id: str) -> list[Write]:
    """Return the write of a training that was taken over from a run of another study."""
    return writes.text_values("tags", {REUSED_TAG: f"{study}, run {run_id}"})


def final_status(trial: TrialRecord) -> str:
    """MLflow's word for how a trial ended."""
    return "FAILED" if trial.state == "failed" else "FINISHED"


def end_writes(trial: TrialRecord) -> list[Write]:
    """Return the writes of a trial that has ended."""
    tags = {STATE_TAG: trial.state, STATUS_TAG: f"{trial.state}: {trial.reason}".rstrip(": ")}
    when = writes.now_ms() if trial.ended is None else writes.stamp(trial.ended)
    status = Write("status", {"status": final_status(trial), "end_time": when})
    return [*writes.text_values("tags", tags), status]


def cut_writes() -> list[Write]:
    """Return the writes of a trial that has not ended and that nobody works on."""
    tags = {STATE_TAG: "waiting", STATUS_TAG: "killed: the study was cut short"}
    return [*writes.text_values("tags", tags), writes.status("KILLED")]
