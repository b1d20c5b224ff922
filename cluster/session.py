"""Joining a Ray cluster, or starting a small quiet one on this machine, and leaving it as it was found."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util import get_node_ip_address

from cluster.address import cluster_address
from cluster.environment import environment
from cluster.machine import machine_cpus
from cluster.plan import READ_CPUS
from cluster.proxies import bypass_proxy_on_loopback
from cluster.ray_token import local_token
from cluster.resources import ClusterResources, cluster_resources
from cluster.signals import Terminated, raise_if_asked
from cluster.socket_folder import socket_settings
from dclf.errors import UsageError, UserError, first_line

POLL_SECONDS = 0.1
"""How often Ray Train's controller looks at its workers.

An epoch shorter than this waits for the controller; Ray's default of 2 s costs two minutes over 60 short epochs.
Measured on 2 CPUs: 0.25 s makes 80 ms epochs wait 160 ms each, 0.1 s 20 ms, 0.05 s 4 ms. The polling itself takes
2.6 % of a core in the controller at 0.1 s, 3.6 % at 0.05 s and 6.6 % at 0.02 s, and about as much in each worker.
"""
OBJECT_STORE_BYTES = 512 << 20
"""Shared memory of a local Ray: a few dozen blocks of the data stream, whatever the machine's memory."""
KNOCK_SECONDS = 10.0

_EVERYWHERE = {
    # Ray Tune's own loggers, snapshots, table, Ctrl-C and warnings; studies have theirs.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "31536000",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": str(POLL_SECONDS),
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_TRAIN_METRICS_ENABLED": "0",  # Prometheus gauges that nobody scrapes
}
_LOCAL = {
    # A local Ray is there for its trials, which Ray would otherwise put behind every other process of the machine.
    "RAY_worker_niceness": "0",
    # Watches for nodes that a cloud takes back. Here there is one node, and the watcher is a process more to start.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    # Two workers that start beside Ray, half a second longer; Train's have an environment of their own and cannot take
    # them over.
    "RAY_prestart_worker_first_driver": "0",
    # Processes that start at the same time wait for each other's sockets, and look a second later where these are not
    # there yet.
    "RAY_raylet_client_connect_timeout_milliseconds": "50",
    "RAY_raylet_client_num_connect_attempts": "200",
}
NO_API_SERVER = {
    # A watcher of Ray Train's asks the API server whether its controller lives. A local Ray has none, and the watcher
    # would look for one for as long as 12 s after the last epoch, or ask that of another Ray of this machine, which
    # knows no such controller. Nobody listens here, and it goes on at once.
    "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:1",
}
_LOGGERS = ("ray", "ray.data", "ray.train", "ray.tune")


class WrongAddressError(UsageError, ConnectionError):
    """An address at which there can be no cluster to join."""


class RayStartError(UserError, RuntimeError):
    """A local Ray does not start; the message says what to do."""


@contextmanager
def ray_session(
    address: str | None = None,
    *,
    verbose: bool = False,
    num_cpus: int | None = None,
    kept_bytes: int = 0,
) -> Iterator[ClusterResources]:
    """Be connected to Ray: to the cluster at ``address`` or RAY_ADDRESS, else to a local Ray that ends with the block.

    Where this process is connected already, that connection is used and left alone, and must be to the cluster at
    ``address`` where that is given. What the user set in the environment stays, with this machine's loopback added to
    its NO_PROXY where a proxy is set. A local Ray asks its clients for a token, as Ray does by default.

    Args:
        address: of a cluster, as ``ray.init`` takes it; RAY_ADDRESS, then a local Ray where None.
        verbose: let Ray speak: its log lines and what the workers print.
        num_cpus: CPU slots of a local Ray; one more than this machine's CPUs where None.
        kept_bytes: what will be kept in a local Ray's shared memory beside its streams.

    Yields:
        What the cluster has.

    Raises:
        ConnectionError: there is no cluster at the address, or this process is connected to another one.
        RayStartError: a local Ray does not start, as on a machine that is much too busy.
        SocketFolderError: no folder has room for the sockets of a local Ray.
    """
    target = cluster_address(address)
    bypass_proxy_on_loopback()
    with ExitStack() as stack:
        stack.enter_context(environment(_EVERYWHERE if target else _EVERYWHERE | _LOCAL))
        if not verbose:
            stack.enter_context(_quiet_loggers())
        if not ray.is_initialized():
            if not target:
                stack.enter_context(environment(local_token() | stack.enter_context(socket_settings())))
                stack.enter_context(environment(NO_API_SERVER, over=True))
            stack.callback(ray.shutdown)
            if target:
                _join(target, verbose=verbose)
            else:
                # Reading shards is mostly waiting and must always find a slot.
                slots = num_cpus or machine_cpus() + READ_CPUS
                _start(slots, OBJECT_STORE_BYTES + kept_bytes, verbose=verbose)
        elif address:
            _require_connected_to(address)
        yield cluster_resources()


def reaches_cluster(address: str | None = None) -> bool:
    """Whether ``ray_session`` would join a cluster rather than start a Ray of its own."""
    return bool(cluster_address(address)) or ray.is_initialized()


def _start(num_cpus: int, shared_bytes: int, *, verbose: bool) -> None:
    try:
        _init(
            address="local",
            num_cpus=num_cpus,
            object_store_memory=shared_bytes,
            include_dashboard=False,
            log_to_driver=verbose,
            logging_level=logging.INFO if verbose else logging.ERROR,
        )
    except Exception as error:  # Ray raises no narrower class where its processes take too long
        raise RayStartError(
            f"a local Ray must start within half a minute, and did not ({first_line(error)}); end other work on this "
            "machine, see that it has memory left, and try again, with --verbose to read what Ray says"
        ) from error


def _join(address: str, *, verbose: bool) -> None:
    if problem := _address_problem(address):
        raise WrongAddressError(problem)
    try:
        _knock(address)
        _init(address=address, log_to_driver=verbose, logging_level=logging.INFO if verbose else logging.ERROR)
    except (OSError, ValueError, RuntimeError, RayError) as error:
        raise ConnectionError(
            f"cannot join the Ray cluster at {address!r} ({error}); check the address (or RAY_ADDRESS), that the "
            "cluster is up (`ray status`) and RAY_AUTH_TOKEN its token, or leave the address out to work locally"
        ) from error


def _address_problem(address: str) -> str:
    """Why there can be no cluster to join at such an address; empty where there can."""
    must = (
        f"{address}: must be the address of a Ray cluster, HOST:PORT with port 6379 unless the head was told otherwise"
    )
    remedy = "run the command there: `dclf submit --address URL -- COMMAND` with the URL of its dashboard"
    if address.startswith(("http://", "https://")):
        return f"{must}, is that of a dashboard, which takes jobs; {remedy}"
    if address.startswith("ray://"):
        return f"{must}, is that of a Ray client's server, over which news of epochs and trials cannot come; {remedy}"
    return ""


def _require_connected_to(address: str) -> None:
    """Raise ConnectionError where this process is connected to another cluster than the one that is named."""
    connected = str(ray.get_runtime_context().gcs_address)
    if address not in ("auto", connected) and _resolved(address) != _resolved(connected):
        raise ConnectionError(
            _address_problem(address)
            or f"address: must be that of the Ray that this process is connected to, {connected}, is {address!r}; call "
            "ray.shutdown() first to join the other one, or leave the address out"
        )


def _resolved(address: str) -> str:
    """An address with numbers for names, and this machine's own as Ray has it."""
    host, _, port = address.rpartition(":")
    try:
        number = socket.gethostbyname(host)
    except (OSError, UnicodeError):
        return address
    if number.startswith("127."):
        number = get_node_ip_address()  # type: ignore[no-untyped-call]
    return f"{number}:{port}"


def _knock(address: str) -> None:
    """Fail at once where nobody listens; Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()


@contextmanager
def _quiet_loggers() -> Iterator[None]:
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _init(**settings: Any) -> None:
    """``ray.init``, which has a handler of its own for SIGTERM; it is there as long as that takes.

    Raises:
        Terminated: SIGTERM came meanwhile, or a signal before whose exception was lost.
    """
    raise_if_asked()
    if threading.current_thread() is not threading.main_thread():
        ray.init(**settings)
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**settings)
    except SystemExit as request:
        # What Ray's handler raises has the bare number of the signal.
        raise (Terminated() if request.code == signal.SIGTERM else request) from None
    finally:
        signal.signal(signal.SIGTERM, before)
