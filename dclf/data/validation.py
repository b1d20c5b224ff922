"""Search a whole shard set for what would spoil a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from dclf.data.checks import empty_classes, repeated_id, validate_dialogue, zero_rows
from dclf.data.dialogue import SPLITS
from dclf.data.errors import DataError, ShardError
from dclf.data.manifest import Manifest, ShardEntry, verify_shard
from dclf.data.reader import ShardSet, read_shards


@dataclass(frozen=True)
class ValidationReport:
    """The problems and warnings of a shard set.

    Attributes:
        problems: what must be put right before training.
        warnings: what training survives but is probably a mistake.
    """

    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    def raise_on_problems(self) -> None:
        """DataError with all problems, if there are any."""
        if self.problems:
            raise DataError(self.problems, "the shards are not valid")


def validate_shards(path: str | os.PathLike[str]) -> ValidationReport:
    """Read every shard once and report all problems and warnings; ShardError only where there is no manifest.

    Checks checksums, every dialogue (``validate_dialogue``), ids over all splits, the manifest's counts and that no
    split is empty; warns of classes that no utterance has. Memory stays flat but for the dialogue ids.
    """
    shards = read_shards(path, verify=False)
    inspection = _Inspection(shards)
    inspection.at_files()
    if not inspection.problems:
        inspection.warnings += empty_classes(shards.info.class_names, inspection.labels)
    return ValidationReport(tuple(inspection.problems), tuple(inspection.warnings))


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
        self._seen: dict[str, str] = {}
        self.problems: list[str] = list(empty_splits(shards.manifest))
        self.warnings: list[str] = []
        self.labels: set[int] = set()

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
        for dialogue in self._shards.of_shard(entry):
            rows += 1
            utterances += len(dialogue)
            self.problems += validate_dialogue(dialogue, self._shards.info)
            self.problems += repeated_id(dialogue.dialogue_id, dialogue.split, self._seen)
            self.warnings += zero_rows(dialogue)
            self.labels |= set(dialogue.labels.tolist())
            if dialogue.split != entry.split:
                self.problems.append(
                    f"dialogue {dialogue.dialogue_id!r}: is of split {dialogue.split} but lies in {entry.file}"
                )
        if (rows, utterances) != (entry.rows, entry.utterances):
            self.problems.append(
                f"{entry.file}: holds {rows} dialogues with {utterances} utterances, the manifest says {entry.rows} "
                f"with {entry.utterances}; write the shards again"
            )
