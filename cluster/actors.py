"""Actors of Ray Data: how many work at a time, decided before any of them starts, and the stream of what they return.

An actor holds CPU slots, whose number is that of its threads, and a share of one GPU. One CPU slot stays free for
reading, as beside trials, so that whoever shares the cluster is not kept waiting; where not even one actor fits, the
plan says so instead of waiting.
"""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from cluster.machine import machine_cpus, machine_gpus
from cluster.plan import READ_CPUS, SMALLEST_SHARE, PlanError
from cluster.resources import ClusterResources, Node
from cluster.trial_layout import TrialLayout
from cluster.trial_room import room_for
from dclf.prose import quantity

if TYPE_CHECKING:
    import pyarrow as pa
    import ray.data


@dataclass(frozen=True, kw_only=True)
class ActorSettings:
    """Where work is done.

    Attributes:
        address: of a Ray cluster; RAY_ADDRESS, then a local Ray where None.
        actors: at a time; 0 for as many as fit. One is this process itself where no cluster is named.
        cpus_per_actor: CPU slots, and threads, of each.
        gpus: share of a GPU for each; 0 works on CPUs.
        verbose: let Ray speak.
    """

    address: str | None = None
    actors: int = 0
    cpus_per_actor: int = 1
    gpus: float = 0.0
    verbose: bool = False

    def problems(self) -> list[str]:
        """Every impossible value, each one line."""
        problems = [] if self.actors >= 0 else [f"actors: must be 0 or more, is {self.actors}"]
        if self.cpus_per_actor < 1:
            problems.append(f"cpus_per_actor: must be 1 or more, is {self.cpus_per_actor}")
        if self.gpus and not SMALLEST_SHARE <= self.gpus <= 1:
            problems.append(f"gpus: must be 0, or {SMALLEST_SHARE:g} to 1 of a card, is {self.gpus:g}")
        return problems


@dataclass(frozen=True, kw_only=True)
class ActorPlan:
    """How work is spread.

    Attributes:
        actors: at a time.
        cpus: CPU slots of each.
        gpus: share of a GPU of each.
        notes: what the user should know, one sentence each.
    """

    actors: int
    cpus: int = 1
    gpus: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """What the actors compute on, as torch calls it."""
        return "cuda" if self.gpus else "cpu"

    @property
    def slots(self) -> str:
        """What each actor holds."""
        return quantity(self.cpus, "CPU slot") + (f" and {self.gpus:g} GPU" if self.gpus else "")

    def describe(self) -> list[str]:
        """Lines for the terminal."""
        return [f"{quantity(self.actors, 'actor')} with {self.slots} each", *self.notes]


def plan_actors(settings: ActorSettings, resources: ClusterResources, pieces: int | None = None) -> ActorPlan:
    """Lay out work.

    Args:
        settings: how many actors, and on what.
        resources: what the cluster has.
        pieces: of work, each for one actor, at least 1; None where an actor is never without one.

    Raises:
        PlanError: the actors would wait for ever.
    """
    if settings.gpus and not resources.gpus:
        raise PlanError("each actor is to have a share of a GPU, the cluster has none; leave the share out")
    room = room_for(TrialLayout(gpus=settings.gpus, cpus=settings.cpus_per_actor), resources)
    count = _most(settings.actors or room, pieces)
    plan = ActorPlan(actors=count, cpus=settings.cpus_per_actor, gpus=settings.gpus)
    if room < max(1, count):
        raise PlanError(
            f"{quantity(max(1, count), 'actor')} with {plan.slots} each, "
            f"and {READ_CPUS} slot beside them, must fit; the cluster has {resources.cpus} CPU slots and "
            f"{resources.gpus} GPUs, room for {room}; ask for fewer actors or slots, or use a larger cluster"
        )
    outcome = "actors wait until some are free"
    notes = resources.busy_notes(count * plan.cpus + READ_CPUS, outcome, gpus=count * plan.gpus)
    return replace(plan, notes=tuple(notes))


def local_resources(settings: ActorSettings, pieces: int | None = None) -> ClusterResources:
    """What a Ray started for this work alone on this machine will have; Ray itself is not needed to tell.

    As many actors as the machine has CPUs for, unless the user says how many; see ``plan_actors``.
    """
    count = _most(settings.actors or max(1, machine_cpus() // settings.cpus_per_actor), pieces)
    gpus = machine_gpus() if settings.gpus else 0
    return ClusterResources(nodes=(Node(cpus=count * settings.cpus_per_actor + READ_CPUS, gpus=gpus),))


def local_threads(settings: ActorSettings) -> int:
    """Threads of all actors together that this machine would have, for work that one process does in their place."""
    return local_resources(replace(settings, gpus=0.0)).cpus - READ_CPUS


def check_layout(settings: ActorSettings, pieces: int | None = None) -> None:
    """Refuse what a Ray of this machine could never hold, before any work; of a cluster nothing is known yet.

    Raises:
        PlanError: the actors would wait for ever; see ``plan_actors``.
    """
    try:
        plan_actors(settings, local_resources(settings, pieces), pieces)
    except PlanError:
        from cluster.session import reaches_cluster  # noqa: PLC0415 - what fits needs no Ray to be told

        if not reaches_cluster(settings.address):
            raise


def tables_from_actors(
    dataset: ray.data.Dataset,
    worker: Callable[..., Any],
    arguments: Sequence[Any],
    plan: ActorPlan,
    *,
    batch_size: int | None,
    tasks_each: int,
) -> Generator[pa.Table, None, None]:
    """What actors return for the rows of a dataset, in the order in which it is ready; none is started again.

    Args:
        dataset: of the work.
        worker: class that is called with a table and yields tables.
        arguments: of its constructor.
        plan: that fits the cluster which this process is connected to.
        batch_size: rows that an actor is called with; None for those of a block.
        tasks_each: that an actor is given before it is done with the first.

    Raises:
        RayError: an actor cannot work, or was lost.
    """
    import ray.data  # noqa: PLC0415 - one at a time needs no Ray
    from ray.util.annotations import RayDeprecationWarning  # noqa: PLC0415

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    dataset.context.enable_progress_bars = False
    dataset.context.print_on_execution_start = False
    with warnings.catch_warnings():
        # Ray 2.60 has no other way to say that actors are not restarted; by default they are, for ever.
        warnings.simplefilter("ignore", RayDeprecationWarning)
        results = dataset.map_batches(
            worker,
            fn_constructor_args=tuple(arguments),
            batch_size=batch_size,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=plan.actors, max_tasks_in_flight_per_actor=tasks_each),
            num_cpus=plan.cpus,
            num_gpus=plan.gpus or None,
            max_restarts=0,
            max_task_retries=0,
        )
    stream = results.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    # Closed whatever ends it, so that no actor goes on with what nobody asks for.
    with closing(cast("Generator[pa.Table, None, None]", iter(stream))) as tables:
        yield from tables


def release_actors() -> None:
    """Give back the slots of streams that have ended.

    Ray ends an actor when nobody holds it. What is left of a stream holds its actors in a circle, which Python breaks
    when it comes to it: until then whoever needs their slots waits.
    """
    gc.collect()


def _most(actors: int, pieces: int | None) -> int:
    """Actors that have something to do."""
    return actors if pieces is None else min(actors, pieces)
