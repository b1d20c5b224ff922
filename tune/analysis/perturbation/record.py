"""Adds perturbation tests to the finished runs of their models in MLflow; a run's status stays what it is."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from tune.analysis.perturbation.files import write_text
from tune.analysis.perturbation.kept import read_json
from tune.analysis.perturbation.report import PerturbationReport
from tune.tracking import writes
from tune.tracking.find import RunRecord
from tune.tracking.manners import manners
from tune.tracking.store import open_client
from tune.tracking.trouble import explained
from tune.tracking.writes import Sender

RECORDED = "recorded.json"
"""In a folder of files: which run in MLflow has them."""


def perturbation_metrics(summary: Mapping[str, Any]) -> dict[str, float]:
    """``perturb/<condition>/wf1``, ``/wf1_std``, ``/drop`` and ``/draws``; ``perturb/raw/wf1``; WF1 as shares.

    Those of the validation split begin with ``perturb_val``.

    Args:
        summary: as ``PerturbationReport.to_dict`` gives it, and ``summary.json`` has it.
    """
    prefix = "perturb" if summary["split"] == "test" else f"perturb_{summary['split']}"
    found = {f"{prefix}/raw/wf1": float(summary["raw"]["wf1"])}
    for score in summary["conditions"]:
        spread = math.nan if score["wf1_std"] is None else score["wf1_std"]
        values = {"wf1": score["wf1"], "wf1_std": spread, "drop": score["drop"], "draws": score["draws"]}
        found |= {f"{prefix}/{score['name']}/{name}": float(value) for name, value in values.items()}
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
        _send(client, record.run_id, perturbation_metrics(report.to_dict()), files, report.split)


class Recorder:
    """Adds the tests of a study to its runs, each once: a mark beside the files says that they were sent.

    Args:
        uri: of the store; opened when there is something to send.
        split: whose utterances were scored.
    """

    def __init__(self, uri: str, split: str) -> None:
        self._uri = uri
        self._split = split
        self._client: Any = None

    def open(self) -> None:
        """Connect to the store.

        Raises:
            TrackingError: it does not answer.
        """
        if self._client is None:
            self._client = open_client(self._uri)

    def send(self, run_id: str, files: Sequence[Path], metrics: Mapping[str, float]) -> None:
        """Write to a run, unless it has these files already; nothing happens for a training without a run.

        Raises:
            TrackingError: the store does not answer or does not take them.
        """
        mark = files[0].with_name(RECORDED)
        wanted = {"run_id": run_id, "files": {file.name: _hash(file) for file in files}}
        if not run_id or read_json(mark) == wanted:
            return
        self.open()
        with explained(self._uri), manners():
            _send(self._client, run_id, metrics, files, self._split)
        write_text(mark, json.dumps(wanted) + "\n")


def _send(client: Any, run_id: str, metrics: Mapping[str, float], files: Iterable[Path], split: str) -> None:
    run = client.get_run(run_id)
    send = Sender(client, run_id, run.info.experiment_id)
    known = run.data.metrics
    new = {key: value for key, value in metrics.items() if not _same(known.get(key, math.nan), value)}
    if new:
        send(writes.metrics(new, 0))
    for file in files:
        send(writes.artifact(file, f"perturbations/{split}"))


def _same(known: float, value: float) -> bool:
    """MLflow keeps every point of a metric: one that repeats the last is left out, and so is a NaN after nothing."""
    return known == value or (math.isnan(known) and math.isnan(value))


def _hash(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()
