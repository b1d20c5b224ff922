"""Ports on loopback that nobody uses."""

from cluster.local.options import free_port


def free_ports(count: int) -> list[int]:
    """So many different ones; each is free until somebody takes it."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port("127.0.0.1"))
    return list(ports)
