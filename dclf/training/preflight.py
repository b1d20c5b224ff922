"""What must be true of the shards before a run starts, and of every dialogue that it reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from dclf.config import ModelConfig
from dclf.data.checks import index_problems, unlabelled_split, validate_dialogue
from dclf.data.dialogue import SPLITS, DatasetInfo, Dialogue
from dclf.data.errors import DataError
from dclf.data.reader import ShardSet
from dclf.training.source import Source


def check_shards(shards: ShardSet, modalities: Sequence[str]) -> None:
    """Refuse shards that a run cannot use; features are not read.

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
    seen: dict[str, str] = {}
    for split in SPLITS:
        index = shards.index(split)
        if not len(index):
            problems.append(
                f"data.shards: split {split!r} of {shards.path} must have dialogues, is empty; "
                "import the data with a hold-out or generate more dialogues"
            )
        elif not np.any(index.labels >= 0):
            problems.append(unlabelled_split(split))
        problems += index_problems(index, split, shards.info, seen)
    if problems:
        raise DataError(problems, "the shards do not fit the run")


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
