"""What the processes of trials find ready, and its early beginning."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cluster.address import cluster_address
from cluster.warm import Ready, begun
from dclf.config import Config
from tune.report.writer import imported_by_reports
from tune.search.settings import SweepSettings


def ready_for_trials(config: Config) -> Ready:
    """What a trial in its own process imports, and after that what the study's report does.

    Args:
        config: the base configuration.
    """
    first = ("dclf.training.loop", "pandas")
    modules = ("tune.study.trainable", "tune.study.training", "cluster.shared_data")
    return Ready(first=first, modules=modules, threads=config.train.cpus_per_worker, later=imported_by_reports())


@contextmanager
def warming(config: Config, settings: SweepSettings, address: str | None) -> Iterator[None]:
    """Import for the trials while the driver itself imports, where they will run in their own process on a local Ray.

    Args:
        config: the base configuration.
        settings: of the study.
        address: of a Ray cluster; RAY_ADDRESS, then a local Ray where None.
    """
    if cluster_address(address) or settings.workers_per_trial:
        yield
        return
    with begun(ready_for_trials(config)):
        yield
