"""Search a whole shard set for what would spoil a run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from dclf.data.checks import empty_classes, repeated_id, unlabelled_split, validate_dialogue, zero_rows
from dclf.data.dialogue import SPLITS, UNLABELLED, Dialogue
from dclf.data.errors import ShardError
from dclf.data.manifest import Manifest, ShardEntry, verify_shard
from dclf.data.reader import ShardSet, read_shards
from dclf.prose import quantity


@dataclass(frozen=True)
class ValidationReport:
    """The problems and warnings of a shard set.

    Attributes:
        problems: what must be put right before training.
        warnings: what training survives but is probably a mistake.
        unlabelled: split -> utterances without a label, where there are any.
        missing: split -> modality -> utterances without features in it, where there are any.
    """

    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    unlabelled: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """What is no mistake but should be known: utterances without a label or without features."""
        lines = [f"{split}: {quantity(n, 'utterance')} without a label" for split, n in self.unlabelled.items()]
        lines += [
            f"{split}: {quantity(n, 'utterance')} without {modality} features"
            for split, counts in self.missing.items()
            for modality, n in counts.items()
        ]
        return lines


def validate_shards(path: str | os.PathLike[str]) -> ValidationReport:
    """Read every shard once and report all problems and warnings; ShardError only where there is no manifest.

    Checks checksums, every dialogue (``validate_dialogue``), ids over all splits, the manifest's counts and that no
    split is empty or has no label; warns of classes that no utterance has. Memory stays flat but for the dialogue ids.
    """
    shards = read_shards(path, verify=False)
    inspection = _Inspection(shards)
    inspection.at_files()
    if not inspection.problems:
        inspection.problems += [unlabelled_split(split) for split in SPLITS if not inspection.labels[split]]
        inspection.warnings += empty_classes(shards.info.class_names, set().union(*inspection.labels.values()))
    return ValidationReport(
        tuple(inspection.problems),
        tuple(inspection.warnings),
        unlabelled=dict(inspection.unlabelled),
        missing={split: dict(counts) for split, counts in inspection.missing.items() if counts},
    )


def empty_splits(manifest: Manifest) -> Iterator[str]:
    """A problem for every split without dialogues."""
    for split, count in manifest.splits.items():
        if count == 0:
            yield (
                f"the {split} split is empty: training needs all of {', '.join(SPLITS)}; "
                "import the data again with dialogues in it"
            )


class _Inspection:
    """Collects the problems, warnings and labels of a shard set."""

    def __init__(self, shards: ShardSet) -> None:
        self._shards = shards
        self._split_of: dict[str, str] = {}
        self.problems: list[str] = list(empty_splits(shards.manifest))
        self.warnings: list[str] = []
        self.labels: dict[str, set[int]] = {split: set() for split in SPLITS}
        self.unlabelled = Counter[str]()
        self.missing: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}

    def at_files(self) -> None:
        manifest = self._shards.manifest
        for entry in (manifest.index, *manifest.shards):
            try:
                verify_shard(self._shards.path, entry)
                if isinstance(entry, ShardEntry):
                    self._at_shard(entry)
            except ShardError as error:
                self.problems.append(str(error))

    def _at_shard(self, entry: ShardEntry) -> None:
        rows = utterances = 0
        missing = Counter[str]()
        for dialogue in self._shards.of_shard(entry):
            rows += 1
            utterances += len(dialogue)
            self.problems += validate_dialogue(dialogue, self._shards.info)
            self.problems += repeated_id(dialogue.dialogue_id, dialogue.split, self._split_of)
            self.warnings += zero_rows(dialogue)
            missing.update(dialogue.missing)
            self._at_labels(entry.split, dialogue)
            if dialogue.split != entry.split:
                self.problems.append(
                    f"dialogue {dialogue.dialogue_id!r}: is of split {dialogue.split} but lies in {entry.file}"
                )
        if (rows, utterances) != (entry.rows, entry.utterances):
            self.problems.append(
                f"{entry.file}: holds {rows} dialogues with {utterances} utterances, the manifest says {entry.rows} "
                f"with {entry.utterances}; write the shards again"
            )
        self.missing[entry.split] += missing
        if missing != entry.missing:
            self.problems.append(
                f"{entry.file}: lacks rows of {dict(missing) or 'no modality'}, the manifest says of "
                f"{dict(entry.missing) or 'no modality'}; write the shards again"
            )

    def _at_labels(self, split: str, dialogue: Dialogue) -> None:
        labels = set(dialogue.labels.tolist())
        self.labels[split] |= labels - {UNLABELLED}
        if UNLABELLED in labels:
            self.unlabelled[split] += int(np.count_nonzero(dialogue.labels == UNLABELLED))
