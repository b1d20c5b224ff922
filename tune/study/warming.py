"""What the processes of trials find ready, and its early beginning; imports nothing that takes long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cluster.address import cluster_address
from cluster.warm import Ready, begun, end_begun
from tune.report.imported import imported_by_reports


def ready_for_trials(threads: int) -> Ready:
    """What a trial in its own process imports, and after that what the study's report does.

    Args:
        threads: of each trial, ``train.cpus_per_worker``.
    """
    first = ("dclf.training.loop", "pandas")
    modules = ("tune.study.trainable", "tune.study.training", "cluster.shared_data")
    return Ready(first=first, modules=modules, threads=threads, later=imported_by_reports())


@contextmanager
def warming(threads: int, address: str | None, workers_per_trial: int = 0) -> Iterator[None]:
    """Import for the trials while the driver itself imports, where they will run in their own process on a local Ray.

    What has begun for other trials, or for nothing, is ended.

    Args:
        threads: of each trial, ``train.cpus_per_worker``.
        address: of a Ray cluster; RAY_ADDRESS, then a local Ray where None.
        workers_per_trial: as the study's settings have it.
    """
    if cluster_address(address) or workers_per_trial:
        end_begun()
        yield
        return
    with begun(ready_for_trials(threads)):
        yield
