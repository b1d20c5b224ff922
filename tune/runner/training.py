"""One training of a trial, epoch by epoch: what that is, and how the trial's own process does it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch

from dclf.config import Config
from dclf.data.reader import ShardSet
from dclf.training import checkpoint
from dclf.training.loop import TrainingRun
from dclf.training.reports import EpochReport
from dclf.training.run_cache import RunCache
from dclf.training.source import Source
from tune.study.history import write_history
from tune.study.training_files import TrainingFiles


class Training(Protocol):
    """A training that stops between epochs and survives its process."""

    @property
    def history(self) -> Sequence[EpochReport]:
        """The finished epochs, those of an earlier process included."""

    @property
    def finished(self) -> bool:
        """Whether there is no epoch left."""

    def epoch(self) -> None:
        """Train one epoch."""

    def keep(self) -> None:
        """Keep all epochs so far; nothing of them is lost when this has returned."""


class OwnTraining:
    """Trains in this process; goes on from the checkpoint that is kept where there is one.

    Args:
        config: the training.
        source: all dialogues.
        shards: the shard set.
        files: where the checkpoint is kept.
        cache: from this process's earlier trainings over the same source.
        start: checkpoint of another training to start from: population based training.
    """

    def __init__(
        self,
        config: Config,
        source: Source,
        shards: ShardSet,
        files: TrainingFiles,
        *,
        cache: RunCache,
        start: Path | None = None,
    ) -> None:
        torch.set_num_threads(config.train.cpus_per_worker)
        self._files = files
        self._run = TrainingRun(config, source, shards, cache)
        if start is None:
            files.fetch()
        checkpoint_folder = start or (files.local if (files.local / checkpoint.STATE_FILE).exists() else None)
        self._run.prepare() if checkpoint_folder is None else self._run.restore(checkpoint.load(checkpoint_folder))

    @property
    def history(self) -> Sequence[EpochReport]:
        """The finished epochs, those of an earlier process included."""
        return self._run.progress.history

    @property
    def finished(self) -> bool:
        """Whether there is no epoch left."""
        return self._run.progress.finished

    def epoch(self) -> None:
        """Train one epoch."""
        self._run.epoch()

    def keep(self) -> None:
        """Keep all epochs so far; nothing of them is lost when this has returned."""
        checkpoint.save(self._files.local, self._run.state())
        # The driver deletes checkpoints that nobody needs, and cannot read them without torch.
        write_history(self._files.local, self.history)
        self._files.keep()
