import logging
import os
import signal
import subprocess
import sys

import pytest
import ray
from ray.util.state import list_actors
from ray.util.state.exception import RayStateApiException

from cluster.resources import ClusterResources
from cluster.session import _join, ray_session

# Ray warns of deprecations of its own.
pytestmark = pytest.mark.ray

JOIN = """
from cluster.session import ray_session
import ray
from ray.util.state import list_actors
from ray.util.state.exception import RayStateApiException
with ray_session() as resources:
    print(resources.cpus, ray.get(ray.remote(num_cpus=0)(lambda: 6 * 7).remote()))
print(ray.is_initialized())
"""
START = """
import signal, sys
from cluster.session import ray_session
import ray, ray.data
before = signal.getsignal(signal.SIGTERM)
with ray_session(num_cpus=2) as resources:
    ray.get(ray.remote(lambda: print("noise", file=sys.stderr)).remote())
    ray.data.range(10).materialize()
    print(resources.cpus, signal.getsignal(signal.SIGTERM) is before)
print(ray.is_initialized(), signal.getsignal(signal.SIGTERM) is before)
print("the second", file=sys.stderr)
with ray_session(num_cpus=1, verbose=True):  # Ray has read its token, once for the whole process
    print(ray.get(ray.remote(lambda: print("noise", file=sys.stderr) or "again").remote()))
"""
END = """
import os, signal, threading, time
from cluster.session import ray_session
from cluster.signals import termination_raises

def end(ours):
    while signal.getsignal(signal.SIGTERM) is ours:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGTERM)

with termination_raises():
    threading.Thread(target=end, args=(signal.getsignal(signal.SIGTERM),), daemon=True).start()
    with ray_session(num_cpus=2):
        print("started")
"""
"""Gets SIGTERM as soon as Ray has a handler of its own."""


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_an_existing_connection_is_used_and_left_alone(local_ray: ClusterResources) -> None:
    level, handler = logging.getLogger("ray").level, signal.getsignal(signal.SIGTERM)
    polling = os.environ.get("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S")
    with ray_session(num_cpus=99) as resources:
        assert resources.cpus == local_ray.cpus
    assert ray.is_initialized()
    assert (logging.getLogger("ray").level, signal.getsignal(signal.SIGTERM)) == (level, handler)
    assert os.environ.get("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S") == polling


def test_what_the_user_set_in_the_environment_stays(
    local_ray: ClusterResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TRAIN_METRICS_ENABLED", "1")
    with ray_session():
        assert os.environ["RAY_TRAIN_METRICS_ENABLED"] == "1"
    assert os.environ["RAY_TRAIN_METRICS_ENABLED"] == "1"


def test_another_process_joins_by_address_and_leaves_the_cluster_up(local_ray: ClusterResources) -> None:
    joined = run(JOIN, RAY_ADDRESS=ray.get_runtime_context().gcs_address)
    assert joined.stdout.split() == [str(local_ray.cpus), "42", "False"]
    assert joined.stderr == ""
    assert ray.get(ray.remote(num_cpus=0)(lambda: 1).remote()) == 1


def test_a_local_ray_speaks_where_it_is_asked_to_and_ends_with_the_block_and_needs_no_home() -> None:
    started = run(START, HOME="/dev/null/home")
    assert started.returncode == 0, started.stderr
    assert started.stdout.split() == ["2", "True", "False", "True", "again"]
    quiet, loud = started.stderr.split("the second\n")
    assert quiet == ""
    assert "noise" in loud


def test_sigterm_while_ray_starts_has_the_signal_s_exit() -> None:
    ended = run(END)
    assert (ended.returncode, ended.stdout, ended.stderr) == (128 + signal.SIGTERM, "", "")


def test_a_local_ray_that_does_not_start_is_told_with_the_remedy() -> None:
    failed = run("from cluster.session import ray_session\nwith ray_session(kept_bytes=10**15): pass")
    assert failed.returncode == 1
    last = failed.stderr.splitlines()[-1]
    assert last.startswith("cluster.session.RayStartError: a local Ray must start within half a minute, and did not (")
    assert "; end other work on this machine" in last


def test_no_cluster_at_the_address_is_told_with_the_remedy() -> None:
    with pytest.raises(ConnectionError, match=r"cannot join the Ray cluster at '127\.0\.0\.1:1' .*; check the address"):
        _join("127.0.0.1:1", verbose=False)


def test_a_dashboard_is_told_from_a_cluster() -> None:
    with pytest.raises(ConnectionError, match=r"HOST:PORT .* a dashboard.* `dclf submit --address URL -- COMMAND`"):
        _join("http://127.0.0.1:8265", verbose=False)


def test_a_ray_client_s_server_is_refused_before_anything_is_sent_there() -> None:
    with pytest.raises(ConnectionError, match=r"HOST:PORT .* Ray client.* `dclf submit --address URL -- COMMAND`"):
        _join("ray://127.0.0.1:10001", verbose=False)


def test_a_connection_is_used_only_for_the_cluster_that_is_named(
    local_ray: ClusterResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = ray.get_runtime_context().gcs_address
    for same in (connected, f"localhost:{connected.rpartition(':')[2]}", "auto"):
        with ray_session(same) as resources:
            assert resources.cpus == local_ray.cpus
    for other in ("head:6379", "127.0.0.1:1", "head..of:6379"):
        with (
            pytest.raises(ConnectionError, match=rf"connected to, {connected}, is '{other}'; call ray\.shutdown\(\)"),
            ray_session(other),
        ):
            pass
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")  # nobody's word against a connection that a program made itself
    with ray_session() as resources:
        assert resources.cpus == local_ray.cpus


def test_who_asks_a_local_ray_for_its_api_server_is_told_at_once(local_ray: ClusterResources) -> None:
    message = ray.get(ray.remote(num_cpus=0)(ask_for_actors).remote())
    assert "http://127.0.0.1:1" in message


def ask_for_actors() -> str:
    """What the watcher of Ray Train's hears."""
    try:
        list_actors(timeout=60)
    except RayStateApiException as error:
        return str(error)
    return ""
