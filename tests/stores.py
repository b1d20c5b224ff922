"""A real server of the S3 protocol on loopback, behind a gate that tests may close: then the store does not answer."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen
from uuid import uuid4

import pyarrow.fs as pafs
import pytest

from tests.ports import free_ports
from tests.tune.tracking.server import wait_until

START_LIMIT_S = 120.0
SECRET = "wJalrXUtnFEMI-not-a-secret"
REGION = "eu-central-1"


class Store:
    """A server whose objects live in its memory, and the gate before it."""

    def __init__(self, log: Path) -> None:
        (port,) = free_ports(1)
        self._server = f"http://127.0.0.1:{port}"
        self._log = log
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        with log.open("ab") as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
        self.gate = Gate(port)

    def start(self) -> None:
        wait_until(self._answers, START_LIMIT_S)

    def stop(self) -> None:
        self.gate.close()
        self._process.kill()
        self._process.wait()

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs to use it; anything else of AWS that a machine may have is shadowed."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.gate.port}",
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def bucket(self) -> str:
        """A new bucket's name."""
        name = f"bucket-{uuid4().hex[:8]}"
        filesystem = pafs.S3FileSystem(
            access_key="AKIATEST",
            secret_key=SECRET,
            region=REGION,
            endpoint_override=self._server,
            allow_bucket_creation=True,
        )
        filesystem.create_dir(name)
        return name

    def refuse(self, after: int) -> None:
        """Ask for permissions, which nobody has, once so many more requests have been made."""
        plain = {"Content-Type": "text/plain"}
        place = f"{self._server}/moto-api/reset-auth"
        request = Request(place, data=str(after).encode(), method="POST", headers=plain)
        with urlopen(request, timeout=10):
            return

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            with urlopen(f"{self._server}/moto-api/", timeout=2):
                return True
        except (URLError, OSError):
            return False


class Gate:
    """Passes connections on while it is open."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = self._listen(0)
        self.port = int(self._listener.getsockname()[1])
        self._serve()

    def open(self) -> None:
        """Pass connections on again; nothing happens where it is open."""
        if self._listener.fileno() < 0:
            self._listener = self._listen(self.port)
            self._serve()

    def close(self) -> None:
        """Cut what is connected, and refuse further connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            cut, self._open = self._open, set()
        for end in cut:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        return listener

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open |= {near, far}
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(1 << 16):
                target.sendall(content)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {source, target}
        source.close()


def use(store: Store, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Have this process use the store, with its working copies in a folder of the test."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
