"""One training of a trial on Ray Train workers, epoch by epoch."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from dataclasses import replace

from cluster.storage import checkpoint_to_resume, load_checkpoint
from cluster.training import TrainingOutcome, train_on_ray
from dclf.config import Config
from dclf.training.reports import EpochReport
from tune.study.history import history_in, write_history
from tune.study.training_files import TrainingFiles


class RayTraining:
    """Trains on Ray Train workers, while this process waits for their epochs.

    Args:
        config: the training.
        files: where its checkpoints are kept.
    """

    def __init__(self, config: Config, files: TrainingFiles) -> None:
        # The workers' checkpoint has every epoch; our history file may lack the last if we were killed just after it.
        self._resume_from = checkpoint_to_resume(files.storage, files.name)
        self._history = [] if self._resume_from is None else history_in(load_checkpoint(self._resume_from))
        self._events: queue.SimpleQueue[EpochReport | TrainingOutcome | BaseException] = queue.SimpleQueue()
        self._finished = False
        self._config = replace(config, train=replace(config.train, storage=files.storage))
        self._files = files
        threading.Thread(target=self._train, daemon=True, name="dclf-trial").start()

    @property
    def history(self) -> Sequence[EpochReport]:
        """The finished epochs, those of an earlier process included."""
        return self._history

    @property
    def finished(self) -> bool:
        """Whether there is no epoch left."""
        return self._finished

    def epoch(self) -> None:
        """Wait for the next epoch of the workers; after the last one, for their end."""
        event = self._events.get()
        if isinstance(event, BaseException):
            raise event
        if isinstance(event, TrainingOutcome):
            self._history = list(event.final.history)
            self._finished = True
            return
        self._history = [*self._history[: event.epoch - 1], event]
        write_history(self._files.local, self._history)
        self._files.keep(epochs_only=True)
        if event.epoch == event.epochs:
            self.epoch()

    def keep(self) -> None:
        """Nothing: the workers kept an epoch before they told of it."""

    def _train(self) -> None:
        try:
            self._events.put(
                train_on_ray(
                    self._config,
                    run_name=self._files.name,
                    on_epoch=self._events.put,
                    resume_from=self._resume_from,
                    score=("val",),
                )
            )
        except BaseException as error:  # noqa: BLE001 - raised again where somebody waits
            self._events.put(error)
