"""A Ray of one machine that starts with what a training needs, and without what only watches.

``ray.init`` starts a head node as for a cluster: an autoscaler although there is nothing to scale, an API server that
without a dashboard serves nothing, a log monitor whose lines nobody prints, and an agent with the web server of a
dashboard. They cost more than all the rest: measured on 2 CPUs, starting takes 5.7 s with them and 1.4 s without,
ending 1.3 s and 0.2 s, and six of seven seconds of processor time are theirs. Ray has no public switch for them; a
release that names things otherwise than 2.60 does starts them all.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import list2cmdline
from typing import Any

import ray._private.node
import ray._private.parameter
import ray._private.services
import ray._private.utils

from cluster import stand_in, warm_worker
from cluster.warm import WarmProcess

_LAST_AGENT = "runtime_env_agent_port"
"""File in which the agent that takes longest to start says where it listens."""
_BARE = (sys.executable, "-I", "-S")
"""Isolated and without site: these modules of ours need the standard library only."""
_AGENTS_S, _LOOK_S = 10.0, 0.01


@contextmanager
def lean_head(*, logs: bool, warm: WarmProcess | None = None) -> Iterator[None]:
    """What ``ray.init`` starts within the block, it starts without its watchers, and in sessions of their own.

    Args:
        logs: what the workers print is to reach this process, which is the log monitor's work.
        warm: what workers are copies of; None for workers that Ray starts as always.
    """
    parameter, node, services, utils = (
        ray._private.parameter,
        ray._private.node,
        ray._private.services,
        ray._private.utils,
    )
    if not (
        hasattr(parameter, "RayParams")
        and hasattr(node.Node, "start_api_server")
        and hasattr(services, "start_ray_process")
        and hasattr(utils, "get_dashboard_dependency_error")
    ):
        yield
        return
    start = _with_lean_raylet(services.start_ray_process, warm)
    with ExitStack() as stack:
        stack.enter_context(_replaced(parameter, "RayParams", _without_watchers(parameter.RayParams, logs=logs)))
        stack.enter_context(_replaced(node.Node, "start_api_server", _start_nothing))
        stack.enter_context(_replaced(services, "start_ray_process", start))
        # Asked whether a dashboard's packages are there, Ray imports them all.
        stack.enter_context(_replaced(utils, "get_dashboard_dependency_error", _no_dashboard))
        yield


@contextmanager
def plain_actors() -> Iterator[None]:
    """Ray Tune starts actors within the block without an environment of their own.

    It gives them some variables of the driver, which the processes of a Ray that the driver has started have anyway;
    and Ray starts a process anew for an actor with an environment.
    """
    from ray.tune.execution import class_cache  # noqa: PLC0415 - slow to import, and Ray starts without it

    with ExitStack() as stack:
        for name in ("DEFAULT_ENV_VARS", "ENV_VARS_TO_PROPAGATE"):
            if hasattr(class_cache, name):
                stack.enter_context(_replaced(class_cache, name, {}))
        yield


def _without_watchers(made: Callable[..., Any], *, logs: bool) -> Callable[..., Any]:
    def make(*arguments: Any, **named: Any) -> Any:
        params = made(*arguments, **named)
        params.no_monitor = True
        params.include_log_monitor = logs
        return params

    return make


def _start_nothing(_node: Any, **_options: Any) -> None:
    """Instead of starting the API server; its address stays None."""


def _no_dashboard() -> ImportError:
    return ImportError("a local Ray without a dashboard does not need its packages")


def _with_lean_raylet(start: Callable[..., Any], warm: WarmProcess | None) -> Callable[..., Any]:
    def start_process(command: list[str], process_type: str, *arguments: Any, **named: Any) -> Any:
        command = [*_own_session(), *command]
        if process_type != ray._private.ray_constants.PROCESS_TYPE_RAYLET:
            return start(command, process_type, *arguments, **named)
        if warm is not None:
            named["env_updates"] = {**(named.get("env_updates") or {}), **warm.settings}
        started = start([_lean(word, warm) for word in command], process_type, *arguments, **named)
        if warm is not None:
            warm.prepare(raylet=started.process.pid)
        _await_agents(command, started)
        return started

    return start_process


def _own_session() -> list[str]:
    """What makes a command's process the first of a session, where the system has it.

    A queue's SIGTERM goes to a whole process group. Ray's processes would end at once, and whoever wants to end a study
    in order needs them for that; they end with the driver.
    """
    found = shutil.which("setsid")
    return [found] if found else []


def _await_agents(command: list[str], started: Any) -> None:
    """Until the raylet is about to join; Ray asks whether it has joined, and if it has not again after a second."""
    options = dict(word.partition("=")[::2] for word in command)
    said = Path(options.get("--session_dir", "")) / f"{_LAST_AGENT}_{options.get('--node_id')}"
    end = time.monotonic() + _AGENTS_S
    while not said.exists() and started.process.poll() is None and time.monotonic() < end:
        time.sleep(_LOOK_S)


def _lean(word: str, warm: WarmProcess | None) -> str:
    """A word of the raylet's command line."""
    name, _, value = word.partition("=")
    if name == "--dashboard_agent_command":
        options = [option for option in shlex.split(value) if option.startswith("--")]
        return f"{name}={list2cmdline([*_BARE, stand_in.__file__, *options])}"
    if name == "--runtime_env_agent_command" and warm is not None:
        # Copies have the environment as it is; whoever wants another one waits for its agent.
        return f"{name}={list2cmdline([*_BARE, stand_in.__file__, '--on-call'])} {value}"
    if name == "--python_worker_command" and warm is not None:
        return f"{name}={list2cmdline([*_BARE, warm_worker.__file__, warm.address])} {value}"
    return word


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
