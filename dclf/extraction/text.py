"""Rows of words: any encoder of Hugging Face, from a folder or by its name on the hub."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from dclf.extraction.contract import ExtractionError, ExtractionWorkError, ExtractorSettings
from dclf.extraction.encoders import Located, check_identity, identity, is_hub_name, locate
from dclf.extraction.packages import missing_packages, require
from dclf.extraction.pooling import POOLINGS, pooling_files, pooling_of, pooling_paths, read_json

if TYPE_CHECKING:
    from dclf.extraction.text_encoder import TextEncoder

FINE_TUNING = Path("fine_tuning") / "facts.json"
"""Where a folder says how its encoder was fine-tuned here. Not directly in it, as it is no part of the identity."""

_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "*.codes")


@dataclass(frozen=True, kw_only=True)
class FineTuned:
    """How an encoder was fine-tuned here.

    Attributes:
        base_model: folder or name of the encoder that it started from.
        base_revision: commit of a name on the hub.
        base_identity: hash of that encoder's files.
        pooling: with which its rows were classified.
        max_tokens: that texts were cut to.
        data: what it has seen.
        utterances: number of labelled utterances that it has seen.
        classes: number of emotions.
        sha256: of those utterances and their labels.
        epochs: passes over them.
        learning_rate: highest.
        batch_size: utterances of a step.
        seed: of order, dropout and the layer that classifies.
    """

    base_model: str
    base_revision: str
    base_identity: str
    pooling: str
    max_tokens: int
    data: str = "training split only"
    utterances: int
    classes: int
    sha256: str
    epochs: int
    learning_rate: float
    batch_size: int
    seed: int

    def same_as(self, other: FineTuned) -> bool:
        """Whether both have the same result, wherever the encoder lay that they started from."""
        return replace(self, base_model="", base_revision="") == replace(other, base_model="", base_revision="")

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """The inverse of ``asdict``; ExtractionError where keys are missing or unknown."""
        keys = {field.name for field in fields(cls)}
        if wrong := keys.symmetric_difference(facts):
            raise ExtractionError(f"the facts of a fine-tuning must be {sorted(keys)}; wrong: {sorted(wrong)}")
        return cls(**facts)


@dataclass(frozen=True, kw_only=True)
class TextSettings(ExtractorSettings):
    """An encoder of words, and how its states become a row.

    Attributes:
        model: folder of an encoder with its tokenizer, or its name on the Hugging Face hub.
        revision: branch, tag or commit of a name on the hub; its main branch where empty.
        pooling: how tokens become a row: mean, cls (the first token), last4 (the mean of the last four layers' means),
            or own (what a folder of sentence-transformers says, else cls).
        max_tokens: longer texts are cut; 0 for as many as the encoder takes.
        fine_tuned: how the encoder was fine-tuned here; ``resolve`` finds it in the folder.
    """

    name: ClassVar[str] = "text"
    modality: ClassVar[str] = "text"
    reads: ClassVar[str] = "text"

    model: str
    revision: str = ""
    pooling: str = "own"
    max_tokens: int = 0
    fine_tuned: FineTuned | None = None

    @property
    def packages(self) -> tuple[str, ...]:
        """See ``ExtractorSettings``."""
        return ("transformers",)

    def problems(self) -> list[str]:
        """See ``ExtractorSettings``; whether the hub has a name is seen by ``resolve``."""
        problems = missing_packages(f"the text extractor {self.model}", ["transformers"])
        if self.pooling not in POOLINGS:
            problems.append(f"pooling must be one of {', '.join(POOLINGS)}, is {self.pooling!r}")
        if self.max_tokens < 0:
            problems.append(f"max_tokens must be 0 or more, is {self.max_tokens}")
        if not is_hub_name(self.model):
            try:
                locate(self.model, self.revision)
            except ExtractionError as error:
                problems.append(str(error))
        return problems

    def resolve(self) -> Self:
        """See ``ExtractorSettings``; a name on the hub is downloaded where it is not here, and gets its commit."""
        if problems := self.problems():
            raise ExtractionError("\n".join(problems))
        located = self._locate()
        pooling_of(self.pooling, located.folder)
        facts = read_json(located.folder / FINE_TUNING)
        return replace(
            self,
            model=located.model,
            revision=located.revision,
            identity=identity(located.folder, pooling_files(located.folder)),
            fine_tuned=FineTuned.from_facts(facts) if facts else None,
        )

    def load(self, device: str) -> TextEncoder:
        """See ``ExtractorSettings``."""
        require(f"the text extractor {self.model}", ["transformers"])
        from dclf.extraction.text_encoder import open_text_encoder  # noqa: PLC0415 - imports torch

        located = self._locate()
        check_identity(located.folder, self.identity, pooling_files(located.folder))
        return open_text_encoder(located.folder, self.pooling, self.max_tokens, device)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """See ``ExtractorSettings``."""
        settings = super().from_facts(facts)
        fine_tuning = facts.get("fine_tuned")
        return replace(settings, fine_tuned=FineTuned.from_facts(fine_tuning)) if fine_tuning else settings

    def fingerprint(self) -> str:
        """See ``ExtractorSettings``: ``identity`` stands for the encoder, wherever it lies and came from."""
        depends = {"extractor": self.name, "identity": self.identity, "pooling": self.pooling}
        text = json.dumps({**depends, "max_tokens": self.max_tokens}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _locate(self) -> Located:
        """The encoder on this machine, with the files that say how its rows are made."""
        located = locate(self.model, self.revision)
        _check_vocabulary(located.folder)
        if located.revision and (paths := pooling_paths(located.folder)):
            from huggingface_hub import snapshot_download  # noqa: PLC0415

            try:
                snapshot_download(self.model, revision=located.revision, allow_patterns=paths)
            except Exception as error:  # see encoders.locate
                raise ExtractionWorkError(
                    f"the hub does not give {', '.join(paths)} of {self.model}: {error}"
                ) from error
        return located


def _check_vocabulary(folder: Path) -> None:
    """Raise ExtractionError where no file has a vocabulary: transformers would make up a tokenizer without words."""
    if not any(path.is_file() for pattern in _VOCABULARIES for path in folder.glob(pattern)):
        raise ExtractionError(
            f"the folder of an encoder of words must hold its tokenizer ({', '.join(_VOCABULARIES)}), {folder} does "
            "not; save it there with the tokenizer's save_pretrained"
        )


def write_fine_tuned(folder: Path, facts: FineTuned) -> None:
    """Say in a folder how its encoder was fine-tuned."""
    path = folder / FINE_TUNING
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(asdict(facts), indent=2) + "\n", encoding="utf-8")
