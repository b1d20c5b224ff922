"""A head and a worker node of two CPU slots each, which may be killed and started again."""

from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.tune.runner.processes import Processes, suspend_in, title
from tests.tune.runner.ray_nodes import Nodes

CPUS = 2


class TwoNodes:
    """A cluster whose nodes are lost and come back.

    Args:
        folder: for the nodes' logs.
        processes: marks all of them and the drivers; its environment names the token.
    """

    def __init__(self, folder: Path, processes: Processes) -> None:
        self.processes = processes
        self._nodes = Nodes(folder, processes)

    @property
    def address(self) -> str:
        return self._nodes.address

    @property
    def environment(self) -> Mapping[str, str]:
        return self.processes.environment

    def start(self) -> None:
        """A head, at an address of its own, and a worker."""
        self._head = self._nodes.head(CPUS)
        self.return_worker()

    def lose_worker(self) -> None:
        """SIGKILL to all its processes."""
        self._nodes.kill(self._worker)

    def return_worker(self) -> None:
        """Another worker node joins."""
        self._worker = self._nodes.add(CPUS)

    def lose_head(self) -> None:
        """SIGKILL to all processes of the head; the worker is of no use without it."""
        self._nodes.kill(self._head)
        self._nodes.kill(self._worker)

    def running(self, word: str) -> tuple[int, int]:
        """How many processes with this in their title are on the head and on the worker."""
        head, worker = (sum(word in title(child) for child in _below(node)) for node in (self._head, self._worker))
        return head, worker

    def suspend_worker_in(self, step: str) -> bool:
        """Whether a process of the worker is in a step; it is suspended there, until the worker is lost."""
        return suspend_in(step, _below(self._worker)) is not None

    def end(self) -> None:
        self._nodes.end()


def _below(node: psutil.Process) -> list[psutil.Process]:
    try:
        return node.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
