"""The processes that stand in for Ray's agents."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import ray._raylet

from cluster import stand_in
from tests.tune.tracking.server import wait_until

NODE = "ab" * 28
PARENT = """
import subprocess, sys, time
print(subprocess.Popen(sys.argv[1:]).pid, flush=True)
time.sleep(600)
"""
AGENT = """
import os, socket, sys
options = dict(word.partition("=")[::2] for word in sys.argv[1:])
listening = socket.create_server((options["--node-ip-address"], 0))
file = f"runtime_env_agent_port_{options['--node-id']}"
place = os.path.join(options["--session-dir"], file)
open(place + ".unfinished", "w").write(str(listening.getsockname()[1]))
os.rename(place + ".unfinished", place)
for _ in range(2):
    connection, _ = listening.accept()
    asked = b""
    while piece := connection.recv(1 << 16):
        asked += piece
    connection.sendall(f"{os.getpid()} {len(asked)}".encode())
    connection.close()
sys.stdin.read()
"""


def test_it_names_the_ports_as_ray_does() -> None:
    assert set(stand_in.PORTS) == {
        ray._raylet.DASHBOARD_AGENT_LISTEN_PORT_NAME,
        ray._raylet.METRICS_AGENT_PORT_NAME,
        ray._raylet.METRICS_EXPORT_PORT_NAME,
    }


def test_it_says_that_nothing_is_served_and_ends_with_its_parent(tmp_path: Path) -> None:
    own = [sys.executable, "-I", "-S", stand_in.__file__, f"--session-dir={tmp_path}", f"--node-id={NODE}", "--head"]
    with child_of_a_raylet(own) as child:
        wait_until(lambda: len(list(tmp_path.glob(f"[a-z]*_{NODE}"))) == len(stand_in.PORTS), 20)
        for name in stand_in.PORTS:
            assert ray._raylet.wait_for_persisted_port(str(tmp_path), NODE, name, 1000, 50) == -1
        assert child.is_running()
    wait_until(lambda: ended(child), 20)


def test_it_becomes_the_agent_on_call_and_passes_on_what_is_said(tmp_path: Path) -> None:
    with child_of_a_raylet(on_call(tmp_path)) as child:
        port = ray._raylet.wait_for_persisted_port(str(tmp_path), NODE, stand_in.ON_CALL_PORT, 20000, 50)
        assert "--on-call" in child.cmdline(), "nothing starts before somebody calls"
        for size in (1, 3 << 20):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                connection.sendall(bytes(size))
                connection.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: connection.recv(100), b""))
            assert answer.decode() == f"{child.pid} {size}"
        assert "--on-call" not in child.cmdline(), "the raylet watches the process it has started"
        (passing,) = child.children()
        child.kill()
        wait_until(lambda: ended(passing), 20)


def test_on_call_it_ends_with_its_parent_where_nobody_calls(tmp_path: Path) -> None:
    with child_of_a_raylet(on_call(tmp_path)) as child:
        ray._raylet.wait_for_persisted_port(str(tmp_path), NODE, stand_in.ON_CALL_PORT, 20000, 50)
    wait_until(lambda: ended(child), 20)


def test_its_port_on_call_is_the_one_that_ray_waits_for() -> None:
    assert stand_in.ON_CALL_PORT == ray._raylet.RUNTIME_ENV_AGENT_PORT_NAME


def on_call(folder: Path) -> list[str]:
    (folder / "agent.py").write_text(AGENT)
    own = [sys.executable, "-u", str(folder / "agent.py"), f"--session-dir={folder}", f"--node-id={NODE}"]
    return [sys.executable, "-I", "-S", stand_in.__file__, "--on-call", *own, "--node-ip-address=127.0.0.1"]


@contextmanager
def child_of_a_raylet(command: list[str]) -> Iterator[psutil.Process]:
    """A process whose parent is killed at the block's end."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        try:
            yield psutil.Process(int(parent.stdout.readline()))
        finally:
            parent.kill()


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
