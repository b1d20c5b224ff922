"""Adds a perturbation test to the finished run of its model in MLflow; the run's status stays what it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from tune.perturbed.report import PerturbationReport
from tune.tracking import writes
from tune.tracking.find import RunRecord
from tune.tracking.manners import manners
from tune.tracking.store import open_client
from tune.tracking.trouble import explained
from tune.tracking.writes import Sender


def perturbation_metrics(report: PerturbationReport) -> dict[str, float]:
    """``perturb/<condition>/wf1``, ``/wf1_std``, ``/drop`` and ``/draws``; ``perturb/raw/wf1``; WF1 as shares.

    Those of the validation split begin with ``perturb_val``.
    """
    prefix = "perturb" if report.split == "test" else f"perturb_{report.split}"
    found = {f"{prefix}/raw/wf1": report.raw}
    for score in report.scores:
        values = {"wf1": score.wf1, "wf1_std": score.deviation, "drop": score.drop, "draws": len(score.values)}
        found |= {f"{prefix}/{score.name}/{name}": float(value) for name, value in values.items()}
    return found


def record_test(uri: str, record: RunRecord, report: PerturbationReport, files: Sequence[Path]) -> None:
    """Write metrics and files to the run, over those of an earlier test.

    Args:
        uri: of the store.
        record: the run.
        report: what the test found.
        files: go to the artifact folder ``perturbations/<split>``.

    Raises:
        TrackingError: the store does not answer or does not take them.
    """
    client = open_client(uri)
    with explained(uri), manners():
        send = Sender(client, record.run_id, record.experiment_id)
        known = client.get_run(record.run_id).data.metrics
        new = {key: v for key, v in perturbation_metrics(report).items() if not _same(known.get(key, math.nan), v)}
        if new:
            send(writes.metrics(new, 0))
        for file in files:
            send(writes.artifact(file, f"perturbations/{report.split}"))


def _same(known: float, value: float) -> bool:
    """MLflow keeps every point of a metric: one that repeats the last is left out, and so is a NaN after nothing."""
    return known == value or (math.isnan(known) and math.isnan(value))
