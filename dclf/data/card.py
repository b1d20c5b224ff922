"""The feature card: what a shard set holds, in numbers that a paper or a run's record can quote."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dclf.data.bayes import BayesReport, read_bayes
from dclf.data.checks import empty_classes, index_problems
from dclf.data.dialogue import SPLITS
from dclf.data.errors import DataError
from dclf.data.index import DialogueIndex
from dclf.data.presets import GENERATOR
from dclf.data.probe import ProbeReport, read_probe
from dclf.data.reader import read_shards
from dclf.data.shifts import emotion_shifts
from dclf.prose import without_controls


@dataclass(frozen=True, kw_only=True)
class SplitCard:
    """One split in numbers.

    Attributes:
        dialogues: how many.
        utterances: of all dialogues.
        unlabelled: utterances without a label.
        classes: emotion -> utterances.
        missing: modality -> utterances without features in it; complete modalities are not named.
        emotion_shifts: utterances whose emotion differs from the same speaker's previous one.
        shortest: utterances of the shortest dialogue, 0 for an empty split.
        mean_length: utterances per dialogue, 0 for an empty split.
        longest: utterances of the longest dialogue, 0 for an empty split.
        speakers_per_dialogue: most speakers in one dialogue.
    """

    dialogues: int
    utterances: int
    unlabelled: int
    classes: Mapping[str, int]
    missing: Mapping[str, int]
    emotion_shifts: int
    shortest: int
    mean_length: float
    longest: int
    speakers_per_dialogue: int


@dataclass(frozen=True, kw_only=True)
class FeatureCard:
    """What a shard set holds.

    Attributes:
        dataset: its name.
        class_names: emotion of each label index.
        widths: modality -> raw feature width.
        speaker_count: number of distinct speaker indices.
        splits: split -> its numbers.
        provenance: how the shards came about.
        files: file -> SHA-256, the index included.
        sha256: one hash over all shards.
        probe: what linear probes reached; None where ``dclf data probe`` has not been run on these shards.
        bayes: what the best answers reach on generated dialogues; None where ``dclf data bayes`` has not been run on
            these shards.
    """

    dataset: str
    class_names: tuple[str, ...]
    widths: Mapping[str, int]
    speaker_count: int
    splits: Mapping[str, SplitCard]
    provenance: Mapping[str, object]
    files: Mapping[str, str]
    sha256: str
    probe: ProbeReport | None = None
    bayes: BayesReport | None = None

    @property
    def warnings(self) -> list[str]:
        """What training survives but is probably a mistake: empty classes, features that have seen labels."""
        present = {
            number
            for number, name in enumerate(self.class_names)
            if any(split.classes[name] for split in self.splits.values())
        }
        return [*empty_classes(self.class_names, present), *(self.probe.warnings if self.probe else [])]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; with the ``warnings``."""
        probe = None if self.probe is None else self.probe.to_dict()
        return {
            **asdict(self),
            "class_names": list(self.class_names),
            "probe": probe,
            "bayes": None if self.bayes is None else self.bayes.to_dict(),
            "warnings": self.warnings,
        }

    def to_markdown(self) -> str:
        """The card as Markdown tables."""
        blocks = (self._head(), self._table(), self._probe(), self._bayes(), self._provenance(), self._files())
        return "\n\n".join(text for block in blocks if (text := "\n".join(block))) + "\n"

    def to_text(self) -> str:
        """The card for a terminal: the same text, without Markdown's escapes and rules, and what would steer it."""
        lines = (without_controls(line) for line in self.to_markdown().splitlines() if not line.startswith("|---"))
        return "\n".join(lines).replace("`", "") + "\n"

    def _head(self) -> Iterator[str]:
        yield f"# {self.dataset}"
        yield ""
        yield f"- features: {', '.join(f'{modality} {width}' for modality, width in self.widths.items())}"
        yield f"- speakers: {self.speaker_count}"
        yield f"- sha256: `{self.sha256}`"

    def _table(self) -> Iterator[str]:
        columns = [self.splits[split] for split in SPLITS]
        yield f"| {'':<22} | {' | '.join(f'{split:>8}' for split in SPLITS)} |"
        yield f"|{'-' * 24}|{'|'.join('-' * 9 + ':' for _ in SPLITS)}|"
        for name, values in self._rows(columns):
            yield f"| {name:<22} | {' | '.join(f'{value:>8}' for value in values)} |"

    def _rows(self, columns: list[SplitCard]) -> Iterator[tuple[str, list[str]]]:
        yield "dialogues", [str(split.dialogues) for split in columns]
        yield "utterances", [str(split.utterances) for split in columns]
        for name in self.class_names:
            yield name, [str(split.classes[name]) for split in columns]
        if any(split.unlabelled for split in columns):
            yield "unlabelled", [str(split.unlabelled) for split in columns]
        for modality in self.widths:
            if any(modality in split.missing for split in columns):
                yield f"without {modality}", [str(split.missing.get(modality, 0)) for split in columns]
        yield "emotion shifts", [str(split.emotion_shifts) for split in columns]
        yield "shortest dialogue", [str(split.shortest) for split in columns]
        yield "mean length", [f"{split.mean_length:.1f}" for split in columns]
        yield "longest dialogue", [str(split.longest) for split in columns]
        yield "speakers per dialogue", [f"<= {split.speakers_per_dialogue}" for split in columns]

    def _probe(self) -> Iterator[str]:
        yield "## Linear probe"
        yield ""
        if self.probe is None:
            yield "Not run; `dclf data probe` says what each modality reaches and whether it has seen labels."
            return
        yield from _markdown(self.probe.table())

    def _bayes(self) -> Iterator[str]:
        if self.provenance.get("importer") != GENERATOR:
            return
        yield "## Best possible answers"
        yield ""
        if self.bayes is None:
            yield "Not computed; `dclf data bayes` says what no real-time model exceeds but by chance."
            return
        yield from _markdown(self.bayes.table())

    def _provenance(self) -> Iterator[str]:
        yield "## Provenance"
        yield ""
        for name, value in self.provenance.items():
            yield f"- {name}: {_plain(value)}"

    def _files(self) -> Iterator[str]:
        yield "## Files"
        yield ""
        for name, digest in self.files.items():
            yield f"- {name}: `{digest}`"


def feature_card(path: str | os.PathLike[str]) -> FeatureCard:
    """The card of a shard set; reads the manifest, the index and what a probe left, never a feature.

    Raises:
        DataError: labels or speakers are out of range, or a dialogue is there twice.
    """
    shards = read_shards(path)
    manifest, info = shards.manifest, shards.info
    split_of: dict[str, str] = {}
    if problems := [p for split in SPLITS for p in index_problems(shards.index(split), split, info, split_of)]:
        raise DataError(problems, f"{path}: the shards are not valid")
    return FeatureCard(
        dataset=info.dataset,
        class_names=info.class_names,
        widths=dict(info.widths),
        speaker_count=info.speaker_count,
        splits={split: _split_card(shards.index(split), info.class_names, manifest.missing[split]) for split in SPLITS},
        provenance=dict(info.provenance),
        files={entry.file: entry.sha256 for entry in (manifest.index, *manifest.shards)},
        sha256=manifest.sha256,
        probe=read_probe(path, manifest.sha256),
        bayes=read_bayes(path, manifest.sha256),
    )


def _markdown(table: Iterator[tuple[str, ...]]) -> Iterator[str]:
    head, *rows = table
    yield f"| {' | '.join(head)} |"
    yield f"|---|{'|'.join('---:' for _ in head[1:])}|"
    for cells in rows:
        yield f"| {' | '.join(cells)} |"


def _plain(value: object) -> str:
    """A value of the provenance as a person writes it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_in_brackets(part)}" for key, part in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_in_brackets, value)) or "none"
    return str(value)


def _in_brackets(value: object) -> str:
    return f"({_plain(value)})" if isinstance(value, Mapping | list | tuple) else str(value)


def _split_card(index: DialogueIndex, class_names: tuple[str, ...], missing: Mapping[str, int]) -> SplitCard:
    labels = index.labels[index.labels >= 0]
    counts = np.bincount(labels, minlength=len(class_names))
    dialogues = [slice(start, start + length) for start, length in zip(index.offsets, index.lengths, strict=True)]
    shifts = sum(int(emotion_shifts(index.labels[rows], index.speakers[rows]).sum()) for rows in dialogues)
    return SplitCard(
        dialogues=len(index),
        utterances=len(index.labels),
        unlabelled=len(index.labels) - len(labels),
        classes={name: int(count) for name, count in zip(class_names, counts, strict=True)},
        missing=missing,
        emotion_shifts=shifts,
        shortest=int(index.lengths.min()) if len(index) else 0,
        mean_length=float(index.lengths.mean()) if len(index) else 0.0,
        longest=int(index.lengths.max(initial=0)),
        speakers_per_dialogue=max((len(np.unique(index.speakers[rows])) for rows in dialogues), default=0),
    )
