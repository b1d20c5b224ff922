"""Which data a study ran on, in words that nobody can mistake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dclf.config import Config
from dclf.data.errors import DataError
from dclf.data.manifest import Manifest, read_manifest
from dclf.data.presets import GENERATED
from dclf.paper_data import is_generated
from tune.study.definition import StudyDefinition

TEST_IS_WATCHED = (
    "warning: train.protocol paper looks at the test split after every epoch; epochs are still chosen on validation, "
    "and the sealed test scores are the ones to report"
)


@dataclass(frozen=True, kw_only=True)
class DatasetNote:
    """What is known of the data.

    Attributes:
        name: the manifest's name of it, or ``unknown``.
        sentence: which data it is, whether generated, and how large.
        warning: what is doubtful about that; empty where nothing is.
        sha256: hash of the shards when the study was created.
        generated: whether the dialogues are invented.
    """

    name: str
    sentence: str
    warning: str
    sha256: str
    generated: bool = False


def dataset_note(definition: StudyDefinition) -> DatasetNote:
    """Return ``shards_note`` of a study."""
    return shards_note(definition.base.data.shards, definition.shards_sha256)


def shards_note(shards: str, sha256: str = "") -> DatasetNote:
    """Read the manifest of shards; where it cannot be read, say so.

    Args:
        shards: folder or URI.
        sha256: hash of them when the study was created; empty where there is no study.
    """
    try:
        manifest = read_manifest(shards)
    except (DataError, OSError, ValueError) as error:
        sentence = f"The shards at {shards or 'no path'} could not be read when this report was written."
        return DatasetNote(name="unknown", sentence=sentence, warning=str(error), sha256=sha256)
    warning = ""
    if sha256 and manifest.sha256 != sha256:
        warning = f"The shards at {shards} have changed since the study was created: they now have another hash."
    name, generated = manifest.info.dataset, is_generated(manifest.info.dataset, manifest.info.provenance)
    sentence = f"{_kind(name, generated=generated)} {_size(manifest)}"
    return DatasetNote(name=name, sentence=sentence, warning=warning, sha256=sha256, generated=generated)


def _kind(name: str, *, generated: bool) -> str:
    if not generated:
        return f"Dataset {name}."
    if not name.startswith(GENERATED):
        return f"Generated dialogues that somebody calls {name}: invented, and no result on any real data."
    shaped = name.removeprefix(GENERATED).split("-")[0].upper()
    return (
        f"Generated dialogues ({name}), shaped like {shaped} but invented: the scores say nothing of {shaped} "
        "and must not be reported as results on it."
    )


def _size(manifest: Manifest) -> str:
    utterances = manifest.utterances
    parts = [f"{split} {count:,} ({utterances[split]:,})" for split, count in manifest.splits.items()]
    return f"Dialogues (utterances): {', '.join(parts)}."


def training_warnings(config: Config, card: Mapping[str, Any]) -> list[str]:
    """Return what is to be said before a configuration is trained on data.

    Args:
        config: the configuration.
        card: feature card of the shards.
    """
    warnings = [f"warning: {warning}" for warning in card["warnings"]]
    return [*warnings, TEST_IS_WATCHED] if config.train.looks_at_test else warnings
