"""The conditions of a perturbation test, the dialogues they are made from, and a model's score under one of them."""

from __future__ import annotations

from dataclasses import dataclass

from dclf.data import ShardSet
from dclf.data.statistics import FeatureMoments, FeatureStatistics
from dclf.inference import Predictor
from dclf.perturb import (
    Conversations,
    Corruption,
    Kind,
    Outcome,
    own_context,
    score_corrupted,
    score_raw,
    score_substituted,
)
from dclf.training.local import LocalSource
from dclf.training.preflight import CheckedSource, check_shards
from tune.analysis.perturbation.settings import PerturbationSettings
from tune.analysis.perturbation.substitutes import Substitutes


@dataclass(frozen=True, kw_only=True, eq=False)
class PerturbationData:
    """What every condition is made from.

    Attributes:
        targets: the dialogues of the split to score.
        pool: those of the training split, where replacements come from.
        moments: of the training split's features; None where no modality is corrupted.
    """

    targets: Conversations
    pool: Conversations
    moments: FeatureMoments | None


@dataclass(frozen=True)
class Raw:
    """The dialogues as they are."""


@dataclass(frozen=True)
class Cut:
    """Every dialogue ends at its target: what a bidirectional model reads raw beside what it reads substituted."""


@dataclass(frozen=True)
class Draw:
    """One draw of substituted contexts.

    Attributes:
        kind: ``eccs`` or ``eics``.
        number: of the draw, from 0.
    """

    kind: Kind
    number: int


Condition = Raw | Cut | Draw | Corruption


def conditions(settings: PerturbationSettings, *, causal: bool) -> list[Condition]:
    """Return what is scored, the raw dialogues first; ``Cut`` only for models that read later utterances."""
    cut = [Cut()] if settings.kinds and not causal else []
    draws = [Draw(kind, number) for kind in settings.kinds for number in range(settings.draws)]
    return [Raw(), *cut, *draws, *settings.corruptions]


def condition_text(condition: Condition, settings: PerturbationSettings) -> str:
    """Return a condition in words, such as ``eics, draw 2 of 5``."""
    match condition:
        case Raw():
            return "raw"
        case Cut():
            return "up to the target"
        case Draw(kind, number):
            return f"{kind}, draw {number + 1} of {settings.draws}"
        case Corruption():
            return f"{'+'.join(condition.modalities)}, {condition.damage}, {100 * condition.share:g} %"


def read_data(predictor: Predictor, shards: ShardSet, settings: PerturbationSettings) -> PerturbationData:
    """Return the dialogues with the features that the model reads.

    Raises:
        DataError: the shards lack a split or a modality, hold broken dialogues, or do not fit the model.
    """
    modalities = predictor.modalities
    check_shards(shards, modalities)
    predictor.check(shards.info)
    source = CheckedSource(LocalSource(shards, modalities), shards.info, modalities)
    moments = None
    if settings.corruptions:
        widths = {m: shards.info.widths[m] for m in modalities}
        moments = FeatureStatistics.over(source.dialogues("train"), widths).finalise()
    return PerturbationData(
        targets=Conversations.of(source.dialogues(settings.split), modalities),
        pool=Conversations.of(source.dialogues("train"), modalities),
        moments=moments,
    )


def score_condition(
    predictor: Predictor,
    data: PerturbationData,
    substitutes: Substitutes,
    condition: Condition,
    *,
    device: str = "cpu",
) -> Outcome:
    """Return what the model says of every utterance of the targets under one condition.

    Args:
        predictor: the model.
        data: what the condition is made from.
        substitutes: the stored draws.
        condition: one of ``conditions``.
        device: where the model is.

    Raises:
        ValueError: the training split has no replacement for an emotion, or the stored draw is another one.
    """
    match condition:
        case Raw():
            return score_raw(predictor, data.targets, device=device)
        case Cut():
            substitutions = own_context(data.targets)
            return score_substituted(predictor, data.targets, data.targets, substitutions, device=device)
        case Draw(kind, number):
            substitutions = substitutes.draw(data.targets, data.pool, kind, number)
            return score_substituted(predictor, data.targets, data.pool, substitutions, device=device)
        case Corruption():
            assert data.moments is not None
            return score_corrupted(predictor, data.targets, condition, data.moments, device=device)
