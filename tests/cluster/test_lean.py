"""A local Ray starts without what only watches, and does all its work."""

import json
import subprocess
import sys
from typing import Any

import pytest
import ray._private.node
import ray._private.services
import ray._private.utils

from cluster.lean import lean_head, plain_actors

pytestmark = pytest.mark.ray

START = """
import json, os, sys
import psutil, ray
from cluster.session import ray_session
with ray_session(num_cpus=2, verbose="verbose" in sys.argv, dashboard="dashboard" in sys.argv):
    below = psutil.Process().children(recursive=True)
    words = [" ".join(process.cmdline()) for process in below]
    sessions = {os.getsid(process.pid) == os.getsid(0) for process in below}
    ray.get(ray.remote(lambda: print("said by a worker")).remote())
if "dashboard" not in sys.argv:
    assert not {"aiohttp", "opentelemetry"} & set(sys.modules), "packages of the dashboard"
    assert sessions == {False}, "signals to this process's group reach Ray"
print(json.dumps(words))
"""
WATCHERS = ("monitor.py", "dashboard.py", "log_monitor.py", "agent.py")


def started(*options: str) -> tuple[list[str], str]:
    """Which watchers a local Ray has, and what it printed besides."""
    words = [sys.executable, "-c", START, *options]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    *printed, last = done.stdout.splitlines()
    running = json.loads(last)
    assert any("gcs_server" in words for words in running)
    return [name for name in WATCHERS if any(f"/{name} " in words for words in running)], "\n".join(printed)


def test_nothing_watches_a_quiet_ray() -> None:
    assert started() == ([], "")


def test_what_workers_print_is_shown_where_it_is_asked_for() -> None:
    watchers, printed = started("verbose")
    assert watchers == ["log_monitor.py"]
    assert "said by a worker" in printed


def test_with_a_dashboard_ray_starts_as_always() -> None:
    assert started("dashboard")[0] == list(WATCHERS)


def test_ray_is_as_it_was_after_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    def parts() -> list[Any]:
        return [
            ray._private.parameter.RayParams,
            ray._private.node.Node.start_api_server,
            ray._private.services.start_ray_process,
            ray._private.utils.get_dashboard_dependency_error,
        ]

    before = parts()
    with lean_head(logs=False):
        assert not any(now is then for now, then in zip(parts(), before, strict=True))
    assert parts() == before
    monkeypatch.delattr(ray._private.node.Node, "start_api_server")
    with lean_head(logs=False):
        assert ray._private.parameter.RayParams is before[0]


def test_tune_gives_actors_an_environment_outside_the_block_only() -> None:
    from ray.tune.execution.class_cache import _ActorClassCache  # noqa: PLC0415

    class Trial:
        pass

    def variables() -> dict[str, str]:
        made: dict[str, str] = _ActorClassCache().get(Trial)._default_options["runtime_env"].get("env_vars", {})
        return made

    with plain_actors():
        assert variables() == {}
    assert variables()
