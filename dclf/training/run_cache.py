"""A cache for runs over the same data in one process, as the trials of a study follow each other.

Their dialogues are the same, and most of them begin alike: the memory bank's first filling takes the first parameters
of the model, which a seed draws, and nothing of the loss.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from dclf.config import Config
from dclf.data.dialogue import SPLITS, DatasetInfo
from dclf.training.batches import MIB, CachedSplit
from dclf.training.preflight import CheckedSource
from dclf.training.source import Source

FILLINGS_BYTES = 64 * MIB
"""How much of first fillings is kept: those of some seeds."""


class RunCache:
    """Shared by runs over one source and shard set, one after the other; no result changes by it, bit for bit.

    Args:
        source: where the dialogues come from.
        info: what the shards declare.
    """

    def __init__(self, source: Source, info: DatasetInfo) -> None:
        self._source = source
        self._info = info
        self._splits: dict[str, CachedSplit] = {}
        self._read_as: tuple[object, ...] = ()
        self._fillings: dict[bytes, dict[str, Tensor]] = {}

    def splits(self, config: Config) -> dict[str, CachedSplit]:
        """Split -> its dialogues with the features that a run reads; those of the last run where it read the same."""
        read_as = (config.data.modalities, config.data.cache_mb)
        if read_as != self._read_as:
            checked = CheckedSource(self._source, self._info, config.data.modalities)
            budget = config.data.cache_mb * MIB
            self._splits = {split: CachedSplit(checked, split, budget) for split in SPLITS}
            self._read_as = read_as
        return self._splits

    def filling(self, beginning: bytes) -> Mapping[str, Tensor] | None:
        """Return the filled bank's state dict for a beginning; None where none is kept.

        Args:
            beginning: from ``beginning_of``.
        """
        filling = self._fillings.pop(beginning, None)
        if filling is not None:
            self._fillings[beginning] = filling
        return filling

    def keep_filling(self, beginning: bytes, bank: nn.Module) -> None:
        """Keep a bank's state for runs with this beginning; those unused for longest make room."""
        self._fillings[beginning] = {name: tensor.detach().cpu().clone() for name, tensor in bank.state_dict().items()}
        while len(self._fillings) > 1 and self._bytes() > FILLINGS_BYTES:
            del self._fillings[next(iter(self._fillings))]

    def _bytes(self) -> int:
        return sum(tensor.nbytes for filling in self._fillings.values() for tensor in filling.values())


def beginning_of(config: Config, model: nn.Module, *others: Any) -> bytes:
    """Return a digest of all that decides on the states that a new model gives the training dialogues.

    Args:
        config: the run.
        model: with its feature statistics.
        others: what else decides, and has a ``repr`` that tells it.
    """
    train = config.train
    parts = (
        config.model,
        config.data,
        config.loss.state,
        train.precision,
        train.compile,
        train.cpus_per_worker,
        *others,
    )
    digest = hashlib.blake2b(repr(parts).encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy())
    return digest.digest()
