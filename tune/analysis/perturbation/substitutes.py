"""Substituted contexts as files, so that every model meets the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dclf.perturb import (
    Kind,
    Labelled,
    Substitutions,
    fingerprint,
    read_substitutions,
    substitute_context,
    write_substitutions,
)


@dataclass(frozen=True, kw_only=True)
class Substitutes:
    """The draws of one split and seed, a file each, drawn once.

    Attributes:
        folder: of the files.
        split: whose dialogues they are for.
        seed: of the suite.
    """

    folder: Path
    split: str
    seed: int

    def file(self, kind: str, draw: int) -> Path:
        """Return where a draw is kept."""
        return self.folder / f"{self.split}-{kind}-seed{self.seed}-draw{draw}.arrow"

    def draw(self, targets: Labelled, pool: Labelled, kind: Kind, draw: int) -> Substitutions:
        """Return the stored draw, drawn and stored where it is not there yet.

        Args:
            targets: all dialogues of the split, or their index.
            pool: those of the training split, or their index.
            kind: of substitution.
            draw: its number.

        Raises:
            ValueError: the file is damaged or speaks of other dialogues, or an emotion has no replacement.
            OSError: it cannot be written.
        """
        file = self.file(kind, draw)
        if file.exists():
            stored = read_substitutions(file)
            if _identity(stored) != (kind, self.seed, draw, fingerprint(pool), *_dialogues(targets)):
                raise ValueError(
                    f"{file}: must hold draw {draw} of {kind} with seed {self.seed} for the {self.split} split of "
                    "these shards, holds another; delete it and it is drawn again"
                )
            return stored
        substitutions = substitute_context(targets, pool, kind, seed=self.seed, draw=draw)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_substitutions(substitutions, file)
        return substitutions


def _identity(draw: Substitutions) -> tuple[object, ...]:
    return (draw.kind, draw.seed, draw.draw, draw.pool, *_dialogues(draw))


def _dialogues(of: Substitutions | Labelled) -> tuple[object, ...]:
    return of.dialogue_ids, of.lengths.tolist()
