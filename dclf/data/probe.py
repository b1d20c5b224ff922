"""What a linear probe of each modality reaches, and whether features have seen labels that they must not know.

The probe is multinomial logistic regression on standardised features. It is trained on folds of the training split,
whole dialogues left out, and scored on the dialogues left out, on val and on test, so that all three are scored by
models of as much data. Features tell the emotion of held-out dialogues about as well in every split: where val or test
score above train by more than chance allows, their labels have probably had a part in making the features, as with an
encoder that was fine-tuned on test too. The same is asked of probes trained within val or test, against probes within
as many training dialogues: labels may have entered in a way that training rows do not show.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import SPLITS, UNLABELLED
from dclf.data.errors import DataError
from dclf.data.manifest import PROBE
from dclf.data.reader import ShardSet, read_shards
from dclf.data.reports import read_report, write_report
from dclf.errors import WrongInputError

FOLDS = 5
RESAMPLES = 2000
SUSPICIOUS_P = 0.001
"""A score so far above train's is suspicious: of a thousand honest comparisons one."""
_STRENGTH = 0.01
"""Inverse of the penalty on weights of standardised features; published features are wide and dialogues few."""
_STEPS = 50


@dataclass(frozen=True, kw_only=True)
class ModalityProbe:
    """What the probe of one modality reaches.

    Attributes:
        modality: its name.
        wf1: split -> weighted F1; of train on the dialogues left out, the others' is the mean over the folds' models.
        excess: val and test -> accuracy above train's, both with the emotions in train's proportions; of the two
            comparisons the one less likely by chance. None where the split cannot be compared with train, as they
            share no emotion, or those they share are of one dialogue.
        p: val and test -> probability of so large an excess where there is none, times two for two comparisons; None
            where there is no excess to speak of.
    """

    modality: str
    wf1: Mapping[str, float]
    excess: Mapping[str, float | None]
    p: Mapping[str, float | None]

    @property
    def suspicious(self) -> tuple[str, ...]:
        """The splits whose labels these features have probably seen."""
        return tuple(split for split, p in self.p.items() if p is not None and p < SUSPICIOUS_P)

    def above_train(self, split: str) -> str:
        """How much more accurate the probe is on this split, in words."""
        excess, p = self.excess[split], self.p[split]
        return "cannot be compared" if excess is None or p is None else f"{100 * excess:+.1f} (p {_p(p)})"

    @property
    def warnings(self) -> list[str]:
        """A sentence for every suspicious split."""
        return [
            f"{self.modality}: a linear probe is {100 * (self.excess[split] or 0):.1f} points more accurate on {split} "
            f"than on held-out training dialogues (p {_p(self.p[split] or 0)}); these features have probably seen "
            f"labels of {split}: scores on it do not count"
            for split in self.suspicious
        ]


@dataclass(frozen=True, kw_only=True)
class ProbeReport:
    """What the probes of a shard set reach.

    Attributes:
        sha256: of the shards that were probed.
        seed: drew folds and resamples.
        modalities: a probe for each, in the shards' order.
    """

    sha256: str
    seed: int
    modalities: tuple[ModalityProbe, ...]

    @property
    def warnings(self) -> list[str]:
        """What is probably wrong with the features."""
        return [warning for probe in self.modalities for warning in probe.warnings]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; with the ``warnings``."""
        return {**asdict(self), "warnings": self.warnings}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ProbeReport:
        """The inverse of ``to_dict``."""
        probes = tuple(ModalityProbe(**probe) for probe in values["modalities"])
        return cls(sha256=values["sha256"], seed=values["seed"], modalities=probes)

    def table(self) -> Iterator[tuple[str, ...]]:
        """Cells of a table: the head, then a row for each modality."""
        yield ("linear probe, WF1", *SPLITS, "val above train", "test above train")
        for probe in self.modalities:
            scores = (f"{100 * probe.wf1[split]:.1f}" for split in SPLITS)
            yield (probe.modality, *scores, probe.above_train("val"), probe.above_train("test"))


def probe_shards(
    path: str | os.PathLike[str], *, modalities: Sequence[str] | None = None, seed: int = 0
) -> ProbeReport:
    """Probe every modality of a shard set; one modality is in memory at a time.

    Args:
        path: local folder or URI.
        modalities: only these; all where None.
        seed: of folds and resamples.

    Raises:
        ShardError, MissingModalityError: see ``read_shards``.
        DataError: too few dialogues or emotions to train and to compare.
        WrongInputError: the seed is below 0.
    """
    if seed < 0:
        raise WrongInputError(f"seed must be 0 or more, is {seed}")
    shards = read_shards(path, modalities=modalities)
    probes = tuple(_probe(shards.select(modalities=[modality]), modality, seed) for modality in shards.modalities)
    return ProbeReport(sha256=shards.manifest.sha256, seed=seed, modalities=probes)


def write_probe(path: str | os.PathLike[str], report: ProbeReport) -> None:
    """Keep a report beside its shards, for the feature card; OSError where the folder cannot be written."""
    write_report(path, PROBE, report)


def read_probe(path: str | os.PathLike[str], sha256: str) -> ProbeReport | None:
    """Read what ``write_probe`` kept of these very shards; None where nothing is kept, or it is of others."""
    return read_report(path, PROBE, sha256, ProbeReport.from_dict)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The utterances of a split that have features and an emotion.

    Attributes:
        features: float32 [N, D].
        labels: [N].
        dialogues: [N], number of the dialogue within the split.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    dialogues: NDArray[np.int64]

    @classmethod
    def of(cls, shards: ShardSet, modality: str) -> _Rows:
        features, labels, dialogues = [], [], []
        for number, dialogue in enumerate(shards):
            rows = dialogue.labels != UNLABELLED
            if modality in dialogue.present:
                rows &= dialogue.present[modality]
            features.append(dialogue.features[modality][rows])
            labels.append(dialogue.labels[rows].astype(np.int64))
            dialogues.append(np.full(int(rows.sum()), number))
        return cls(np.concatenate(features), np.concatenate(labels), np.concatenate(dialogues))

    def of_dialogues(self, names: NDArray[np.int64]) -> _Rows:
        """The rows of these dialogues."""
        rows = np.isin(self.dialogues, names)
        return _Rows(self.features[rows], self.labels[rows], self.dialogues[rows])


def _probe(shards: ShardSet, modality: str, seed: int) -> ModalityProbe:
    from sklearn.metrics import f1_score  # noqa: PLC0415 - a second of importing

    splits = {split: _Rows.of(shards.select(split), modality) for split in SPLITS if len(shards.select(split))}
    if problems := list(_problems(splits, seed)):
        raise DataError(problems, f"{shards.path}: cannot be probed")
    train, others = splits["train"], {split: splits[split] for split in ("val", "test")}
    predicted, on_others = _cross_predict(train, others, seed)
    wf1 = {"train": float(f1_score(train.labels, predicted, average="weighted"))}
    own = _Accuracy.of(train, predicted == train.labels)
    excess: dict[str, float | None] = {}
    p: dict[str, float | None] = {}
    for split, rows in others.items():
        wf1[split] = float(np.mean([f1_score(rows.labels, each, average="weighted") for each in on_others[split]]))
        right = np.mean([each == rows.labels for each in on_others[split]], axis=0)
        both = [_compare(_Accuracy.of(rows, right), own, seed), *_compare_within(rows, train, seed)]
        comparisons = [comparison for comparison in both if comparison is not None]
        if not comparisons:
            excess[split] = p[split] = None
            continue
        excess[split], least = min(comparisons, key=lambda comparison: comparison[1])
        p[split] = min(1.0, len(comparisons) * least)
    return ModalityProbe(modality=modality, wf1=wf1, excess=excess, p=p)


def _compare_within(rows: _Rows, train: _Rows, seed: int) -> Iterator[tuple[float, float] | None]:
    """Compare probes trained within a split with probes trained within as many training dialogues.

    Labels may have entered in a way that training rows do not show; nothing is compared where a split is too small.
    """
    names = np.unique(train.dialogues)
    count = min(len(names), len(np.unique(rows.dialogues)))
    drawn = np.random.default_rng(seed).choice(names, size=count, replace=False)
    sides = [rows, train.of_dialogues(drawn)]
    if all(_has_two_emotions(side, seed) for side in sides):
        accuracies = [_Accuracy.of(side, _cross_predict(side, {}, seed)[0] == side.labels) for side in sides]
        yield _compare(accuracies[0], accuracies[1], seed)


def _cross_predict(
    rows: _Rows, others: Mapping[str, _Rows], seed: int
) -> tuple[NDArray[np.int64], dict[str, list[NDArray[np.int64]]]]:
    """Predict every row by the model of the folds without its dialogue, and other splits' rows by all models."""
    predicted = np.empty_like(rows.labels)
    on_others: dict[str, list[NDArray[np.int64]]] = {split: [] for split in others}
    for rest, fold in _folds(rows, seed):
        model = _fit(rows.features[rest], rows.labels[rest])
        predicted[fold] = model.predict(rows.features[fold])
        for split, other in others.items():
            on_others[split].append(model.predict(other.features))
    return predicted, on_others


def _has_two_emotions(rows: _Rows, seed: int) -> bool:
    """Whether every fold leaves two emotions to train on."""
    return all(len(np.unique(rows.labels[rest])) > 1 for rest, _ in _folds(rows, seed))


def _problems(splits: Mapping[str, _Rows], seed: int) -> Iterator[str]:
    for split in SPLITS:
        rows = splits.get(split)
        dialogues = 0 if rows is None else len(np.unique(rows.dialogues))
        least = FOLDS if split == "train" else 2
        if dialogues < least:
            yield f"the {split} split must have {least} dialogues with labelled utterances for a probe, has {dialogues}"
    train = splits.get("train")
    if train is None:
        return
    if len(np.unique(train.labels)) < 2:
        yield "the train split must have two emotions for a probe, has fewer"
    elif len(np.unique(train.dialogues)) >= FOLDS and not _has_two_emotions(train, seed):
        yield (
            "the train split must have two emotions in the dialogues beside each fold for a probe; all but one are in "
            "a few dialogues that one fold leaves out: import more dialogues, or try another --seed"
        )


def _folds(rows: _Rows, seed: int) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """The rows to train on and those left out, of whole dialogues."""
    names = np.unique(rows.dialogues)
    folds = min(FOLDS, len(names))
    fold_of = np.empty(names[-1] + 1, dtype=np.int64)
    fold_of[np.random.default_rng(seed).permutation(names)] = np.arange(len(names)) % folds
    for fold in range(folds):
        left_out = fold_of[rows.dialogues] == fold
        yield ~left_out, left_out


def _fit(features: NDArray[np.float32], labels: NDArray[np.int64]) -> Any:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - a second of importing
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    # The products are small: on a machine with other work several threads would wait for each other most of the time.
    with threadpool_limits(1), warnings.catch_warnings():
        # A probe need not be at the very minimum.
        warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
        return make_pipeline(StandardScaler(), LogisticRegression(C=_STRENGTH, max_iter=_STEPS)).fit(features, labels)


@dataclass(frozen=True, eq=False)
class _Accuracy:
    """A split's right answers by dialogue and emotion, from which its accuracy and that of resamples follow.

    Attributes:
        right: [dialogues, classes], sums of shares of models that were right.
        count: [dialogues, classes], utterances.
    """

    right: NDArray[np.float64]
    count: NDArray[np.float64]

    @classmethod
    def of(cls, rows: _Rows, right: NDArray[np.bool_] | NDArray[np.float64]) -> _Accuracy:
        """Sort right answers, for each utterance whether it is one, or the share of models of which it is."""
        shape = int(rows.dialogues.max()) + 1, int(rows.labels.max()) + 1
        sums, count = np.zeros(shape), np.zeros(shape)
        np.add.at(sums, (rows.dialogues, rows.labels), right)
        np.add.at(count, (rows.dialogues, rows.labels), 1.0)
        filled = count.sum(axis=1) > 0
        return cls(sums[filled], count[filled])

    def with_mix(self, mix: NDArray[np.float64], draws: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """The accuracy with the emotions in these proportions; NaN of a draw that has none of them.

        Args:
            mix: [classes], 0 for those that are not to count.
            draws: [resamples, dialogues], how often each dialogue counts; once each where None.
        """
        weights = np.ones((1, len(self.count))) if draws is None else draws
        right, count = weights @ self.right, weights @ self.count
        classes = min(len(mix), right.shape[1])
        own = mix[:classes] * (count[:, :classes] > 0)
        recall = np.divide(right, count, out=np.zeros_like(right), where=count > 0)[:, :classes]
        weight = own.sum(axis=1)
        result = np.full(len(weight), np.nan)
        np.divide((own * recall).sum(axis=1), weight, out=result, where=weight > 0)
        return result

    def dialogues_with(self, mix: NDArray[np.float64]) -> int:
        """How many dialogues have an emotion that counts in these proportions."""
        classes = min(len(mix), self.count.shape[1])
        return int((self.count[:, :classes][:, mix[:classes] > 0].sum(axis=1) > 0).sum())


def _compare(other: _Accuracy, train: _Accuracy, seed: int) -> tuple[float, float] | None:
    """The excess of a split over train, and its one-sided p: normal, with the spread of resampled dialogues.

    The emotions of both count in train's proportions: splits differ in these, and a probe is better at frequent ones.
    None where too few dialogues have an emotion of both: one alone has no spread.
    """
    classes = min(train.count.shape[1], other.count.shape[1])
    mix = train.count.sum(axis=0)[:classes] * (other.count.sum(axis=0)[:classes] > 0)
    if min(one.dialogues_with(mix) for one in (other, train)) < 2:
        return None
    rng = np.random.default_rng(seed)
    excess = float(other.with_mix(mix)[0] - train.with_mix(mix)[0])
    spread = [np.nanstd(one.with_mix(mix, _resamples(rng, len(one.count)))) for one in (other, train)]
    deviation = math.hypot(*spread)
    if deviation == 0:
        return excess, 1.0 if excess <= 0 else 0.0
    return excess, NormalDist().cdf(-excess / deviation)


def _resamples(rng: np.random.Generator, dialogues: int) -> NDArray[np.float64]:
    """How often each dialogue is drawn, with replacement, in every resample."""
    return rng.multinomial(dialogues, np.full(dialogues, 1 / dialogues), size=RESAMPLES).astype(np.float64)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
