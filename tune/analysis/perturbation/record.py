"""Adds perturbation tests to the finished runs of their models in MLflow; a run's status stays what it is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from tune.analysis.perturbation.files import read_json
from tune.analysis.perturbation.scores import ModelScores
from tune.config.local_files import save_text
from tune.tracking import writes
from tune.tracking.manners import manners
from tune.tracking.store import open_client
from tune.tracking.trouble import explained
from tune.tracking.writes import Sender

RECORDED = "recorded.json"
"""In a folder of files: which run in MLflow has which of them."""


def perturbation_metrics(scores: ModelScores) -> dict[str, float]:
    """Return ``perturb/<condition>/wf1``, ``/wf1_std``, ``/drop``, ``/draws`` and ``perturb/raw/wf1``; WF1 as shares.

    Those of the validation split begin with ``perturb_val``.
    """
    prefix = "perturb" if scores.split == "test" else f"perturb_{scores.split}"
    metrics = {f"{prefix}/raw/wf1": scores.raw}
    for score in scores.scores:
        values = {"wf1": score.wf1, "wf1_std": score.deviation, "drop": score.drop, "draws": float(len(score.values))}
        metrics |= {f"{prefix}/{score.name}/{name}": value for name, value in values.items()}
    return metrics


class Recorder:
    """Adds files and metrics to runs, each once: a mark beside the files says which were sent.

    Args:
        uri: of the store, opened when there is something to send; empty for models that have no runs.
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
        if self._uri and self._client is None:
            self._client = open_client(self._uri)

    def send(self, run_id: str, files: Sequence[Path], metrics: Mapping[str, float]) -> None:
        """Write to a run what it has not got yet; nothing happens for a model without a run.

        Args:
            run_id: MLflow's id of the run, or empty.
            files: of one folder; they go to the artifact folder ``perturbations/<split>``.
            metrics: as the files have them.

        Raises:
            TrackingError: the store does not answer or does not take them.
        """
        mark = files[0].with_name(RECORDED)
        record = read_json(mark) or {}
        before = record.get("files", {}) if record.get("run_id") == run_id else {}
        hashes = {file.name: sha256(file.read_bytes()).hexdigest() for file in files}
        if not self._uri or not run_id or hashes.items() <= before.items():
            return
        self.open()
        with explained(self._uri), manners():
            self._write(run_id, files, metrics)
        save_text(mark, json.dumps({"run_id": run_id, "files": before | hashes}) + "\n")

    def _write(self, run_id: str, files: Sequence[Path], metrics: Mapping[str, float]) -> None:
        run = self._client.get_run(run_id)
        send = Sender(self._client, run_id, run.info.experiment_id)
        latest = run.data.metrics
        new = {key: value for key, value in metrics.items() if not _same(latest.get(key, math.nan), value)}
        if new:
            send(writes.metrics(new, 0))
        for file in files:
            send(writes.artifact(file, f"perturbations/{self._split}"))


def _same(latest: float, value: float) -> bool:
    """Return whether a value repeats the last one, and so need not be sent: MLflow keeps every point of a metric."""
    return latest == value or (math.isnan(latest) and math.isnan(value))
