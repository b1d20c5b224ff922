"""Features of many utterances, spread over actors by Ray Data, or computed in this process where one is enough.

Words and paths travel to the actors, and rows come back batch by batch, in the order in which they are ready; nothing
holds all of them. The longest utterances go first, so that a batch has its like and no actor ends long after the
others. An actor that is lost is started again a few times and its utterances are read again, which does no harm.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Protocol, cast

from cluster.address import cluster_address
from cluster.extraction_actor import RowsActor, utterance_table
from cluster.extraction_plan import ExtractionActors, ExtractionPlan, local_extraction_resources, plan_extraction
from dclf.extraction.arrow_rows import row_at
from dclf.extraction.contract import ExtractionError, ExtractorSettings, Row, Unreadable, Utterance

if TYPE_CHECKING:
    import pyarrow as pa
    import ray.data

BATCH_SIZES = {"text": 64, "recording": 8}
"""Utterances that an extractor gets at a time, by what it reads."""
TASK_BATCHES = 4
"""That an actor is given together, at most: fewer of them cost the driver more."""
RESTARTS = 3
"""Of an actor that is lost, and as many tries of what it worked on."""
_SHOWN = 5


@dataclass(frozen=True)
class Arrived:
    """Rows that are ready.

    Attributes:
        places: of their utterances among those that were given.
        rows: of each.
    """

    places: Sequence[int]
    rows: Sequence[Row]


class Workers(Protocol):
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
            ExtractionError: the extractor cannot be opened or fails, or processes were lost too often.
        """
        ...


@contextmanager
def extraction_workers(
    actors: ExtractionActors, started: Callable[[list[str]], None], batch_size: int = 0
) -> Iterator[Workers]:
    """What extracts, for the length of the block: actors of the cluster that is meant, or this process for one alone.

    Args:
        actors: how many, and where.
        started: hears how they are laid out.
        batch_size: utterances that an extractor gets at a time; 0 for what suits what it reads.

    Raises:
        PlanError: not one actor fits.
        ConnectionError: there is no cluster at the address.
    """
    from cluster.session import ray_session, reaches_cluster  # noqa: PLC0415 - alone needs no Ray

    local = local_extraction_resources(actors)
    elsewhere = cluster_address(actors.address) or (actors.actors != 1 and reaches_cluster())
    if not elsewhere and (plan := plan_extraction(actors, local)).actors == 1:
        started(["one batch at a time, in this process"])
        yield OneProcess(plan.device, batch_size)
        return
    with ray_session(actors.address, verbose=actors.verbose, num_cpus=local.cpus) as resources:
        plan = plan_extraction(actors, resources)
        started(plan.describe())
        yield Actors(plan, batch_size)


class OneProcess:
    """Extracts in this process.

    Args:
        device: as torch names it.
        batch_size: see ``extraction_workers``.
    """

    def __init__(self, device: str, batch_size: int = 0) -> None:
        self._device = device
        self._batch_size = batch_size

    def extract(
        self, settings: ExtractorSettings, utterances: Sequence[Utterance], names: Sequence[str]
    ) -> Generator[Arrived, None, None]:
        """See ``Workers``."""
        size = self._batch_size or BATCH_SIZES[settings.reads]
        order = longest_first(utterances)
        actor = RowsActor(settings, self._device, size)
        for block in actor(utterance_table(utterances, order)):
            yield _arrived(block, names)


class Actors:
    """Extracts on actors; this process is connected to Ray.

    Args:
        plan: that fits the cluster.
        batch_size: see ``extraction_workers``.
    """

    def __init__(self, plan: ExtractionPlan, batch_size: int = 0) -> None:
        self._plan = plan
        self._batch_size = batch_size

    def extract(
        self, settings: ExtractorSettings, utterances: Sequence[Utterance], names: Sequence[str]
    ) -> Generator[Arrived, None, None]:
        """See ``Workers``."""
        from ray.exceptions import RayError  # noqa: PLC0415 - the work in this process needs no Ray

        dataset = self._spread(settings, utterances)
        stream = dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
        missing = set(range(len(utterances)))
        try:
            # Closed whatever ends it, so that no actor goes on with what nobody asks for.
            with closing(cast("Generator[pa.Table, None, None]", iter(stream))) as blocks:
                for block in blocks:
                    arrived = _arrived(block, names)
                    missing.difference_update(arrived.places)
                    yield arrived
        except RayError as error:
            raise ExtractionError(
                f"processes that extract were lost {RESTARTS + 1} times ({_line(error)}); they may have run out of "
                "memory: ask for fewer actors or smaller batches, and go on"
            ) from None
        if missing:
            raise ExtractionError(f"no rows came for {_named(sorted(missing), names)}; go on with the same command")

    def _spread(self, settings: ExtractorSettings, utterances: Sequence[Utterance]) -> ray.data.Dataset:
        """The stream of rows: an actor takes some batches when it is done with the last ones."""
        import ray.data  # noqa: PLC0415 - see above
        from ray.util.annotations import RayDeprecationWarning  # noqa: PLC0415

        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        order, plan = longest_first(utterances), self._plan
        size = self._batch_size or BATCH_SIZES[settings.reads]
        per_task = min(TASK_BATCHES * size, ceil(len(order) / (TASK_BATCHES * plan.actors)))
        tasks = [order[begin : begin + per_task] for begin in range(0, len(order), per_task)]
        dataset = ray.data.from_arrow([utterance_table(utterances, task) for task in tasks])
        context = dataset.context
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        # Every yielded table is a block of its own, on its way at once.
        context.target_max_block_size = 1
        with warnings.catch_warnings():
            # Ray 2.60 has no other way to say how often actors are restarted; by default they are, for ever.
            warnings.simplefilter("ignore", RayDeprecationWarning)
            return dataset.map_batches(
                RowsActor,
                fn_constructor_args=(settings, plan.device, size),
                batch_size=None,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(size=plan.actors, max_tasks_in_flight_per_actor=2),
                num_cpus=plan.cpus,
                num_gpus=plan.gpus or None,
                max_restarts=RESTARTS,
                max_task_retries=RESTARTS,
            )


def longest_first(utterances: Sequence[Utterance]) -> list[int]:
    """Places of the utterances, by the seconds or the letters that they have; recordings of unknown length first."""

    def length(place: int) -> tuple[float, int]:
        utterance = utterances[place]
        whole = utterance.recording and utterance.end is None
        return float("inf") if whole else (utterance.end or 0.0) - (utterance.start or 0.0), len(utterance.text)

    return sorted(range(len(utterances)), key=length, reverse=True)


def _arrived(block: pa.Table, names: Sequence[str]) -> Arrived:
    """The rows of a block; ExtractionError where it tells of a failure."""
    places = block["place"].to_pylist()
    failure = block["failure"][0].as_py()
    if failure is not None:
        raise ExtractionError(f"{_named(places, names)}: {failure}" if places != [-1] else failure)
    rows: list[Row] = []
    for place, lasting in enumerate(block["lasting"].to_pylist()):
        row = row_at(block, place)
        rows.append(Unreadable(row.reason, lasting=lasting) if isinstance(row, Unreadable) else row)
    return Arrived(places, rows)


def _named(places: Sequence[int], names: Sequence[str]) -> str:
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    return ", ".join(names[place] for place in places[:_SHOWN]) + more


def _line(error: BaseException) -> str:
    """The first line of an error of Ray's; the others are of its processes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:500]}" if lines else type(error).__name__
