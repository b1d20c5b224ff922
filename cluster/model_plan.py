"""How many saved models are worked on at a time, decided before any actor starts.

An actor holds one CPU slot and a share of one GPU. One CPU slot stays free for reading, as beside trials, so that
whoever shares the cluster is not kept waiting; where not even one actor fits, the plan says so instead of waiting.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.machine import machine_cpus, machine_gpus
from cluster.plan import READ_CPUS, SMALLEST_SHARE, PlanError
from cluster.resources import ClusterResources, Node
from cluster.trial_layout import TrialLayout
from cluster.trial_room import room_for
from dclf.prose import counted


def share_problems(gpus: float) -> list[str]:
    """What is wrong with an actor's share of a GPU, 0 for none; empty where nothing is."""
    if not gpus or SMALLEST_SHARE <= gpus <= 1:
        return []
    return [f"gpus: must be 0, or {SMALLEST_SHARE:g} to 1 of a card, is {gpus:g}"]


@dataclass(frozen=True, kw_only=True)
class ActorSettings:
    """Where models are worked on.

    Attributes:
        address: of a Ray cluster; RAY_ADDRESS, then a local Ray where None.
        at_a_time: models at a time; 0 for as many as fit, 1 works in this process.
        gpus: share of a GPU for each; 0 works on CPUs.
        verbose: let Ray speak.
    """

    address: str | None = None
    at_a_time: int = 0
    gpus: float = 0.0
    verbose: bool = False

    def problems(self) -> list[str]:
        """Every impossible value, each one line."""
        problems = [] if self.at_a_time >= 0 else [f"at_a_time: must be 0 or more, is {self.at_a_time}"]
        return problems + share_problems(self.gpus)


@dataclass(frozen=True, kw_only=True)
class ModelPlan:
    """How models are spread.

    Attributes:
        actors: models at a time.
        gpus: share of a GPU of each.
        notes: what the user should know, one sentence each.
    """

    actors: int
    gpus: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """What the models compute on, as torch calls it."""
        return "cuda" if self.gpus else "cpu"

    def describe(self) -> list[str]:
        """Lines for the terminal."""
        slots = "1 CPU slot" + (f" and {self.gpus:g} GPU" if self.gpus else "")
        return [f"{counted(self.actors, 'model')} at a time, each with {slots}", *self.notes]


def plan_models(models: int, settings: ActorSettings, resources: ClusterResources) -> ModelPlan:
    """Lay out the work on so many models.

    Args:
        models: at least 1.
        settings: how many at a time, and on what.
        resources: what the cluster has.

    Raises:
        PlanError: the actors would wait for ever.
    """
    room = room_for(TrialLayout(gpus=settings.gpus), resources)
    wanted = min(models, settings.at_a_time)
    if settings.gpus and not resources.gpus:
        raise PlanError("each model is to have a share of a GPU, the cluster has none; leave the share out")
    if room < max(1, wanted):
        share = f", and {settings.gpus:g} GPU each" if settings.gpus else ""
        raise PlanError(
            f"{max(1, wanted)} models at a time need a CPU slot each and {READ_CPUS} for reading"
            f"{share}; the cluster has {resources.cpus} CPU slots and "
            f"{resources.gpus} GPUs, room for {room}; ask for fewer at a time, or use a larger cluster"
        )
    actors = wanted or min(models, room)
    outcome = "models wait until some are free"
    notes = resources.busy_notes(actors + READ_CPUS, outcome, gpus=actors * settings.gpus)
    return ModelPlan(actors=actors, gpus=settings.gpus, notes=tuple(notes))


def local_model_resources(models: int, settings: ActorSettings) -> ClusterResources:
    """What a Ray started for this work alone on this machine will have; Ray itself is not needed to tell."""
    actors = min(models, settings.at_a_time or machine_cpus())
    return ClusterResources(nodes=(Node(cpus=actors + READ_CPUS, gpus=machine_gpus() if settings.gpus else 0),))
