"""From substitutions to the batches a model reads: each perturbed dialogue u'_1 .. u'_{i-1}, u_i is one of B dialogues.

B  dialogues of a batch        N  utterances of all of them        P  utterances whose predictions are wanted
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dclf.data.batch import Batch
from dclf.layout import Layout
from dclf.perturb.conversations import Conversations, fingerprint, spans
from dclf.perturb.substitutions import OWN, Substitutions

ROWS = 4096
"""Most utterances of a batch, unless a single dialogue has more; bounds the memory of a scoring."""

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ScoredBatch:
    """A batch, and which of its predictions are wanted.

    Attributes:
        batch: N utterances; its ``positions`` are -1.
        rows: int64 [P], the wanted utterances in the flat arrays of the targets.
        places: int64 [P], the same utterances in the batch.
    """

    batch: Batch
    rows: IntArray
    places: IntArray


def whole_batches(targets: Conversations, rows: int = ROWS) -> Iterator[ScoredBatch]:
    """The dialogues as they are, those of similar length together; every labelled utterance is wanted.

    Args:
        targets: dialogues to predict.
        rows: most utterances of a batch, at least 1.
    """
    for dialogues in _grouped(targets.lengths, rows):
        lengths = targets.lengths[dialogues]
        own = spans(targets.offsets[dialogues], lengths)
        batch = _batch(targets, dialogues, lengths, _Rows.of(targets, own))
        places = np.flatnonzero(targets.labels[own] >= 0)
        yield ScoredBatch(batch, own[places], places)


def perturbed_batches(
    targets: Conversations, pool: Conversations, substitutions: Substitutions, rows: int = ROWS
) -> Iterator[ScoredBatch]:
    """A perturbed dialogue per labelled utterance of the targets, those of similar length together; its last is wanted.

    Args:
        targets: any selection of the dialogues that the substitutions were drawn for, in any order.
        pool: the dialogues they were drawn from, with the same modalities.
        substitutions: the draw.
        rows: most utterances of a batch, at least 1.

    Raises:
        ValueError: the pool is another one, or the targets are not among those of the draw.
    """
    _check(targets, pool, substitutions)
    numbers = np.array([substitutions.numbers[name] for name in targets.dialogue_ids], dtype=np.int64)
    first = substitutions.starts[numbers][targets.dialogue_of] + targets.time * (targets.time - 1) // 2
    rows_with_label = np.flatnonzero(targets.labels >= 0)
    for group in _grouped(targets.time[rows_with_label] + 1, rows):
        utterances = rows_with_label[group]
        replaced = substitutions.positions[spans(first[utterances], targets.time[utterances])]
        yield _perturbed(targets, pool, utterances, replaced)


def _perturbed(
    targets: Conversations, pool: Conversations, utterances: IntArray, replaced: NDArray[np.int32]
) -> ScoredBatch:
    """The perturbed dialogues of the target rows ``utterances`` [B] with the pool rows ``replaced`` [N - B]."""
    lengths = targets.time[utterances] + 1
    last = np.cumsum(lengths) - 1
    source = np.full(last[-1] + 1, OWN, dtype=np.int64)
    source[np.delete(np.arange(len(source)), last)] = replaced
    staying = np.flatnonzero(source == OWN)
    own = spans(utterances - targets.time[utterances], lengths)[staying]
    # What stands in the places of those that stay is overwritten at once.
    rows = _Rows.of(pool.only(tuple(targets.features)), np.where(source == OWN, 0, source))
    rows.replace(staying, targets, own)
    return ScoredBatch(_batch(targets, targets.dialogue_of[utterances], lengths, rows), utterances, last)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Utterances of a batch, taken from conversations.

    Attributes:
        features: modality -> float32 [N, D_m].
        labels: int32 [N].
        present: modality -> bool [N].
    """

    features: dict[str, NDArray[np.float32]]
    labels: NDArray[np.int32]
    present: dict[str, NDArray[np.bool_]]

    @classmethod
    def of(cls, conversations: Conversations, rows: IntArray) -> _Rows:
        """A copy of these rows."""
        return cls(
            features={m: matrix[rows] for m, matrix in conversations.features.items()},
            labels=conversations.labels[rows],
            present={m: mask[rows] for m, mask in conversations.present.items()},
        )

    def replace(self, places: IntArray, conversations: Conversations, rows: IntArray) -> None:
        """Put these rows into these places."""
        for modality, matrix in self.features.items():
            matrix[places] = conversations.features[modality][rows]
        self.labels[places] = conversations.labels[rows]
        for modality, mask in conversations.present.items():
            self.present.setdefault(modality, np.ones(len(self.labels), np.bool_))[places] = mask[rows]
        for modality in self.present.keys() - conversations.present.keys():
            self.present[modality][places] = True


def _batch(targets: Conversations, dialogues: IntArray, lengths: IntArray, rows: _Rows) -> Batch:
    """The first ``lengths`` speaker slots of these dialogues, with these utterances in them."""
    speakers = targets.speakers[spans(targets.offsets[dialogues], lengths)]
    return Batch(
        layout=Layout.of(lengths.tolist()),
        features={m: torch.from_numpy(matrix) for m, matrix in rows.features.items()},
        speakers=torch.from_numpy(speakers.astype(np.int64)),
        labels=torch.from_numpy(rows.labels.astype(np.int64)),
        positions=torch.full((len(rows.labels),), -1, dtype=torch.int64),
        dialogue_ids=tuple(targets.dialogue_ids[number] for number in dialogues),
        present={m: torch.from_numpy(mask) for m, mask in rows.present.items() if not mask.all()},
    )


def _grouped(lengths: IntArray, rows: int) -> Iterator[IntArray]:
    """Numbers of dialogues in the order of their lengths, as many at a time as fit into ``rows``, at least one."""
    if rows < 1:
        raise ValueError(f"rows must be at least 1, is {rows}")
    order = np.argsort(lengths, kind="stable")
    ends = np.cumsum(lengths[order])
    start = 0
    while start < len(order):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + rows, side="right")))
        yield order[start:stop]
        start = stop


def _check(targets: Conversations, pool: Conversations, substitutions: Substitutions) -> None:
    if fingerprint(pool) != substitutions.pool:
        raise ValueError(
            f"the pool must be the one of the substitutions ({substitutions.pool}), is {fingerprint(pool)}: give the "
            "same dialogues in the same order, or draw anew"
        )
    lacking = [m for m in targets.features if m not in pool.features]
    if lacking:
        raise ValueError(f"the pool must have the modalities of the targets, lacks {', '.join(lacking)}")
    drawn = dict(zip(substitutions.dialogue_ids, substitutions.lengths, strict=True))
    for name, length in zip(targets.dialogue_ids, targets.lengths, strict=True):
        if drawn.get(name) != length:
            raise ValueError(
                f"the substitutions must have been drawn for dialogue {name} with {length} utterances, "
                f"know {drawn.get(name, 'no such dialogue')}: draw them for these targets"
            )
