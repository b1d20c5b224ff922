"""Can a linear rule tell the context contrast's positives from its negatives by their age?

    python -m benchmarks.pair_age [--models mmgcn ddin] [--epochs 8] [--preset iemocap-small]

Trains DCLF on the generator's dialogues and, epoch by epoch, fits logistic regression to the vectors that the sampler
reads from the memory bank, each positive's h_{i-p} against each negative's h_n. AUC on held-out dialogues, 0.5 where
nothing tells them apart; five folds, a vector being in the fold of the dialogue that it is of, whichever anchor it
stands against: anchors share their histories, so that folds of anchors would not part what they hold out.

Age is not all that a rule may find. Histories begin where dialogues begin, the last utterance of a dialogue is nobody's
history, and runs are drawn where their emotions are; so positives and negatives differ in emotion and in time, and in
how often each utterance is drawn. Four weightings of the same vectors take this away step by step:

    as drawn         every pair counts once
    emotion          each emotion weighs the same on both sides
    emotion, time    each emotion at each place of a dialogue weighs the same on both sides
    utterance        each utterance weighs the same on both sides: what is left is the age of its vector alone

The rows "at once" are a bank whose states are replaced as batches pass, which the bank is not: they show that the probe
sees age where there is some.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from dclf.bank import MemoryBank
from dclf.data import generate, read_shards, write_shards
from dclf.data.batch import Batch
from dclf.data.index import DialogueIndex
from dclf.data.reader import ShardSet
from dclf.negatives import EmotionIndex
from dclf.pairs import ContrastPairs, PairSampler
from dclf.training.local import LocalSource
from dclf.training.loop import TrainingRun
from tune.config.settings import load_config

BAR = 0.55
FOLDS = 5
WEIGHTINGS = ("as drawn", "emotion", "emotion, time", "utterance")


@dataclass(frozen=True, eq=False)
class Vectors:
    """What the sampler read in one epoch, V vectors of both sides.

    Attributes:
        states: float32 [V, s].
        utterances: int64 [V], whose they are, 0 .. T - 1.
        positive: bool [V].
    """

    states: NDArray[np.float32]
    utterances: NDArray[np.int64]
    positive: NDArray[np.bool_]


class RecordingSampler(PairSampler):
    """Draws the same pairs, and keeps what stands on either side of them.

    Args:
        window: as for ``PairSampler``, and so are the next three.
        seed: likewise.
        bank: likewise.
        emotions: likewise.
        at_once: whether the bank is to show what was written so far before every batch.
    """

    def __init__(self, window: int, seed: int, bank: MemoryBank, emotions: EmotionIndex, *, at_once: bool) -> None:
        super().__init__(window, seed, bank, emotions)
        self._of, self._by, self._at_once = bank, emotions, at_once
        self._parts: list[Vectors] = []

    def pairs(self, batch: Batch, epoch: int) -> ContrastPairs:
        """As ``PairSampler.pairs``."""
        if self._at_once:
            self._of.turn()
        pairs = super().pairs(batch, epoch)
        anchors, window = batch.positions.numpy(), pairs.positive_mask.shape[1]
        sides = (self._by.history(anchors, window), self._by.sample(anchors, window, self.seed, epoch))
        for positive, (places, mask) in zip((True, False), sides, strict=True):
            rows = places[mask]
            states = self._of.read(torch.from_numpy(rows)).numpy()
            self._parts.append(Vectors(states, rows, np.full(len(rows), positive)))
        return pairs

    def epoch_vectors(self) -> Vectors:
        """What was read since the last call."""
        parts, self._parts = self._parts, []
        return Vectors(
            np.concatenate([part.states for part in parts]),
            np.concatenate([part.utterances for part in parts]),
            np.concatenate([part.positive for part in parts]),
        )


def weights(vectors: Vectors, index: DialogueIndex, weighting: str) -> NDArray[np.float64]:
    """[V], by which each side weighs the same, and in each stratum too; strata that one side lacks weigh nothing."""
    utterances = vectors.utterances
    time = np.arange(len(index.labels)) - np.repeat(index.offsets, index.lengths)
    strata = {
        "as drawn": np.zeros(len(utterances), np.int64),
        "emotion": index.labels[utterances].astype(np.int64),
        "emotion, time": index.labels[utterances] * (time.max() + 1) + time[utterances],
        "utterance": utterances,
    }[weighting]
    size = strata.max() + 1
    counts = {side: np.bincount(strata[vectors.positive == side], minlength=size) for side in (True, False)}
    shared = np.minimum(counts[True], counts[False])
    own = np.where(vectors.positive, counts[True][strata], counts[False][strata])
    result: NDArray[np.float64] = shared[strata] / own
    return result


def auc(vectors: Vectors, folds: NDArray[np.int64], weight: NDArray[np.float64]) -> float:
    """Mean over the folds of the AUC of a rule that was fitted to all others.

    Args:
        vectors: V of them.
        folds: int64 [V].
        weight: [V].
    """
    values = []
    for fold in range(FOLDS):
        training, test = (folds != fold) & (weight > 0), (folds == fold) & (weight > 0)
        scale = StandardScaler().fit(vectors.states[training])
        rule = LogisticRegression(C=0.1, max_iter=200)
        # Threads of many small products wait for each other where other work runs beside them.
        with threadpool_limits(1), warnings.catch_warnings():
            # Where two sides are the same there is nothing to converge to.
            warnings.simplefilter("ignore", ConvergenceWarning)
            rule.fit(scale.transform(vectors.states[training]), vectors.positive[training], weight[training])
        scores = rule.decision_function(scale.transform(vectors.states[test]))
        values.append(roc_auc_score(vectors.positive[test], scores, sample_weight=weight[test]))
    return float(np.mean(values))


def fold_of(index: DialogueIndex, utterances: ArrayLike) -> NDArray[np.int64]:
    """[V], the fold of each utterance's dialogue."""
    dialogues = np.repeat(np.arange(len(index.lengths)), index.lengths)
    result: NDArray[np.int64] = np.random.default_rng(0).permutation(len(index.lengths))[dialogues[utterances]] % FOLDS
    return result


def probe(
    shards: ShardSet, preset: str, epochs: int, *, at_once: bool, changes: Mapping[str, Any] | None = None
) -> list[dict[str, float]]:
    """Weighting -> AUC of every epoch of a training.

    Args:
        shards: to train on.
        preset: configuration.
        epochs: how many.
        at_once: as for ``RecordingSampler``.
        changes: further keys of the configuration.
    """
    keys = {"data.shards": str(shards.path), "train.epochs": epochs, "train.device": "cpu", **(changes or {})}
    config = load_config(preset, keys)
    run = TrainingRun(config, LocalSource(shards, config.data.modalities), shards)
    run.prepare()
    assert run.bank is not None
    emotions = EmotionIndex(run.index.labels, run.index.lengths)
    sampler = RecordingSampler(config.loss.window, config.train.seed, run.bank, emotions, at_once=at_once)
    run.pairs = sampler
    results = []
    while not run.progress.finished:
        run.epoch()
        vectors = sampler.epoch_vectors()
        folds = fold_of(run.index, vectors.utterances)
        results.append({one: auc(vectors, folds, weights(vectors, run.index, one)) for one in WEIGHTINGS})
    return results


def row(model: str, bank: str, weighting: str, values: Sequence[float]) -> str:
    cells = " | ".join(f"{value:.3f}" for value in values)
    return f"| {model} | {bank} | {weighting} | {max(values):.3f} | {cells} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["mmgcn", "ddin"])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--preset", default="iemocap-small", help="of the generator")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    heads = ("model", "bank", "weighting", "highest", *(f"epoch {number + 1}" for number in range(arguments.epochs)))
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    with tempfile.TemporaryDirectory() as folder:
        info, dialogues = generate(arguments.preset)
        write_shards(dialogues, Path(folder) / "shards", info)
        shards = read_shards(Path(folder) / "shards")
        for model in arguments.models:
            preset = "iemocap" if model == "mmgcn" else f"iemocap-{model}"
            for bank in ("epoch before", "at once"):
                results = probe(shards, preset, arguments.epochs, at_once=bank == "at once")
                for weighting in WEIGHTINGS:
                    print(row(model, bank, weighting, [result[weighting] for result in results]), flush=True)
    print(f"The bar is {BAR}, for the epoch before with the same emotions and times.")


if __name__ == "__main__":
    main()
