"""A Ray cluster of several nodes on loopback, with a token, whose nodes may be killed one by one."""

import subprocess
import sys
from pathlib import Path

import psutil

from cluster.session import NO_API_SERVER
from tests.ports import free_ports
from tests.tune.runner.processes import Processes, kill_tree
from tests.tune.tracking.server import wait_until

JOIN_S = 120
NODE_SETTINGS = {
    # Ray puts its workers behind every other process of the machine: beside other tests on the same cores they would
    # hardly ever have a turn.
    "RAY_worker_niceness": "0",
    # A worker per slot that starts with each driver, and that the trials, with an environment of their own, cannot use.
    "RAY_prestart_worker_first_driver": "0",
    # Processes that start together wait for each other's sockets: they look again at once, and not a second later.
    "RAY_raylet_client_connect_timeout_milliseconds": "50",
    "RAY_raylet_client_num_connect_attempts": "200",
    # A node that was killed is lost after five refused checks, and not one that is slow to answer, as each check waits
    # ten seconds for an answer: five seconds rather than fifteen.
    "RAY_health_check_period_ms": "1000",
}
"""All but the last are settings of our local Ray too; they change how soon things happen, and nothing else."""
START = [str(Path(sys.executable).with_name("ray")), "start", "--block"]
ATTEMPTS = 3
"""A node ends when its agents have not imported Ray 30 s after its start, which takes longer where a training and other
tests keep both cores busy: it is started again, as whoever keeps a cluster does."""


class Nodes:
    """The nodes of a cluster.

    Args:
        folder: for their logs.
        processes: marks them; its environment must name the token.
    """

    def __init__(self, folder: Path, processes: Processes) -> None:
        self.address = ""
        self._folder = folder
        self._processes = processes
        self._started: list[subprocess.Popen[bytes]] = []

    def head(self, cpus: int) -> psutil.Process:
        """Start the first node; another one, with an address of its own, where that was killed."""
        port, client = free_ports(2)
        self.address = f"127.0.0.1:{port}"
        own = ["--head", "--node-ip-address", "127.0.0.1", "--port", str(port), "--include-dashboard", "false"]
        return self._start([*own, "--ray-client-server-port", str(client)], cpus)

    def add(self, cpus: int) -> psutil.Process:
        """A further node."""
        return self._start(["--address", self.address, "--node-ip-address", "127.0.0.1"], cpus)

    def kill(self, node: psutil.Process) -> None:
        """SIGKILL to all processes of a node."""
        kill_tree(node)

    def end(self) -> None:
        for started in reversed(self._started):
            if started.poll() is None:
                kill_tree(psutil.Process(started.pid))
            started.wait()

    def _start(self, words: list[str], cpus: int) -> psutil.Process:
        for _ in range(ATTEMPTS):
            log = self._folder / f"node-{len(self._started)}.log"
            started = self._run(words, cpus, log)
            if started.poll() is None:
                return psutil.Process(started.pid)
        raise AssertionError(log.read_text())

    def _run(self, words: list[str], cpus: int, log: Path) -> subprocess.Popen[bytes]:
        """A node that has started, or has ended."""
        sizes = ["--num-cpus", str(cpus), "--object-store-memory", str(100 << 20), "--disable-usage-stats"]
        with log.open("wb") as file:
            started = subprocess.Popen(
                [*START, *words, *sizes],
                stdout=file,
                stderr=file,
                env={**self._processes.environment, **NO_API_SERVER, **NODE_SETTINGS},
                start_new_session=True,
            )
        self._started.append(started)
        wait_until(lambda: b"Ray runtime started" in log.read_bytes() or started.poll() is not None, JOIN_S)
        return started
