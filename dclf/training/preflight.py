"""What must be true of the shards before a run starts."""

from __future__ import annotations

from collections.abc import Sequence

from dclf.data.dialogue import SPLITS
from dclf.data.errors import DataError
from dclf.data.reader import ShardSet


def check_shards(shards: ShardSet, modalities: Sequence[str]) -> None:
    """Refuse shards that a run cannot use.

    Raises:
        DataError: lists every lacking modality and empty split, and what to do.
    """
    problems = [
        f"data.modalities: {modality} must be in the shards at {shards.path}, which have "
        f"{', '.join(shards.info.modalities)}; leave it out or import the data with it"
        for modality in modalities
        if modality not in shards.info.modalities
    ]
    problems += [
        f"data.shards: split {split!r} of {shards.path} must have dialogues, is empty; "
        "import the data with a hold-out or generate more dialogues"
        for split in SPLITS
        if not len(shards.index(split).dialogue_ids)
    ]
    if problems:
        raise DataError(problems, "the shards do not fit the run")
