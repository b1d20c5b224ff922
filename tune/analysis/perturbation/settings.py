"""What a perturbation test is asked to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dclf.config import number_problems
from dclf.perturb import KINDS, Corruption, Kind

SPLITS = ("val", "test")
SUBSTITUTIONS: tuple[Kind, ...] = ("eccs", "eics")


@dataclass(frozen=True, kw_only=True)
class PerturbationSettings:
    """What a model has to go through.

    Attributes:
        kinds: of substitution: eccs (contexts of the same emotions), eics (of other emotions), both by default.
        draws: of each kind; mean and deviation are taken over them.
        split: whose utterances are scored, val or test; replacements come from the training split.
        seed: of the substitutions; models that share it meet the same ones.
        corruptions: missing and noisy modalities beside the substitutions, as ``dclf.perturb.corruptions`` gives them.
    """

    kinds: tuple[Kind, ...] = SUBSTITUTIONS
    draws: int = 5
    split: str = "test"
    seed: int = 0
    corruptions: tuple[Corruption, ...] = ()

    def problems(self) -> list[str]:
        """Every impossible value, each one line."""
        return list(self._problems())

    def _problems(self) -> Iterator[str]:
        known = ", ".join(KINDS)
        for kind in self.kinds:
            if kind not in KINDS:
                yield f"kinds: must be some of {known}, {kind!r} is none; leave it out or correct it"
        if len(set(self.kinds)) < len(self.kinds):
            yield f"kinds: must be named once each, are {', '.join(self.kinds)}"
        if len(set(self.corruptions)) < len(self.corruptions):
            yield "corruptions: must be named once each, one comes twice; leave it out"
        if not self.kinds and not self.corruptions:
            yield f"kinds: must be some of {known} where no modality is corrupted, are none"
        if self.split not in SPLITS:
            yield f"split: must be one of {', '.join(SPLITS)}, is {self.split!r}"
        numbers = list(number_problems(self, ""))
        yield from numbers
        for name, value, least in (("draws", self.draws, 1), ("seed", self.seed, 0)):
            if not numbers and value < least:
                yield f"{name}: must be {least} or more, is {value}"
