"""Fine-tuning of an encoder of words: in this process, or as one task of a cluster that has the cards."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from cluster.actors import ActorPlan, ActorSettings, local_threads, plan_actors
from cluster.extraction import plan_after_loss, works_elsewhere
from cluster.machine import torch_threads
from cluster.signals import termination_raises
from cluster.waiting import Waiting
from dclf.errors import first_line
from dclf.extraction.contract import ExtractionError, ExtractionWorkError
from dclf.extraction.fine_tuning import (
    FineTuningEpoch,
    FineTuningOptions,
    Transcribable,
    fine_tune,
    training_utterances,
)
from dclf.extraction.text import TextSettings

RESTARTS = 3
"""Of a task that is lost: it goes on with the last epoch that is on disk."""
LOOK_SECONDS = 5.0
"""How often to look whether a task waits."""
_log = logging.getLogger(__name__)
Heard = Callable[[FineTuningEpoch], None]


@dataclass(frozen=True, kw_only=True)
class FineTuningWork:
    """An encoder, what it learns from, and where the result goes; can be pickled.

    Attributes:
        settings: of the encoder, resolved.
        texts: utterances of the training split.
        labels: of each.
        class_count: number of emotions.
        folder: for the result; on a cluster one that all of its machines see.
        options: how.
    """

    settings: TextSettings
    texts: Sequence[str]
    labels: Sequence[int]
    class_count: int
    folder: Path
    options: FineTuningOptions

    @classmethod
    def of(
        cls,
        settings: TextSettings,
        dialogues: Sequence[Transcribable],
        class_count: int,
        options: FineTuningOptions,
        folder: Path,
    ) -> FineTuningWork:
        """Return the work for these dialogues; the result goes into a new folder below ``folder``."""
        texts, labels = training_utterances(dialogues)
        depends = json.dumps([settings.fingerprint(), asdict(options), class_count, texts, labels]).encode()
        name = f"fine-tuned-{hashlib.sha256(depends).hexdigest()[:16]}"
        return cls(
            settings=settings,
            texts=texts,
            labels=labels,
            class_count=class_count,
            folder=folder.absolute() / name,
            options=options,
        )

    def run(self, device: str, heard: Heard) -> TextSettings:
        """See ``dclf.extraction.fine_tuning.fine_tune``."""
        return fine_tune(
            self.settings,
            self.texts,
            self.labels,
            self.class_count,
            self.folder,
            self.options,
            device=device,
            heard=heard,
        )


def fine_tuned(work: FineTuningWork, actors: ActorSettings, heard: Heard) -> TextSettings:
    """Fine-tune an encoder, and return settings that extract with the result.

    Args:
        work: what is done.
        actors: where; one of them does it, or this process with the threads of all.
        heard: is told of every epoch that is trained now.

    Raises:
        ExtractionError: see ``fine_tune``; or the task was lost too often.
        PlanError: the task does not fit the cluster.
        ConnectionError: there is no cluster at the address.
    """
    if work.folder.exists() or not works_elsewhere(actors):  # the folder appears with the result
        with torch_threads(local_threads(actors)):
            return work.run("cuda" if actors.gpus else "cpu", heard)
    from cluster.session import ray_session  # noqa: PLC0415 - here needs no Ray

    with termination_raises(), ray_session(actors.address, verbose=actors.verbose) as resources:
        one = replace(actors, actors=1)
        plan = plan_actors(one, resources)
        for note in plan.notes:
            _log.info("fine-tuning: %s", note)
        return fine_tuned_by_task(work, plan, heard, lambda: plan_after_loss(one))


def fine_tuned_by_task(
    work: FineTuningWork, plan: ActorPlan, heard: Heard, plan_anew: Callable[[], ActorPlan] | None = None
) -> TextSettings:
    """Fine-tune in a task of the cluster that this process is connected to; raises as ``fine_tuned``.

    A lost task is begun anew here and not by Ray, which numbers what a task yields: one that goes on in the middle
    yields less than before, and Ray drops as many items as came from the first one.
    """
    from ray.exceptions import RayError, RayTaskError  # noqa: PLC0415 - one at a time needs no Ray

    lost = 0
    while True:
        try:
            return _by_one_task(work, plan, heard)
        except RayTaskError as error:
            is_extraction_error = isinstance(error.cause, ExtractionError)
            raise ExtractionWorkError(str(error.cause) if is_extraction_error else first_line(error.cause)) from None
        except RayError as error:
            lost += 1
            if lost > RESTARTS:
                raise ExtractionWorkError(
                    f"the process that fine-tunes was lost {lost} times ({error}); go on"
                ) from None
            _log.warning(
                "a process that fine-tunes was lost (%s); another goes on from its last epoch", first_line(error)
            )
            # With its node: the task might wait for ever.
            plan = plan if plan_anew is None else plan_anew()


def _by_one_task(work: FineTuningWork, plan: ActorPlan, heard: Heard) -> TextSettings:
    import ray  # noqa: PLC0415 - one at a time needs no Ray

    task: Any = ray.remote(_progress).options(
        num_cpus=plan.cpus, num_gpus=plan.gpus, max_retries=0, num_returns="streaming"
    )
    settings: TextSettings | None = None
    stream = task.remote(work, plan.device)
    _await_begin(stream, plan)
    for reference in stream:
        message = ray.get(reference)
        if isinstance(message, FineTuningEpoch):
            heard(message)
        else:
            settings = message
    if settings is None:
        raise RuntimeError("the task that fine-tunes has ended without saying where its result is")
    return settings


def _await_begin(stream: Any, plan: ActorPlan) -> None:
    """Wait for the first thing that a task says, and tell where it takes long."""
    import ray  # noqa: PLC0415 - see above

    waiting = Waiting(f"fine-tuning needs {plan.slots} on one machine")
    while not ray.wait([stream], timeout=LOOK_SECONDS)[0]:
        waiting.look()


def _progress(work: FineTuningWork, device: str) -> Iterator[FineTuningEpoch | TextSettings | None]:
    """None when the task has begun, the epochs as they end, and then the settings."""
    yield None
    messages: SimpleQueue[Any] = SimpleQueue()

    def run() -> None:
        try:
            messages.put(work.run(device, messages.put))
        except BaseException as error:  # noqa: BLE001 - raised by the thread that reads
            messages.put(error)

    Thread(target=run, daemon=True).start()
    while isinstance(message := messages.get(), FineTuningEpoch):
        yield message
    if isinstance(message, BaseException):
        raise message
    yield message
