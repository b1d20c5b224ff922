"""How many equal trials a cluster holds at a time, wherever Ray puts their parts.

    n    workers per trial                  c    CPU slots of each
    m_j  whole CPU slots of machine j       k_j  workers that the cards of machine j hold
    p_j = min(m_j // c, k_j)                worker places of machine j
    F_j = m_j - c p_j + 1                   drivers that take the first worker place of machine j away

Workers are alike, so any order of placing them fills all places. The drivers of trials with several workers take one
slot each, and Ray may put them where they break a worker's place; the count assumes that it does its worst.
"""

from __future__ import annotations

from itertools import accumulate
from math import floor
from typing import TYPE_CHECKING

from cluster.plan import READ_CPUS
from cluster.trial_layout import TrialLayout

if TYPE_CHECKING:
    from cluster.resources import ClusterResources, Node


def room_for(layout: TrialLayout, resources: ClusterResources) -> int:
    """The most trials at a time that fit while ``READ_CPUS`` whole CPU slots stay free."""
    by_slots = max(0, (resources.cpus - READ_CPUS) // layout.trial_cpus)
    places = [_places(node, layout) for node in resources.nodes]
    if not layout.workers:
        return min(by_slots, sum(places))
    costs = [_costs(node, count, layout.cpus) for node, count in zip(resources.nodes, places, strict=True)]
    breaking = list(accumulate(sorted(cost for node in costs for cost in node)))
    return _beside_drivers(min(by_slots, sum(places) // layout.workers), layout, breaking)


def _places(node: Node, layout: TrialLayout) -> int:
    """Worker places of a machine; a share of a GPU cannot span cards."""
    by_cpus = floor(node.cpus) // layout.cpus
    share = layout.gpus_per_worker
    return min(by_cpus, floor(node.gpus) * floor(1 / share + 1e-9)) if share else by_cpus


def _costs(node: Node, places: int, cpus: int) -> list[float]:
    """How many drivers it takes to break a machine's worker places one after the other, never too many.

    Where its cards, not its CPUs, limit the places, the first one is the hardest to break; that is spread over all.
    """
    first = floor(node.cpus) - cpus * places + 1
    if first <= cpus or not places:
        return [float(first), *[float(cpus)] * (places - 1)][:places]
    return [(first + (places - 1) * cpus) / places] * places


def _beside_drivers(most: int, layout: TrialLayout, breaking: list[float]) -> int:
    """Return the most trials that fit when each driver takes the slot that spoils most room for workers.

    Args:
        most: more do not fit anyway.
        layout: with workers.
        breaking: [places] CPU slots that break 1, 2, ... places.
    """
    broken = 0
    for trials in range(1, most + 1):
        while broken < len(breaking) and breaking[broken] <= trials * layout.driver_cpus + 1e-9:
            broken += 1
        if trials * layout.workers > len(breaking) - broken:
            return trials - 1
    return most
