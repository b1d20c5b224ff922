"""Work on many saved models, spread over actors by Ray Data, or one after the other in this process.

Every model is one row of a dataset and one task of ``map_batches``; what is said of it while it goes on comes back as
blocks of its own, so that the caller hears of it at once, from any machine. Nothing is tried again: what would kill an
actor once, such as too little memory, would again, and a lost actor is told with the model that it worked on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster.actors import (
    ActorPlan,
    ActorSettings,
    check_layout,
    local_resources,
    plan_actors,
    release_actors,
    tables_from_actors,
)
from dclf.errors import UserError, first_line
from dclf.prose import quantity

if TYPE_CHECKING:
    import pyarrow as pa

Message = Mapping[str, Any]
"""JSON-ready, what is said of a model."""
Work = Callable[[Mapping[str, Any]], Iterator[Message]]
"""Works on the model that a job's body describes; sent to every actor once, and called there model after model."""

_BEGIN, _MESSAGE, _END, _FAILURE = "begin", "message", "end", "failure"
_MOST_SHOWN = 8
_LONGEST = 2000


class ModelError(UserError, RuntimeError):
    """The work on a model failed, or its actor was lost; the message names the model."""


@dataclass(frozen=True, kw_only=True)
class ModelJob:
    """One model to work on.

    Attributes:
        name: what errors call it.
        body: JSON-ready, what the work needs to know of it.
    """

    name: str
    body: Mapping[str, Any]


def work_on_models(
    work_for: Callable[[str], Work],
    jobs: Sequence[ModelJob],
    settings: ActorSettings,
    started: Callable[[list[str]], None],
) -> Generator[tuple[ModelJob, Message], None, None]:
    """Work on models on the cluster that the settings name; one at a time in this process, without Ray.

    Args:
        work_for: returns the work for a device, given as torch names it.
        jobs: at least one, taken in this order.
        settings: where, and how many at a time.
        started: hears how they are laid out, before the first begins.

    Yields:
        What is said of a model, in the order of arrival.

    Raises:
        PlanError: not one fits.
        ConnectionError: there is no cluster at the address.
        ModelError: the work on a model failed, or an actor was lost; the others have been ended.
    """
    count = len(jobs)
    if (count == 1 or settings.actors == 1) and not _gpus_elsewhere(settings):
        if settings.gpus:
            # On CPUs there is always room for this process.
            plan_actors(settings, local_resources(settings, 1), 1)
        started(["one model at a time, in this process"])
        yield from work_here(work_for("cuda" if settings.gpus else "cpu"), jobs)
        return
    from cluster.session import ray_session  # noqa: PLC0415 - one at a time needs no Ray

    check_layout(settings, count)
    cpus = local_resources(settings, count).cpus
    with ray_session(settings.address, verbose=settings.verbose, num_cpus=cpus) as resources:
        plan = plan_actors(settings, resources, count)
        started([f"{quantity(plan.actors, 'model')} at a time, each with {plan.slots}", *plan.notes])
        yield from work_on_actors(work_for(plan.device), jobs, plan)


def _gpus_elsewhere(settings: ActorSettings) -> bool:
    """Whether the GPUs are those of a cluster, whose driver may have none."""
    if not settings.gpus:
        return False
    from cluster.session import reaches_cluster  # noqa: PLC0415 - on CPUs one at a time needs no Ray

    return reaches_cluster(settings.address)


def work_here(work: Work, jobs: Sequence[ModelJob]) -> Iterator[tuple[ModelJob, Message]]:
    """Work on one model after the other in this process.

    Raises:
        ModelError: the work on one failed.
    """
    for job in jobs:
        try:
            yield from ((job, message) for message in work(job.body))
        except Exception as error:
            raise ModelError(_failed(job, _text(error))) from error


def work_on_actors(work: Work, jobs: Sequence[ModelJob], plan: ActorPlan) -> Iterator[tuple[ModelJob, Message]]:
    """Work on several models at a time; this process is connected to Ray, and the plan fits the cluster.

    Args:
        work: can be pickled.
        jobs: taken in this order.
        plan: from ``plan_actors``.

    Yields:
        What is said of a model, in the order of arrival.

    Raises:
        ModelError: the work on a model failed, or an actor was lost; the others have been ended.
    """
    import ray.data  # noqa: PLC0415 - the work in this process needs no Ray
    from ray.exceptions import RayActorError, RayError  # noqa: PLC0415

    progress = _Progress(jobs)
    rows = [{"place": place, "body": json.dumps(dict(job.body))} for place, job in enumerate(jobs)]
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    # Every yielded table is a block of its own, on its way at once.
    dataset.context.target_max_block_size = 1
    try:
        with closing(tables_from_actors(dataset, _Worker, (work,), plan, batch_size=1, tasks_each=1)) as tables:
            for table in tables:
                for row in table.to_pylist():
                    yield from progress.row(row)
    except RayActorError as error:
        raise ModelError(progress.loss_message(error.actor_id, first_line(error))) from None
    except RayError as error:
        raise ModelError(progress.loss_message(None, first_line(error))) from None
    finally:
        release_actors()


class _Progress:
    """Which models the actors have begun and ended."""

    def __init__(self, jobs: Sequence[ModelJob]) -> None:
        self._jobs = jobs
        self._actors: dict[int, str] = {}
        self._ended: set[int] = set()

    def row(self, row: Mapping[str, Any]) -> Iterator[tuple[ModelJob, Message]]:
        """A row of a block; ModelError where it tells of a failure."""
        job = self._jobs[row["place"]]
        if row["kind"] == _FAILURE:
            raise ModelError(_failed(job, row["text"]))
        if row["kind"] == _BEGIN:
            self._actors[row["place"]] = row["text"]
        elif row["kind"] == _END:
            self._ended.add(row["place"])
        else:
            yield job, json.loads(row["text"])

    def loss_message(self, actor: str | None, reason: str) -> str:
        """An error's text for the end of an actor, known by Ray's id or unknown, as where its machine is lost."""
        under_way = {place: worker for place, worker in self._actors.items() if place not in self._ended}
        places = [place for place, worker in under_way.items() if worker == actor] or list(under_way)
        places = places or [place for place in range(len(self._jobs)) if place not in self._actors]
        names = "; ".join(self._jobs[place].name for place in places[:_MOST_SHOWN])
        names += "; ..." * (len(places) > _MOST_SHOWN)
        process = "the process that worked on it" if len(places) == 1 else "a process that worked on one of them"
        return (
            f"{names}: {process} was lost ({reason}); it may have run out of memory: ask for fewer at a time, and go on"
        )


class _Worker:
    """What an actor holds: the work, for one model after the other."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        import ray  # noqa: PLC0415 - one at a time needs no Ray

        (row,) = batch.to_pylist()
        yield _block(row["place"], _BEGIN, str(ray.get_runtime_context().get_actor_id()))
        try:
            for message in self._work(json.loads(row["body"])):
                yield _block(row["place"], _MESSAGE, json.dumps(message))
            yield _block(row["place"], _END, "")
        except Exception as error:  # noqa: BLE001 - raised by the driver under the model's name
            yield _block(row["place"], _FAILURE, _text(error))


def _block(place: int, kind: str, text: str) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415 - planning does not need it

    return pa.table({"place": [place], "kind": [kind], "text": [text]})


def _failed(job: ModelJob, reason: str) -> str:
    return f"{job.name}: {reason}"


def _text(error: BaseException) -> str:
    """The whole error of a work in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:_LONGEST]}" if text else type(error).__name__
