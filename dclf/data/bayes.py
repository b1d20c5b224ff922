"""The best that any real-time model can do on generated dialogues, and what of it needs which knowledge.

What is planted is known, so the probability of each emotion given all that was heard up to its utterance can be
computed (``dclf.data.posterior``); naming the most probable one is right more often than any other rule. Besides the
listener who knows everything there are some who do not: one takes train's shares for test's, as a model must that never
saw test, and one does not know which of the other's words a reply is to, so that only emotions carry over.

Weighted F1 is that of the same answers. A rule that is best for it could be better by a little, and a model can be
better on one test split by chance; on average none is more accurate. One that reads later utterances can be.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dclf.data.emotion_course import Rates
from dclf.data.errors import DataError
from dclf.data.generator import World, planted
from dclf.data.manifest import BAYES
from dclf.data.posterior import LIMIT, emotion_posteriors
from dclf.data.presets import GENERATOR, PRESETS, Preset, preset_named
from dclf.data.reader import ShardSet, read_shards
from dclf.data.reports import read_report, write_report
from dclf.data.shifts import emotion_shifts
from dclf.metrics import classification_scores, shift_scores

KNOWING = "all is known"
_SPLIT = "test"


@dataclass(frozen=True, kw_only=True)
class BayesScore:
    """What one listener reaches.

    Attributes:
        listener: what the listener knows.
        wf1: weighted F1.
        accuracy: share of right answers.
        shift_wf1: weighted F1 on emotion shifts; None where there is none.
    """

    listener: str
    wf1: float
    accuracy: float
    shift_wf1: float | None


@dataclass(frozen=True, kw_only=True)
class BayesReport:
    """What the best answers reach on the test split.

    Attributes:
        sha256: of the shards.
        modalities: what was heard of.
        utterances: of the split.
        limit: hypotheses that were followed; more bring the answers closer to the best.
        expected_accuracy: mean probability of the answers to the listener who knows all, from which the accuracy
            differs by chance.
        scores: of each listener, the one who knows all first.
    """

    sha256: str
    modalities: tuple[str, ...]
    utterances: int
    limit: int
    expected_accuracy: float
    scores: tuple[BayesScore, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BayesReport:
        """The inverse of ``to_dict``."""
        lists = {
            "modalities": tuple(values["modalities"]),
            "scores": tuple(BayesScore(**score) for score in values["scores"]),
        }
        return cls(**{**values, **lists})

    def table(self) -> Iterator[tuple[str, ...]]:
        """Cells of a table: the head, then a row for each listener."""
        yield ("best real-time answers, test", "WF1", "accuracy", "expected", "WF1 on shifts")
        for score in self.scores:
            expected = f"{100 * self.expected_accuracy:.1f}" if score.listener == KNOWING else ""
            shifts = "-" if score.shift_wf1 is None else f"{100 * score.shift_wf1:.1f}"
            yield (score.listener, f"{100 * score.wf1:.1f}", f"{100 * score.accuracy:.1f}", expected, shifts)


def bayes_shards(
    path: str | os.PathLike[str], *, modalities: Sequence[str] | None = None, limit: int = LIMIT
) -> BayesReport:
    """Score the best answers on the test split of generated shards; takes a few milliseconds an utterance.

    Args:
        path: local folder or URI.
        modalities: only these are heard; all where None.
        limit: hypotheses that are followed, at least 1; fewer are faster and less exact.

    Raises:
        ShardError, MissingModalityError: see ``read_shards``.
        DataError: the shards are not generated, were generated otherwise than this version does, or have lost labels or
            rows since.
    """
    shards = read_shards(path, split=_SPLIT, modalities=modalities)
    shape, seed = _origin(shards)
    world = World.of(shape, seed)
    dialogues = list(shards)
    labels = np.concatenate([dialogue.labels for dialogue in dialogues])
    shifts = np.concatenate([emotion_shifts(dialogue.labels, dialogue.speakers) for dialogue in dialogues])
    scores, expected = [], []
    for listener, rates, hears_words in _listeners(shape):
        posteriors = np.concatenate(
            [
                emotion_posteriors(world, rates, shape.carries, each, limit=limit, hears_words=hears_words)
                for each in dialogues
            ]
        )
        expected.append(float(posteriors.max(axis=1).mean()))
        scores.append(_score(listener, labels, posteriors.argmax(axis=1), shifts, shape.class_names))
    return BayesReport(
        sha256=shards.manifest.sha256,
        modalities=shards.modalities,
        utterances=len(labels),
        limit=limit,
        expected_accuracy=expected[0],
        scores=tuple(scores),
    )


def write_bayes(path: str | os.PathLike[str], report: BayesReport) -> None:
    """Keep a report beside its shards, for the feature card; OSError where the folder cannot be written."""
    write_report(path, BAYES, report)


def read_bayes(path: str | os.PathLike[str], sha256: str) -> BayesReport | None:
    """Read what ``write_bayes`` kept of these very shards; None where nothing is kept, or it is of others."""
    return read_report(path, BAYES, sha256, BayesReport.from_dict)


def _listeners(shape: Preset) -> Iterator[tuple[str, Rates, bool]]:
    """Yield each listener: a name, the shares that it takes for true, and whether it hears earlier words."""
    test, train = shape.rates_in(_SPLIT), shape.rates_in("train")
    yield KNOWING, test, True
    if train != test:
        yield "train's shares taken for test's", train, True
    if shape.rates.reply:
        yield "earlier words not heard", test, False
        if train != test:
            yield "train's shares, earlier words not heard", train, False


def _origin(shards: ShardSet) -> tuple[Preset, int]:
    """The preset, as it was changed, and the seed of generated shards."""
    provenance = shards.info.provenance
    name, seed, facts = provenance.get("preset"), provenance.get("seed"), provenance.get("planted")
    heading = f"{shards.path}: the best answers are not known"
    if provenance.get("importer") != GENERATOR or name not in PRESETS or not isinstance(facts, dict):
        raise DataError(["the shards must be of 'dclf data generate', whose truth is known; these are not"], heading)
    shape = preset_named(str(name)).with_test_keep(facts.get("test_keep"))
    if facts != planted(shape) or not isinstance(seed, int):
        raise DataError(["the shards were generated by another version: generate them anew with this one"], heading)
    if (shards.index().labels < 0).any() or shards.manifest.missing[_SPLIT]:
        raise DataError(["the test split must be as it was generated, and lacks labels or features"], heading)
    return shape, seed


def _score(
    listener: str,
    labels: NDArray[np.int32],
    answers: NDArray[np.int64],
    shifts: NDArray[np.bool_],
    class_names: Sequence[str],
) -> BayesScore:
    scores = classification_scores(labels, answers, class_names)
    on_shifts = shift_scores(labels, answers, shifts, class_names).get("shift/wf1")
    return BayesScore(listener=listener, wf1=scores["wf1"], accuracy=scores["wa"], shift_wf1=on_shifts)
