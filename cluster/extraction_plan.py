"""How many actors extract at a time, decided before any of them starts.

An actor holds CPU slots, whose number is that of its threads, and a share of one GPU. One CPU slot stays free, as
beside models and trials; where not even one actor fits, the plan says so instead of waiting.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cluster.address import cluster_address
from cluster.machine import machine_cpus, machine_gpus
from cluster.model_plan import share_problems
from cluster.plan import READ_CPUS, PlanError
from cluster.resources import ClusterResources, Node, cluster_resources
from cluster.trial_layout import TrialLayout
from cluster.trial_room import room_for
from dclf.extraction.contract import ExtractionWorkError
from dclf.prose import counted


@dataclass(frozen=True, kw_only=True)
class ExtractionActors:
    """Where features are extracted.

    Attributes:
        address: of a Ray cluster; RAY_ADDRESS, then a local Ray where None.
        actors: at a time; 0 for as many as fit.
        cpus_per_actor: CPU slots, and threads, of each.
        gpus: share of a GPU for each; 0 computes on CPUs.
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
        return problems + share_problems(self.gpus)


@dataclass(frozen=True, kw_only=True)
class ExtractionPlan:
    """How the work is spread.

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
        """What the encoders compute on, as torch calls it."""
        return "cuda" if self.gpus else "cpu"

    def describe(self) -> list[str]:
        """Lines for the terminal."""
        slots = counted(self.cpus, "CPU slot") + (f" and {self.gpus:g} GPU" if self.gpus else "")
        return [f"{counted(self.actors, 'actor')} with {slots} each", *self.notes]


def plan_extraction(actors: ExtractionActors, resources: ClusterResources) -> ExtractionPlan:
    """Lay out an extraction.

    Args:
        actors: how many, and on what.
        resources: what the cluster has.

    Raises:
        PlanError: the actors would wait for ever.
    """
    if actors.gpus and not resources.gpus:
        raise PlanError("each actor is to have a share of a GPU, the cluster has none; leave the share out")
    room = room_for(TrialLayout(gpus=actors.gpus, cpus=actors.cpus_per_actor), resources)
    if room < max(1, actors.actors):
        share = f" and {actors.gpus:g} GPU" if actors.gpus else ""
        raise PlanError(
            f"{counted(max(1, actors.actors), 'actor')} with {counted(actors.cpus_per_actor, 'CPU slot')}{share} each, "
            f"and {READ_CPUS} slot beside them, must fit; the cluster has {resources.cpus} CPU slots and "
            f"{resources.gpus} GPUs, room for {room}; ask for fewer actors or slots, or use a larger cluster"
        )
    count, cpus = actors.actors or room, actors.cpus_per_actor
    outcome = "actors wait until some are free"
    notes = resources.busy_notes(count * cpus + READ_CPUS, outcome, gpus=count * actors.gpus)
    return ExtractionPlan(actors=count, cpus=cpus, gpus=actors.gpus, notes=tuple(notes))


def works_elsewhere(actors: ExtractionActors) -> bool:
    """Whether a cluster does the work: one that is named, or the one that this process is connected to.

    Where one actor is asked for and no cluster is named, this process does it.
    """
    from cluster.session import reaches_cluster  # noqa: PLC0415 - a plan needs no Ray

    return bool(cluster_address(actors.address)) or (actors.actors != 1 and reaches_cluster())


def plan_after_loss(actors: ExtractionActors) -> ExtractionPlan:
    """A plan for what is left of the cluster that this process is connected to.

    Raises:
        ExtractionWorkError: it has no room for one actor.
    """
    try:
        return plan_extraction(actors, cluster_resources())
    except PlanError as error:
        raise ExtractionWorkError(f"what is left of the cluster has no room: {error}") from None


def check_layout(actors: ExtractionActors) -> None:
    """Refuse what a Ray of this machine could never hold, before any work; of a cluster nothing is known yet.

    Raises:
        PlanError: the actors would wait for ever.
    """
    try:
        plan_extraction(actors, local_extraction_resources(actors))
    except PlanError:
        from cluster.session import reaches_cluster  # noqa: PLC0415 - what fits needs no Ray to be told

        if not reaches_cluster(actors.address):
            raise


def local_extraction_resources(actors: ExtractionActors) -> ClusterResources:
    """What a Ray started for this work alone on this machine will have; Ray itself is not needed to tell.

    As many actors as the machine has CPUs for, unless the user says how many.
    """
    count = actors.actors or max(1, machine_cpus() // actors.cpus_per_actor)
    gpus = machine_gpus() if actors.gpus else 0
    return ClusterResources(nodes=(Node(cpus=count * actors.cpus_per_actor + READ_CPUS, gpus=gpus),))


def local_threads(actors: ExtractionActors) -> int:
    """Threads of all actors together that this machine would have, for work that one process does in their place."""
    return local_extraction_resources(replace(actors, gpus=0.0)).cpus - READ_CPUS
