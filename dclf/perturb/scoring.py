"""Scores of a model under raw, substituted and corrupted conversations (Tables 1 and 6).

T  labelled utterances of the targets        N  utterances of a batch        C  emotions
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from dclf.data.batch import Batch
from dclf.data.dialogue import DatasetInfo
from dclf.data.errors import DataError
from dclf.data.statistics import FeatureMoments
from dclf.metrics import classification_scores
from dclf.perturb.batches import ROWS, ScoredBatch, perturbed_batches, whole_batches
from dclf.perturb.conversations import Conversations
from dclf.perturb.corruption import Corruption
from dclf.perturb.draw import KINDS, Kind, substitute_context
from dclf.perturb.substitutions import Substitutions

ConditionFacts = Mapping[str, str | int | float]


class Recogniser(Protocol):
    """What predicts; ``dclf.models.framework.DCLF`` does."""

    def predict(self, batch: Batch) -> Tensor:
        """Class probabilities [N, C]."""


class Scorable(Protocol):
    """A model and the dataset it was made for; ``dclf.inference.Predictor`` is one."""

    @property
    def info(self) -> DatasetInfo:
        """Classes, widths and speaker count."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities the model reads."""

    @property
    def model(self) -> Recogniser:
        """The model, on the device of the scoring."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What a model said of every labelled utterance under one condition.

    Attributes:
        condition: ``kind`` (``raw``, ``cut``, ``eccs``, ``eics``, ``missing``, ``noise``) and what belongs to it.
        dialogue_ids: D ids.
        lengths: int64 [D], labelled utterances per dialogue; the arrays below follow this order.
        positions: int64 [T], place of each in its dialogue, from 0, the unlabelled counted.
        targets: int64 [T], true classes.
        predictions: int64 [T], predicted classes.
        class_names: C emotions.
    """

    condition: ConditionFacts
    dialogue_ids: tuple[str, ...]
    lengths: NDArray[np.int64]
    positions: NDArray[np.int64]
    targets: NDArray[np.int64]
    predictions: NDArray[np.int64]
    class_names: tuple[str, ...]

    @property
    def scores(self) -> dict[str, float]:
        """``dclf.metrics.classification_scores`` of all utterances."""
        return classification_scores(self.targets, self.predictions, self.class_names)

    def to_table(self) -> pa.Table:
        """A row per labelled utterance: ``dialogue_id``, ``position``, ``target``, ``prediction`` and the condition."""
        places = np.repeat(np.arange(len(self.lengths), dtype=np.int32), self.lengths)
        ids = pa.DictionaryArray.from_arrays(places, pa.array(self.dialogue_ids, pa.string()))
        columns = {
            "dialogue_id": ids,
            "position": pa.array(self.positions, pa.int32()),
            "target": pa.array(self.targets, pa.int32()),
            "prediction": pa.array(self.predictions, pa.int32()),
        }
        columns |= {name: pa.repeat(value, len(self.targets)) for name, value in self.condition.items()}
        return pa.table(columns)


def score_raw(predictor: Scorable, targets: Conversations, *, rows: int = ROWS, device: str = "cpu") -> Outcome:
    """The unperturbed score: every dialogue whole, as validation and test score it."""
    return _outcome(predictor, targets, whole_batches(_fitting(predictor, targets), rows), {"kind": "raw"}, device)


def score_substituted(
    predictor: Scorable,
    targets: Conversations,
    pool: Conversations,
    substitutions: Substitutions,
    *,
    rows: int = ROWS,
    device: str = "cpu",
) -> Outcome:
    """The score under one draw of substituted contexts; each target is the last utterance of a dialogue of its own.

    A model that reads later utterances (``causal: false``) has none to read here, whatever it reads raw; compare it
    with ``own_context`` to see what the substitution alone costs. For causal models that is the raw score.

    Args:
        predictor: the model.
        targets: dialogues to score, all or some of those the draw is for.
        pool: the dialogues the draw speaks of.
        substitutions: as ``substitute_context`` or ``own_context`` gives them.
        rows: most utterances of a batch.
        device: where the model is.

    Raises:
        ValueError: targets or pool are not those of the draw, or (``DataError``) do not fit the model.
    """
    batches = perturbed_batches(_fitting(predictor, targets), _fitting(predictor, pool), substitutions, rows)
    condition: ConditionFacts = {"kind": substitutions.kind, "seed": substitutions.seed, "draw": substitutions.draw}
    return _outcome(predictor, targets, batches, condition, device)


def score_corrupted(
    predictor: Scorable,
    targets: Conversations,
    corruption: Corruption,
    moments: FeatureMoments,
    *,
    rows: int = ROWS,
    device: str = "cpu",
) -> Outcome:
    """The score with missing or noisy modalities, targets and contexts alike.

    Args:
        predictor: the model.
        targets: dialogues to score.
        corruption: what happens to them.
        moments: of the training split's features.
        rows: most utterances of a batch.
        device: where the model is.
    """
    damaged = corruption.apply(_fitting(predictor, targets), moments)
    condition: dict[str, str | int | float] = {
        "kind": corruption.damage,
        "modalities": "+".join(corruption.modalities),
        "share": corruption.share,
        "seed": corruption.seed,
    }
    if corruption.damage == "noise":
        condition["strength"] = corruption.strength
    return _outcome(predictor, targets, whole_batches(damaged, rows), condition, device)


def perturbation_test(
    predictor: Scorable,
    targets: Conversations,
    pool: Conversations,
    *,
    kinds: Sequence[Kind] = KINDS,
    seed: int = 0,
    draws: int = 1,
    device: str = "cpu",
) -> Iterator[Outcome]:
    """Tables 1 and 6 for one model: the raw score first, then every kind and draw.

    Args:
        predictor: the model.
        targets: dialogues to score, such as the test split.
        pool: where replacements come from, such as the training split.
        kinds: of substitution.
        seed: of the suite; models that share it meet the same substitutions.
        draws: draws of each kind, at least 1.
        device: where the model is.

    Raises:
        ValueError: impossible kinds or draws, a pool without replacements, data that do not fit the model.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, is {draws}")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"kinds must be some of {', '.join(KINDS)}, are {', '.join(kinds)}")
    yield score_raw(predictor, targets, device=device)
    for kind in kinds:
        for draw in range(draws):
            substitutions = substitute_context(targets, pool, kind, seed=seed, draw=draw)
            yield score_substituted(predictor, targets, pool, substitutions, device=device)


def _outcome(
    predictor: Scorable, targets: Conversations, batches: Iterable[ScoredBatch], condition: ConditionFacts, device: str
) -> Outcome:
    predictions = np.full(len(targets.labels), -1, dtype=np.int64)
    for part in batches:
        probabilities = predictor.model.predict(part.batch.to(device))
        distributions = probabilities[torch.from_numpy(part.places).to(probabilities.device)]
        predictions[part.rows] = distributions.argmax(dim=-1).cpu().numpy()
    scored = np.flatnonzero(targets.labels >= 0)
    return Outcome(
        condition=condition,
        dialogue_ids=targets.dialogue_ids,
        lengths=np.bincount(targets.dialogue_of[scored], minlength=len(targets)).astype(np.int64),
        positions=targets.time[scored],
        targets=targets.labels[scored].astype(np.int64),
        predictions=predictions[scored],
        class_names=predictor.info.class_names,
    )


def _fitting(predictor: Scorable, conversations: Conversations) -> Conversations:
    """Only the modalities that the model reads; DataError where they do not fit it."""
    info = predictor.info
    widths = {m: matrix.shape[1] for m, matrix in conversations.features.items()}
    problems = [
        f"{m} features must be {info.widths[m]} wide, are {widths.get(m, 'absent')}"
        for m in predictor.modalities
        if widths.get(m) != info.widths[m]
    ]
    if conversations.speakers.max() >= info.speaker_count:
        problems.append(f"speakers must be below {info.speaker_count}, the greatest is {conversations.speakers.max()}")
    if conversations.labels.max() >= len(info.class_names):
        problems.append(f"labels must be below {len(info.class_names)}, the greatest is {conversations.labels.max()}")
    if problems:
        raise DataError(problems, "the conversations do not fit the model; use shards like those it was trained on")
    return conversations.only(predictor.modalities)
