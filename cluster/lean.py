"""A Ray of one machine that starts with what a training needs, and without what only watches.

``ray.init`` starts a head node as for a cluster: an autoscaler although there is nothing to scale, an API server that
without a dashboard serves nothing, a log monitor whose lines nobody prints, and an agent with the web server of a
dashboard. They cost more than all the rest: measured on 2 CPUs, starting takes 5.7 s with them and 2.4 s without,
ending 1.3 s and 0.2 s, and five of seven seconds of processor time are theirs. Ray has no public switch for them; a
release that names things otherwise than 2.60 does starts them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import ray._private.node
import ray._private.parameter
import ray._private.utils


@contextmanager
def lean_head(*, logs: bool) -> Iterator[None]:
    """What ``ray.init`` starts within the block, it starts without its watchers.

    Args:
        logs: what the workers print is to reach this process, which is the log monitor's work.
    """
    parameter, node, utils = ray._private.parameter, ray._private.node, ray._private.utils
    if not (
        hasattr(parameter, "RayParams")
        and hasattr(node.Node, "start_api_server")
        and hasattr(utils, "get_dashboard_dependency_error")
    ):
        yield
        return
    with ExitStack() as stack:
        stack.enter_context(_replaced(parameter, "RayParams", _without_watchers(parameter.RayParams, logs=logs)))
        stack.enter_context(_replaced(node.Node, "start_api_server", _start_nothing))
        # The agent of a Ray that was installed without a dashboard's packages has no web server.
        stack.enter_context(_replaced(utils, "get_dashboard_dependency_error", _no_dashboard))
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


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
