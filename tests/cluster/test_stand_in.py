"""The process that stands in for the agent of Ray's dashboard."""

import subprocess
import sys
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


def test_it_names_the_ports_as_ray_does() -> None:
    assert set(stand_in.PORTS) == {
        ray._raylet.DASHBOARD_AGENT_LISTEN_PORT_NAME,
        ray._raylet.METRICS_AGENT_PORT_NAME,
        ray._raylet.METRICS_EXPORT_PORT_NAME,
    }


def test_it_says_that_nothing_is_served_and_ends_with_its_parent(tmp_path: Path) -> None:
    own = [sys.executable, "-I", "-S", stand_in.__file__, f"--session-dir={tmp_path}", f"--node-id={NODE}", "--head"]
    with subprocess.Popen([sys.executable, "-c", PARENT, *own], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        try:
            wait_until(lambda: len(list(tmp_path.glob(f"[a-z]*_{NODE}"))) == len(stand_in.PORTS), 20)
            for name in stand_in.PORTS:
                assert ray._raylet.wait_for_persisted_port(str(tmp_path), NODE, name, 1000, 50) == -1
            assert child.is_running()
        finally:
            parent.kill()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 20)
