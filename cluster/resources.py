"""What a Ray cluster has, as far as planning needs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor
from typing import Any

from dclf.prose import quantity


@dataclass(frozen=True, kw_only=True)
class Node:
    """One machine: its CPU and GPU slots."""

    cpus: float
    gpus: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ClusterResources:
    """A cluster's machines.

    Attributes:
        nodes: the machines that are alive.
        free_cpus: CPU slots that nobody uses right now; all of them where None.
        free_gpus: GPUs, and parts of them, likewise.
    """

    nodes: tuple[Node, ...]
    free_cpus: float | None = None
    free_gpus: float | None = None

    @property
    def cpus(self) -> int:
        """Whole CPU slots, counted machine by machine."""
        return sum(floor(node.cpus) for node in self.nodes)

    @property
    def gpus(self) -> int:
        """Whole GPUs."""
        return sum(floor(node.gpus) for node in self.nodes)

    @property
    def busy_cpus(self) -> float:
        """CPU slots in use."""
        return 0.0 if self.free_cpus is None else self.cpus - self.free_cpus

    def describe(self) -> str:
        """What there is, in words."""
        machines = quantity(len(self.nodes), "machine")
        gpus = f" and {quantity(self.gpus, 'GPU')}" if self.gpus else ""
        free = "" if self.free_cpus is None else f", {self.free_cpus:g} of the CPU slots free"
        return f"{quantity(self.cpus, 'CPU slot')}{gpus} on {machines}{free}"

    def busy_notes(self, needed: int, outcome: str, gpus: float = 0.0) -> Iterator[str]:
        """Yield a sentence where fewer CPU slots are free than needed, and one where fewer GPUs are.

        Args:
            needed: whole CPU slots.
            outcome: what follows from it, such as ``trials wait until enough are free``.
            gpus: that are needed, shares of one added up.
        """
        if self.busy_cpus > self.cpus - needed:
            yield f"{self.busy_cpus:g} of {self.cpus} CPU slots are busy: {outcome}"
        if self.free_gpus is not None and gpus > self.free_gpus + 1e-6:  # shares add up to a card but for rounding
            yield f"{self.gpus - self.free_gpus:g} of {self.gpus} GPUs are busy: {outcome}"


def cluster_resources() -> ClusterResources:
    """What the cluster this process is connected to has now."""
    import ray  # noqa: PLC0415 - planning for this machine alone needs no Ray

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    return ClusterResources(
        nodes=tuple(Node(cpus=node.get("CPU", 0.0), gpus=node.get("GPU", 0.0)) for node in alive),
        free_cpus=free.get("CPU", 0.0),
        free_gpus=free.get("GPU", 0.0),
    )
