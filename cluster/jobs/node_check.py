"""Every node proves that it can do its part of a job, before the job's command runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pyarrow as pa
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster.jobs.endpoint import JobError
from cluster.jobs.versions import mismatches, own_versions
from cluster.storage import checked_storage
from dclf.data import read_shards
from dclf.data.manifest import MANIFEST
from dclf.data.storage import Folder
from dclf.errors import first_line

LIMIT_S = 120.0
"""How long the nodes may take, starting a process and unpacking the job's folder included."""
REMEDY = "mount the same folder on every node under the same path, or name a place that all of them reach"


@dataclass(frozen=True)
class Needs:
    """What a job's command will need on every node.

    Attributes:
        shards: folders or URIs of shards to be read.
        storages: key of the configuration -> folder or URI to be written, shared by all nodes.
        everywhere: False where the command works on the head node alone.
    """

    shards: tuple[str, ...] = ()
    storages: Mapping[str, str] = field(default_factory=dict)
    everywhere: bool = True

    @property
    def places(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.shards, *self.storages.values())


def check_nodes(needs: Needs) -> list[str]:
    """Try everything on every node of the cluster that this process is connected to, or on this one alone.

    Returns:
        The names of all nodes, sorted; none where this one is enough, which needs no Ray.

    Raises:
        JobError: a node lacks something; a line for each.
        StorageError: this node cannot write a storage itself.
        DataError: this node cannot read the shards itself.
    """
    digests = {shards: _digest(shards) for shards in needs.shards}
    with _Marks(needs.storages) as marks:
        nodes = {node["NodeID"]: _node_name(node) for node in _alive()} if needs.everywhere else {}
        faults = dict(_faults(nodes, digests, needs.storages, marks.name)) if nodes else {}
        for node_id in nodes.keys() - faults.keys():
            faults[node_id] = marks.missing(node_id)
    if lines := [f"node {name}: {fault}" for node_id, name in nodes.items() for fault in faults[node_id]]:
        raise JobError("\n".join([*lines, f"nothing was started; {REMEDY}"]))
    return sorted(nodes.values())


class _Marks:
    """A file in each storage that all nodes must see, and one of each node that this one must see."""

    def __init__(self, storages: Mapping[str, str]) -> None:
        self.name = f".nodes-{uuid4().hex}"
        self._storages = storages

    def __enter__(self) -> _Marks:
        try:
            for key, storage in self._storages.items():
                _write(checked_storage(storage, "", resuming=True, key=key), self.name)
        except BaseException:
            self._delete()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._delete()

    def _delete(self) -> None:
        """Delete all of them, as far as the storages let it."""
        for storage in self._storages.values():
            with suppress(OSError, ValueError, pa.ArrowException):
                folder = Folder.of(storage)
                for name in folder.names():
                    if name.startswith(self.name):
                        folder.delete(name)

    def missing(self, node_id: str) -> list[str]:
        """What is wrong where a node wrote, but elsewhere."""
        return [
            f"{key}: what it writes to {storage} does not appear on the head node"
            for key, storage in self._storages.items()
            if not Folder.of(storage).exists(f"{self.name}-{node_id}")
        ]


def _faults(
    nodes: Collection[str], digests: Mapping[str, str], storages: Mapping[str, str], mark: str
) -> Iterator[tuple[str, list[str]]]:
    """Yield the id of every node with a fault or without an answer, and what is wrong with it."""
    task = ray.remote(try_node)
    tasks = {
        task.options(
            num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False)
        ).remote(digests, storages, mark, node_id, own_versions()): node_id
        for node_id in nodes
    }
    answered, late = ray.wait(list(tasks), num_returns=len(tasks), timeout=LIMIT_S)
    yield from ((tasks[reference], [f"did not answer within {LIMIT_S:.0f} s"]) for reference in late)
    for reference in answered:
        try:
            faults = ray.get(reference)
        except ray.exceptions.RayError as error:
            faults = [f"could not run a task ({first_line(error)}); where it lacks packages, submit with --install"]
        if faults:
            yield tasks[reference], faults


def try_node(
    digests: Mapping[str, str], storages: Mapping[str, str], mark: str, node_id: str, versions: Mapping[str, str]
) -> list[str]:
    """What is wrong on the node that this runs on."""
    differing = sorted(mismatches(own_versions(), versions))
    faults = [f"has {', '.join(differing)}, the head node other ones"] if differing else []
    for shards, digest in digests.items():
        faults += _shards_fault(shards, digest)
    for key, storage in storages.items():
        faults += _storage_fault(key, storage, mark, node_id)
    return faults


def _shards_fault(shards: str, digest: str) -> list[str]:
    try:
        return [] if _digest(shards) == digest else [f"data.shards: {shards} holds other shards than on the head node"]
    except (OSError, ValueError, pa.ArrowException) as error:
        return [f"data.shards: cannot read {shards} ({error})"]


def _storage_fault(key: str, storage: str, mark: str, node_id: str) -> list[str]:
    try:
        folder = Folder.of(storage)
        if not folder.exists(mark):
            return [f"{key}: {storage} is not the folder that the head node sees under this path"]
        _write(checked_storage(storage, "", resuming=True, key=key), f"{mark}-{node_id}")
    except (OSError, ValueError, pa.ArrowException) as error:
        return [str(error)]
    return []


def _digest(shards: str) -> str:
    read_shards(shards)
    return Folder.of(shards).sha256(MANIFEST)


def _write(folder: Folder, name: str) -> None:
    with folder.filesystem.open_output_stream(folder.path(name)) as stream:
        stream.write(b"dclf\n")


def _alive() -> Sequence[Mapping[str, Any]]:
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node for node in nodes if node["Alive"]]


def _node_name(node: Mapping[str, Any]) -> str:
    """The name it was given; where that is its address, with the beginning of its id."""
    name, address = str(node.get("NodeName") or ""), str(node["NodeManagerAddress"])
    return name if name and name != address else f"{address} ({node['NodeID'][:8]})"
