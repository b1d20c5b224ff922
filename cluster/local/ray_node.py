"""``ray start`` for a node that listens on loopback alone: ``python -m cluster.local.ray_node start ...``.

On Linux Ray replaces 127.0.0.1 by this machine's address on the network, and then listens on every interface; there is
an option that keeps it from doing so, but with it ``ray start`` refuses a second node. So the option is set for what
the node starts, and within ``ray start`` itself the one function that looks the address up is replaced.
"""

from __future__ import annotations

import os

from cluster.local.state import LOOPBACK, LOOPBACK_ONLY


def main() -> None:
    """Run Ray's command line with this process's arguments."""
    for key in LOOPBACK_ONLY:  # Ray reads it when it is imported
        os.environ.pop(key, None)
    from ray._private import services  # noqa: PLC0415
    from ray.scripts.scripts import main as ray_command  # noqa: PLC0415

    services.get_node_ip_address = _loopback
    os.environ.update(LOOPBACK_ONLY)
    ray_command()  # type: ignore[no-untyped-call]


def _loopback(address: str | None = None) -> str:  # noqa: ARG001 - as Ray calls it
    return LOOPBACK


if __name__ == "__main__":
    main()
