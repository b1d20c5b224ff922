"""One write to a run as plain data, so that it can wait in memory or in a file, and how it reaches MLflow.

Every write may be sent twice without harm, since an answer can be lost after the server has done the work: MLflow keeps
one copy of a metric with the same key, step, timestamp and value, parameters and tags are set to what they are, files
are overwritten, and a logged model carries the write's own token.
"""

from __future__ import annotations

import json
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tune.tracking.manners import manners
from tune.tracking.model import send_model

_PER_BATCH = 100
_METRICS_PER_BATCH = 900
"""MLflow takes a thousand entries, a hundred tags among them."""
FILES = {"artifact": ("file",), "model": ("folder",)}
"""Kind -> keys of the body that name files of this machine."""
_LONGEST = {"params": 6000, "tags": 8000}


@dataclass(frozen=True)
class Write:
    """What to write.

    Attributes:
        kind: ``params``, ``tags``, ``metrics``, ``history``, ``dataset``, ``artifact``, ``text``, ``model`` or
            ``status``.
        body: JSON-ready content, as the functions below make it.
    """

    kind: str
    body: Mapping[str, Any]

    def to_json(self) -> str:
        """One line."""
        return json.dumps({"kind": self.kind, "body": self.body})

    @classmethod
    def from_json(cls, line: str) -> Write:
        """The inverse of ``to_json``; KeyError or ValueError when the line is not one."""
        data = json.loads(line)
        return cls(kind=data["kind"], body=data["body"])


def now_ms() -> int:
    """Milliseconds since the epoch, as MLflow counts."""
    return time.time_ns() // 1_000_000


def text_values(kind: str, values: Mapping[str, Any]) -> list[Write]:
    """Parameters or tags as text, a hundred per write; what is too long for MLflow ends in an ellipsis."""
    texts = [(key, _text(value, _LONGEST[kind])) for key, value in values.items()]
    return [Write(kind, {"values": dict(texts[i : i + _PER_BATCH])}) for i in range(0, len(texts), _PER_BATCH)]


def stamp(when: float) -> int:
    """Seconds since the epoch as MLflow counts, in milliseconds."""
    return round(1000 * when)


def metrics(values: Mapping[str, float], step: int, timestamp: int | None = None) -> Write:
    """Metrics of one step, stamped with the present time unless told otherwise."""
    return Write(
        "metrics", {"values": dict(values), "step": step, "timestamp": now_ms() if timestamp is None else timestamp}
    )


def history(several: Sequence[Write], tags: Mapping[str, str] | None = None) -> Write:
    """Metrics of several steps in one write, which takes hardly longer than those of one; tags along with them."""
    return Write("history", {"steps": [write.body for write in several], "tags": dict(tags or {})})


def without_metrics(write: Write, names: Container[str]) -> Write:
    """The write without metrics of these names, at whatever step."""
    if write.kind not in ("metrics", "history"):
        return write
    steps = [write.body] if write.kind == "metrics" else write.body["steps"]
    rest = [{**step, "values": {key: v for key, v in step["values"].items() if key not in names}} for step in steps]
    return Write("history", {"steps": rest, "tags": write.body.get("tags", {})})


def artifact(file: Path, folder: str = "") -> Write:
    """A staged file for a folder of the run's artifacts."""
    return Write("artifact", {"file": str(file), "folder": folder})


def text(name: str, content: str) -> Write:
    """A text file among the run's artifacts, by its path there; nothing is staged."""
    return Write("text", {"file": name, "text": content})


def status(value: str) -> Write:
    """The end of the run: FINISHED, FAILED or KILLED, now."""
    return Write("status", {"status": value, "end_time": now_ms()})


def _text(value: Any, longest: int) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    # A command line or path may hold bytes that are no text, which no database takes.
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= longest else text[: longest - 1] + "…"


@dataclass(frozen=True)
class Sender:
    """Sends writes to one run.

    Attributes:
        client: an ``mlflow.MlflowClient``.
        run_id: the run.
        experiment_id: its experiment.
    """

    client: Any
    run_id: str
    experiment_id: str

    def __call__(self, write: Write) -> None:
        """Send one write; raises what MLflow raises."""
        with manners() as mlflow:
            getattr(self, f"_send_{write.kind}")(mlflow.entities, write.body)

    def _send_params(self, entities: Any, body: Mapping[str, Any]) -> None:
        params = [entities.Param(key, value) for key, value in body["values"].items()]
        self.client.log_batch(self.run_id, params=params, synchronous=True)

    def _send_tags(self, entities: Any, body: Mapping[str, Any]) -> None:
        tags = [entities.RunTag(key, value) for key, value in body["values"].items()]
        self.client.log_batch(self.run_id, tags=tags, synchronous=True)

    def _send_metrics(self, entities: Any, body: Mapping[str, Any]) -> None:
        self._send_history(entities, {"steps": [body]})

    def _send_history(self, entities: Any, body: Mapping[str, Any]) -> None:
        points = [
            entities.Metric(key, value, step["timestamp"], step["step"])
            for step in body["steps"]
            for key, value in step["values"].items()
        ]
        tags = [entities.RunTag(key, value) for key, value in body.get("tags", {}).items()]
        for first in range(0, max(len(points), bool(tags)), _METRICS_PER_BATCH):
            batch = points[first : first + _METRICS_PER_BATCH]
            self.client.log_batch(self.run_id, metrics=batch, tags=() if first else tags, synchronous=True)

    def _send_dataset(self, entities: Any, body: Mapping[str, Any]) -> None:
        tags = [entities.InputTag("mlflow.data.context", body["context"])]
        self.client.log_inputs(self.run_id, [entities.DatasetInput(entities.Dataset(**body["dataset"]), tags)])

    def _send_artifact(self, _entities: Any, body: Mapping[str, Any]) -> None:
        self.client.log_artifact(self.run_id, body["file"], body["folder"] or None)

    def _send_text(self, _entities: Any, body: Mapping[str, Any]) -> None:
        self.client.log_text(self.run_id, body["text"], body["file"])

    def _send_model(self, _entities: Any, body: Mapping[str, Any]) -> None:
        send_model(self.client, self.run_id, self.experiment_id, body)

    def _send_status(self, _entities: Any, body: Mapping[str, Any]) -> None:
        self.client.set_terminated(self.run_id, status=body["status"], end_time=body["end_time"])
