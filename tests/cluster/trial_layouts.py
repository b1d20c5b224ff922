"""Layouts of trials that a cluster refuses, each with the nearest one that it accepts, to try on a real one."""

from collections.abc import Iterator

from cluster.resources import ClusterResources
from cluster.trial_layout import TrialLayout
from cluster.trial_plan import TrialPlanError, concurrency_of

BATCH_SIZE = 16


def refused_and_nearest(resources: ClusterResources) -> Iterator[tuple[TrialLayout, TrialLayout]]:
    """Every small layout that is just too large for the cluster, and what its refusal names."""
    for workers in range(3):
        for cpus in (1, 2):
            for concurrency in range(1, resources.cpus + 1):
                layout = TrialLayout(concurrency=concurrency, workers=workers, cpus=cpus, batch_size=BATCH_SIZE)
                nearest = _nearest(layout, resources)
                if nearest is not None:
                    yield layout, nearest
                    break


def _nearest(layout: TrialLayout, resources: ClusterResources) -> TrialLayout | None:
    try:
        concurrency_of(layout, resources)
    except TrialPlanError as error:
        return layout.changed(error.nearest)
    return None
