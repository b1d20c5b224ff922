"""Features of many utterances, spread over actors by Ray Data, or computed in this process where one is enough.

Words and paths travel to the actors, and rows come back batch by batch, in the order in which they are ready; nothing
holds all of them. The longest utterances go first, so that a batch has its like and no actor ends long after the
others. Where an actor is lost, what is left is given to new ones, a few times: reading an utterance again does no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Protocol

from cluster.actors import ActorPlan, ActorSettings, local_resources, plan_actors, release_actors, tables_from_actors
from cluster.address import cluster_address
from cluster.extraction_actor import RowsActor, utterance_table
from cluster.machine import torch_threads
from cluster.plan import PlanError
from cluster.resources import cluster_resources
from cluster.signals import termination_raises
from dclf.errors import first_line
from dclf.extraction.arrow_rows import row_at
from dclf.extraction.contract import BATCH_SIZES, ExtractionWorkError, ExtractorSettings, Row, Unreadable, Utterance
from dclf.prose import quantity

if TYPE_CHECKING:
    import pyarrow as pa

TASK_BATCHES = 2
"""That an actor is given together, at most, and whose rows come back together."""
TASKS_EACH = 4
"""That every actor gets, at least: none is to wait for the others' last one for long."""
RESTARTS = 3
"""Times that the work is taken up again with what is left, where processes are lost."""
_MOST_SHOWN = 5
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arrived:
    """Rows that are ready.

    Attributes:
        places: of their utterances among those that were given.
        rows: of each.
    """

    places: Sequence[int]
    rows: Sequence[Row]


class RowSource(Protocol):
    """What extracts."""

    def extract(
        self, settings: ExtractorSettings, utterances: Sequence[Utterance], names: Sequence[str]
    ) -> Generator[Arrived, None, None]:
        """Compute the rows of utterances.

        Args:
            settings: of the extractor, resolved.
            utterances: at least one.
            names: what each is called in messages.

        Raises:
            ExtractionWorkError: the extractor cannot be opened or fails, or processes were lost too often.
        """
        ...


def works_elsewhere(actors: ActorSettings) -> bool:
    """Whether a cluster does the work: one that is named, or the one that this process is connected to.

    Where one actor is asked for and no cluster is named, this process does it.
    """
    from cluster.session import reaches_cluster  # noqa: PLC0415 - a plan needs no Ray

    return bool(cluster_address(actors.address)) or (actors.actors != 1 and reaches_cluster())


def plan_after_loss(actors: ActorSettings) -> ActorPlan:
    """A plan for what is left of the cluster that this process is connected to.

    Raises:
        ExtractionWorkError: it has no room for one actor.
    """
    try:
        return plan_actors(actors, cluster_resources())
    except PlanError as error:
        raise ExtractionWorkError(f"what is left of the cluster has no room: {error}") from None


@contextmanager
def extraction_workers(
    actors: ActorSettings, started: Callable[[list[str]], None], batch_size: int = 0
) -> Iterator[RowSource]:
    """What extracts, for the length of the block: actors of the cluster that is meant, or this process for one alone.

    Args:
        actors: how many, and where.
        started: hears how they are laid out.
        batch_size: utterances that an extractor gets at a time; 0 for what suits what it reads.

    Raises:
        PlanError: not one actor fits.
        ConnectionError: there is no cluster at the address.
    """
    from cluster.session import ray_session  # noqa: PLC0415 - alone needs no Ray

    local = local_resources(actors)
    if not works_elsewhere(actors) and (plan := plan_actors(actors, local)).actors == 1:
        started([f"one batch at a time, in this process, on {quantity(plan.cpus, 'thread')}"])
        yield OneProcess(plan.device, batch_size, plan.cpus)
        return
    with (
        termination_raises(),
        ray_session(actors.address, verbose=actors.verbose, num_cpus=local.cpus) as resources,
    ):
        plan = plan_actors(actors, resources)
        started(plan.describe())
        yield Actors(plan, batch_size, lambda: plan_after_loss(actors))


class OneProcess:
    """Extracts in this process.

    Args:
        device: as torch names it.
        batch_size: see ``extraction_workers``.
        threads: that torch computes on meanwhile.
    """

    def __init__(self, device: str, batch_size: int = 0, threads: int = 1) -> None:
        self._device = device
        self._batch_size = batch_size
        self._threads = threads

    def extract(
        self, settings: ExtractorSettings, utterances: Sequence[Utterance], names: Sequence[str]
    ) -> Generator[Arrived, None, None]:
        """See ``RowSource``."""
        size = self._batch_size or BATCH_SIZES[settings.reads]
        order = longest_first(utterances)
        actor = RowsActor(settings, self._device, size)
        with torch_threads(self._threads):
            for block in actor(utterance_table(utterances, order)):
                yield from _arrived(block, names)


class Actors:
    """Extracts on actors; this process is connected to Ray.

    Args:
        plan: that fits the cluster.
        batch_size: see ``extraction_workers``.
        plan_anew: returns a plan that fits what is left of the cluster after a loss; the same as before where None.
    """

    def __init__(self, plan: ActorPlan, batch_size: int = 0, plan_anew: Callable[[], ActorPlan] | None = None) -> None:
        self._plan = plan
        self._plan_anew = plan_anew or (lambda: plan)
        self._batch_size = batch_size

    def extract(
        self, settings: ExtractorSettings, utterances: Sequence[Utterance], names: Sequence[str]
    ) -> Generator[Arrived, None, None]:
        """See ``RowSource``."""
        from ray.exceptions import RayActorError, RayError  # noqa: PLC0415 - the work in this process needs no Ray

        lost = _losses()
        missing = dict.fromkeys(longest_first(utterances))
        for restart in range(RESTARTS + 1):
            try:
                for arrived in self._stream(settings, utterances, list(missing), names):
                    for place in arrived.places:
                        del missing[place]
                    yield arrived
            except lost as error:
                if isinstance(error, RayActorError) and error.actor_init_failed:
                    raise ExtractionWorkError(f"an actor cannot start: {_last_line(error)}") from None
                if not missing:  # it was lost after its last row had come
                    return
                if restart == RESTARTS:
                    raise ExtractionWorkError(_loss_message(error, _name_list(list(missing), names))) from None
                _log.warning("a process that extracts was lost (%s); %d rows are left", first_line(error), len(missing))
                # With its node: as many actors as before might wait for ever.
                self._plan = self._plan_anew()
            except RayError as error:
                raise ExtractionWorkError(f"the actors cannot work ({first_line(error)})") from None
            else:
                return
            finally:
                release_actors()

    def _stream(
        self, settings: ExtractorSettings, utterances: Sequence[Utterance], places: Sequence[int], names: Sequence[str]
    ) -> Iterator[Arrived]:
        import ray.data  # noqa: PLC0415 - the work in this process needs no Ray

        plan, size = self._plan, self._batch_size or BATCH_SIZES[settings.reads]
        per_task = min(TASK_BATCHES * size, ceil(len(places) / (TASKS_EACH * plan.actors)))
        tasks = [places[begin : begin + per_task] for begin in range(0, len(places), per_task)]
        dataset = ray.data.from_arrow([utterance_table(utterances, task) for task in tasks])
        arguments = (settings, plan.device, size)
        with closing(tables_from_actors(dataset, RowsActor, arguments, plan, batch_size=None, tasks_each=2)) as blocks:
            for block in blocks:
                yield from _arrived(block, names)


def _losses() -> tuple[type[Exception], ...]:
    """Errors of Ray's that say that an actor, its node or what they held is gone: others may do the work."""
    from ray import exceptions  # noqa: PLC0415 - the work in this process needs no Ray

    return (
        exceptions.RayActorError,
        exceptions.NodeDiedError,
        exceptions.ObjectLostError,
        exceptions.OutOfMemoryError,
        exceptions.WorkerCrashedError,
    )


def _loss_message(error: BaseException, missing: str) -> str:
    return (
        f"processes that extract were lost {RESTARTS + 1} times ({first_line(error)}), at last with {missing} to read; "
        "they may have run out of memory: ask for fewer actors or smaller batches, and go on; where one of these "
        "utterances ends its process every time, leave it out"
    )


def longest_first(utterances: Sequence[Utterance]) -> list[int]:
    """Places of the utterances, by the seconds or the letters that they have; recordings of unknown length first."""

    def length(place: int) -> tuple[float, int]:
        utterance = utterances[place]
        whole = utterance.recording and utterance.end is None
        return float("inf") if whole else (utterance.end or 0.0) - (utterance.start or 0.0), len(utterance.text)

    return sorted(range(len(utterances)), key=length, reverse=True)


def _arrived(block: pa.Table, names: Sequence[str]) -> Iterator[Arrived]:
    """The rows of a block; ExtractionWorkError, behind those that there are, where it tells of a failure.

    Ray joins the tables of a task, so that rows of one batch may stand before the failure of the next one.
    """
    places, failures = block["place"].to_pylist(), block["failure"].to_pylist()
    whole = [at for at, failure in enumerate(failures) if failure is None]
    if whole:
        yield Arrived([places[at] for at in whole], [_row_at(block, at) for at in whole])
    failure = next((failure for failure in failures if failure is not None), None)
    if failure is not None:
        failed = [place for place, one in zip(places, failures, strict=True) if one == failure]
        raise ExtractionWorkError(f"{_name_list(failed, names)}: {failure}" if failed != [-1] else failure)


def _row_at(block: pa.Table, at: int) -> Row:
    row = row_at(block, at)
    return Unreadable(row.reason, lasting=block["lasting"][at].as_py()) if isinstance(row, Unreadable) else row


def _name_list(places: Sequence[int], names: Sequence[str]) -> str:
    more = f" and {len(places) - _MOST_SHOWN} more" if len(places) > _MOST_SHOWN else ""
    return ", ".join(names[place] for place in places[:_MOST_SHOWN]) + more


def _last_line(error: BaseException) -> str:
    """What the process itself raised stands last in an error of Ray's."""
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
