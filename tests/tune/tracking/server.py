"""A real MLflow server on loopback that tests may kill and start again on the same port."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.ports import free_ports

START_LIMIT_S = 120.0


def wait_until(holds: Callable[[], bool], limit_s: float = 60.0) -> None:
    """Return as soon as the condition holds; AssertionError after the limit."""
    end = time.monotonic() + limit_s
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < end, f"did not come true within {limit_s:.0f} s"
        pause.wait(0.05)


class Server:
    """An ``mlflow server`` on an SQLite file in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        store = ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        artifacts = ["--artifacts-destination", str(self.folder / "artifacts"), "--workers", "1"]
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *store, *artifacts], stdout=log, stderr=log, start_new_session=True, env=environment
            )
        wait_until(self.answers, START_LIMIT_S)

    def kill(self) -> None:
        """SIGKILL to the server and its workers, all in a session of their own."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "server.log").read_text()
        try:
            with urlopen(f"{self.uri}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False
