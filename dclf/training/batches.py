"""From a stream of dialogues to training batches: caching, shuffling, collating.

Training needs a first pass over the data anyway, for the feature statistics. What that pass sees is kept while it
fits ``data.cache_mb``; a split that fits is never read again, one that does not is streamed every epoch.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

import numpy as np
import torch

from dclf.config import Config
from dclf.data.batch import Batch, collate
from dclf.data.dialogue import Dialogue
from dclf.data.index import DialogueIndex
from dclf.training.source import Source
from dclf.training.workers import Workers

MIB = 2**20


def dialogue_bytes(dialogue: Dialogue) -> int:
    """Bytes of a dialogue's features."""
    return sum(matrix.nbytes for matrix in dialogue.features.values())


class CachedSplit:
    """One worker's share of a split, kept in memory as far as it fits.

    Args:
        source: where the dialogues come from.
        split: which split.
        budget: bytes of features that may be kept.
    """

    def __init__(self, source: Source, split: str, budget: int) -> None:
        self.split = split
        self._source = source
        self._budget = budget
        self._dialogues: list[Dialogue] | None = None

    @property
    def dialogues(self) -> list[Dialogue] | None:
        """The whole share, if it fits and has been read."""
        return self._dialogues

    def fill(self) -> None:
        """Read the share into memory, or find out that it does not fit."""
        for _ in self:
            if self._budget == 0:
                return

    def __iter__(self) -> Iterator[Dialogue]:
        """The dialogues in the source's order."""
        if self._dialogues is not None:
            yield from self._dialogues
            return
        keeping: list[Dialogue] | None = []
        used = 0
        for dialogue in self._source.dialogues(self.split):
            used += dialogue_bytes(dialogue)
            if keeping is not None and used <= self._budget:
                keeping.append(dialogue)
            else:
                keeping = None
                self._budget = 0
            yield dialogue
        self._dialogues = keeping


def _generator(seed: int, epoch: int) -> np.random.Generator:
    return np.random.default_rng([seed, epoch])


def shuffled(
    split: CachedSplit, seed: int, epoch: int, buffer_bytes: int, ids: Container[str] | None = None
) -> Iterator[Dialogue]:
    """The dialogues in an order drawn from seed and epoch.

    A kept split is permuted as a whole. A streamed one is shuffled within a buffer: each dialogue read replaces a
    random one of those waiting.

    Args:
        split: this worker's share.
        seed: of the training.
        epoch: its number.
        buffer_bytes: features of the dialogues that wait, at most, but for one dialogue.
        ids: of the dialogues to give out, whoever's share they are in; all where None.
    """
    random = _generator(seed, epoch)
    if split.dialogues is not None:
        part = list(_only(split.dialogues, ids))
        for place in random.permutation(len(part)):
            yield part[place]
        return
    waiting: list[Dialogue] = []
    used = 0
    for dialogue in _only(split, ids):
        waiting.append(dialogue)
        used += dialogue_bytes(dialogue)
        while used > buffer_bytes and len(waiting) > 1:
            pick = _take(waiting, random)
            used -= dialogue_bytes(pick)
            yield pick
    while waiting:
        yield _take(waiting, random)


def _only(dialogues: Iterable[Dialogue], ids: Container[str] | None) -> Iterable[Dialogue]:
    return dialogues if ids is None else (one for one in dialogues if one.dialogue_id in ids)


def _take(waiting: list[Dialogue], random: np.random.Generator) -> Dialogue:
    place = int(random.integers(len(waiting)))
    waiting[place], waiting[-1] = waiting[-1], waiting[place]
    return waiting.pop()


def batches(
    dialogues: Iterator[Dialogue], size: int, modalities: tuple[str, ...], index: DialogueIndex | None = None
) -> Iterator[Batch]:
    """Collate every ``size`` dialogues; the last batch may be smaller.

    Args:
        dialogues: in the order to train on.
        size: dialogues per batch.
        modalities: features to collate.
        index: of the training split, for the positions of its utterances.
    """
    group: list[Dialogue] = []
    for dialogue in dialogues:
        group.append(dialogue)
        if len(group) == size:
            yield collate(group, modalities, index)
            group = []
    if group:
        yield collate(group, modalities, index)


def worker_batch_size(config: Config, rank: int, workers: int) -> int:
    """Dialogues per step of one worker, so that all workers together take ``train.batch_size``; at least 1."""
    whole, rest = divmod(config.train.batch_size, workers)
    return max(1, whole + (rank < rest))


def lockstep(batches: Iterator[Batch], workers: Workers) -> Iterator[Batch | None]:
    """This worker's batches, then None until every worker has run out: all workers take the same number of steps."""
    while True:
        batch = next(batches, None)
        if workers.size > 1 and not workers.sum(torch.tensor([float(batch is not None)])).item():
            return
        if workers.size == 1 and batch is None:
            return
        yield batch
