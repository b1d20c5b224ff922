"""What must be true of the shards before a run starts, and of every dialogue that it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dclf.config import ModelConfig
from dclf.data.checks import index_problems, unlabelled_split, validate_dialogue
from dclf.data.dialogue import SPLITS, DatasetInfo, Dialogue
from dclf.data.errors import DataError
from dclf.data.index import DialogueIndex
from dclf.data.reader import ShardSet
from dclf.data.shifts import emotion_shifts
from dclf.training.source import Source


def check_shards(shards: ShardSet, modalities: Sequence[str], *, perturb: bool = False, only: str = "") -> None:
    """Refuse shards that a run cannot use; features are not read.

    Args:
        shards: the shard set.
        modalities: the features that the run reads.
        perturb: whether the validation split is scored with substituted contexts and on emotion shifts too
            (``train.perturb_every``).
        only: the one split that is read, where a trained model is scored on it; a training reads them all.

    Raises:
        DataError: lists every lacking modality, split that is empty or has no label, wrong label or speaker and
            repeated dialogue, and what to do.
    """
    problems = [
        f"data.modalities: {modality} must be in the shards at {shards.path}, which have "
        f"{', '.join(shards.info.modalities)}; leave it out or import the data with it"
        for modality in modalities
        if modality not in shards.info.modalities
    ]
    split_of: dict[str, str] = {}
    for split in (only,) if only else SPLITS:
        index = shards.index(split)
        if not len(index):
            remedy = "score another split" if only else "import the data with a hold-out or generate more dialogues"
            problems.append(f"data.shards: split {split!r} of {shards.path} must have dialogues, is empty; {remedy}")
        elif not np.any(index.labels >= 0):
            unlabelled = f"no utterance of the {split} split of {shards.path} has a label to score; score another split"
            problems.append(unlabelled if only else unlabelled_split(split))
        problems += index_problems(index, split, shards.info, split_of)
    if perturb and not problems:
        problems += robustness_problems(shards.index("val"), shards.info.class_names)
    if problems:
        raise DataError(problems, f"the shards do not fit the {'model' if only else 'run'}")


def check_same_shards(shards: ShardSet, state: Mapping[str, Any]) -> None:
    """Refuse shards that a run cannot go on with: its statistics, memory bank and history are of those it began with.

    Args:
        shards: of the run, as they are now.
        state: its checkpoint; one of a version that kept no hash of the shards passes.

    Raises:
        DataError: they are others.
    """
    before, now = state.get("shards_sha256", ""), shards.manifest.sha256
    if before and before != now:
        problem = (
            f"data.shards: {shards.path} must hold the shards that the run began with, of hash {before[:12]}, holds "
            f"others, of {now[:12]}; bring the first ones back or train anew"
        )
        raise DataError([problem], "the shards do not fit the run")


def check_classes(shards: ShardSet, model: ModelConfig) -> None:
    """Refuse shards whose classes the base model cannot learn.

    Args:
        shards: of the run.
        model: a sound configuration.

    Raises:
        DataError: says which, and what to do.
    """
    # Imported here: it takes torch, and who only looks at shards need not wait for that.
    from dclf.models.contract import base_model_class  # noqa: PLC0415

    kind = base_model_class(model.name)
    try:
        kind.check_classes(kind.Config(**model.options), shards.info.class_names)
    except ValueError as error:
        raise DataError([f"model.name {model.name}: {error}"], "the shards do not fit the run") from error


def robustness_problems(index: DialogueIndex, class_names: Sequence[str]) -> list[str]:
    """Why a validation split cannot be scored with contexts of its own other dialogues, and on emotion shifts.

    Args:
        index: of the split.
        class_names: emotion of each class index, which the labels fit.
    """
    contexts = np.zeros((len(index), len(class_names)), dtype=np.int64)
    utterances = np.zeros_like(contexts)
    shifts = False
    for number, (start, length) in enumerate(zip(index.offsets, index.lengths, strict=True)):
        labels, speakers = (row[start : start + length] for row in (index.labels, index.speakers))
        shifts = shifts or bool(emotion_shifts(labels, speakers).any())
        for counts, part in ((contexts, labels[:-1]), (utterances, labels)):
            counts[number] = np.bincount(part[part >= 0], minlength=len(class_names))
    others = utterances.sum(axis=0) - utterances
    different = others.sum(axis=1, keepdims=True) - others
    remedy = "hold out more dialogues for validation, or write train.perturb_every: 0"
    problems = []
    for kind, available, must in (
        ("the same emotion", others, "that emotion must occur in two of its dialogues at least"),
        ("a different emotion", different, "another of its dialogues must have such an utterance"),
    ):
        lacking = ((contexts > 0) & (available == 0)).any(axis=0)
        if lacking.any():
            names = ", ".join(name for name, lacks in zip(class_names, lacking, strict=True) if lacks)
            problems.append(
                f"train.perturb_every: to substitute utterances of the val split by some with {kind}, {must}; this "
                f"does not hold for {names}; {remedy}"
            )
    if not shifts:
        problems.append(f"train.perturb_every: the val split must have emotion shifts to score, has none; {remedy}")
    return problems


class CheckedSource:
    """A source whose dialogues are looked at when they first pass: a NaN would spoil scores without a word.

    Shards that this project wrote are sound, those of other programs may not be.

    Args:
        source: where the dialogues come from.
        info: what the shards declare.
        modalities: the features that the run reads; what else the source gives, for other runs, is left out.
    """

    def __init__(self, source: Source, info: DatasetInfo, modalities: Sequence[str]) -> None:
        self._source = source
        self._info = replace(info, widths={m: width for m, width in info.widths.items() if m in modalities})
        self._sound: set[str] = set()

    def dialogues(self, split: str) -> Iterator[Dialogue]:
        """The source's own, with the features that the run reads.

        Raises:
            DataError: a dialogue breaks a rule of the shard format.
        """
        for whole in self._source.dialogues(split):
            dialogue = whole.only(self._info.widths)
            if split not in self._sound and (problems := validate_dialogue(dialogue, self._info)):
                raise DataError(problems, f"the {split} split is not valid (`dclf data validate` looks at all of it)")
            yield dialogue
        self._sound.add(split)
