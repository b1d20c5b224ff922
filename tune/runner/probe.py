"""A short training of the base configuration in this process, which tells what a sweep's trainings will cost.

Where an epoch takes long, only some dialogues are trained on, and its duration follows from their utterances.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import torch

from cluster.machine import torch_threads
from cluster.temporary import TemporaryFolder
from dclf.config import Config
from dclf.data.dialogue import Dialogue
from dclf.data.reader import ShardSet, read_shards
from dclf.training.checkpoint import STATE_FILE, save
from dclf.training.local import LocalSource
from dclf.training.loop import TrainingRun
from dclf.training.preflight import check_classes, check_shards
from dclf.training.source import Source
from tune.tracking.records import epoch_metrics

SECONDS = 15.0
"""What the probe may take, about; reading and a first small part come on top."""
FIRST_BATCHES = 2
WHOLE = "none"
"""``loss.ablate`` of the whole framework, which costs most."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What was measured.

    Attributes:
        seconds_per_epoch: of training and scoring, alone on its threads.
        share: of the utterances that were trained on; 1 where the probe ran whole epochs.
        memory_bytes: most memory that this process held.
        checkpoint_bytes: of one training's checkpoint.
        metrics_per_epoch: numbers that MLflow gets for each epoch.
    """

    seconds_per_epoch: float
    share: float
    memory_bytes: int
    checkpoint_bytes: int
    metrics_per_epoch: int


def probe(config: Config, *, seconds: float = SECONDS, device: Literal["cpu", "gpu"] = "cpu") -> Probe:
    """Train a little and measure.

    Args:
        config: the base configuration.
        seconds: how long it may take, about.
        device: ``cpu`` or ``gpu``.

    Raises:
        DataError: the shards lack a split or modality.
        NonFiniteLossError: a loss term became NaN or infinite.
    """
    shards = read_shards(config.data.shards)
    check_shards(shards, config.data.modalities)
    check_classes(shards, config.model)
    # Without a curriculum, so that an epoch is a whole one: those before the last bucket are shorter. A part of the
    # validation split has no replacements for all contexts, which few epochs are scored with.
    train = replace(config.train, device=device, compile=False, curriculum=0, perturb_every=0)
    config = replace(config, train=train)
    # On as many threads as a trial has; torch's generator stays as it was.
    with torch_threads(config.train.cpus_per_worker), torch.random.fork_rng():
        first = _measure(config, shards, FIRST_BATCHES * config.train.batch_size)
        dialogues = _affordable(first, seconds)
        if dialogues <= first.dialogues or first.share == 1:
            return first.probe
        return _measure(config, shards, dialogues).probe


def probe_each(
    configs: Iterable[Config], *, seconds: float = SECONDS, device: Literal["cpu", "gpu"] = "cpu"
) -> dict[str, Probe]:
    """A probe of each base model: of its first configuration with all of DCLF, else of its first.

    Args:
        configs: of a study's trials.
        seconds: how long all may take, about.
        device: ``cpu`` or ``gpu``.

    Returns:
        Name of the base model -> what was measured.

    Raises:
        Exception: as ``probe``.
    """
    dearest: dict[str, Config] = {}
    for config in configs:
        candidate = dearest.setdefault(config.model.name, config)
        if candidate.loss.ablate != WHOLE and config.loss.ablate == WHOLE:
            dearest[config.model.name] = config
    each = seconds / max(1, len(dearest))
    return {model: probe(config, seconds=each, device=device) for model, config in dearest.items()}


@dataclass(frozen=True)
class _Part:
    """A probe of so many training dialogues, and what it took in all."""

    probe: Probe
    dialogues: int
    took: float

    @property
    def share(self) -> float:
        return self.probe.share


def _affordable(part: _Part, seconds: float) -> int:
    """Training dialogues that a second measurement has time for."""
    return int(part.dialogues * seconds / part.took)


def _measure(config: Config, shards: ShardSet, dialogues: int) -> _Part:
    """Prepare a run on the first dialogues, then train two epochs; the second one counts, the first warms up."""
    start = time.perf_counter()
    sizes = {split: len(shards.index(split).lengths) for split in config.train.epoch_splits}
    part = min(1.0, dialogues / sizes["train"])
    limits = {split: max(1, round(part * size)) for split, size in sizes.items()}
    run = TrainingRun(config, FirstDialogues(LocalSource(shards, config.data.modalities), limits), shards)
    _fill_bank(run)
    run.prepare()
    reports = [run.epoch(), run.epoch()]
    share = _share(shards, limits)
    last = reports[-1]
    result = Probe(
        seconds_per_epoch=last.seconds / share,
        share=share,
        memory_bytes=_most_memory(),
        checkpoint_bytes=_checkpoint_bytes(run),
        metrics_per_epoch=len(epoch_metrics(last)),
    )
    return _Part(result, limits["train"], time.perf_counter() - start)


class FirstDialogues:
    """A ``dclf.training.source.Source`` that ends early.

    Args:
        source: the whole one.
        limits: split -> dialogues.
    """

    def __init__(self, source: Source, limits: dict[str, int]) -> None:
        self._source = source
        self._limits = limits

    def dialogues(self, split: str) -> Iterator[Dialogue]:
        """The first dialogues of the split."""
        return islice(self._source.dialogues(split), self._limits[split])


def _fill_bank(run: TrainingRun) -> None:
    """States for the utterances that are left out: pairs are drawn from the whole training split."""
    if run.bank is not None:
        run.bank.write(torch.arange(len(run.bank.filled)), torch.randn(run.bank.states.shape))


def _share(shards: ShardSet, limits: dict[str, int]) -> float:
    """Return which share of the utterances that an epoch reads lies in the first dialogues."""
    lengths = [(shards.index(split).lengths, limit) for split, limit in limits.items()]
    return float(sum(each[:limit].sum() for each, limit in lengths) / sum(each.sum() for each, _ in lengths))


def _checkpoint_bytes(run: TrainingRun) -> int:
    with TemporaryFolder("probe") as folder:
        save(folder, run.state())
        return (folder / STATE_FILE).stat().st_size


def _most_memory() -> int:
    """Most memory of this process so far, in bytes; Linux counts in KiB, macOS in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
