"""The settings of a perturbation test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dclf.field_kinds import kind_problems, with_defaults
from dclf.modalities import SCORED_SPLITS
from dclf.perturb import KINDS, Corruption, Kind
from tune.config.yaml_files import ConfigError


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

    kinds: tuple[Kind, ...] = KINDS
    draws: int = 5
    split: str = "test"
    seed: int = 0
    corruptions: tuple[Corruption, ...] = ()

    def problems(self) -> list[str]:
        """Return every impossible value, each one line."""
        wrong = kind_problems(self, "")
        sound: PerturbationSettings = with_defaults(self, wrong)
        return [*wrong.values(), *sound._problems()]

    def _problems(self) -> Iterator[str]:
        kinds = ", ".join(KINDS)
        for kind in self.kinds:
            if kind not in KINDS:
                yield f"kinds: must be some of {kinds}, {kind!r} is none; leave it out or correct it"
        if len(set(self.kinds)) < len(self.kinds):
            yield f"kinds: must be named once each, are {', '.join(self.kinds)}"
        if len(set(self.corruptions)) < len(self.corruptions):
            yield "corruptions: must be named once each, one comes twice; leave it out"
        if not self.kinds and not self.corruptions:
            yield f"kinds: must be some of {kinds} where no modality is corrupted, are none"
        if self.split not in SCORED_SPLITS:
            yield f"split: must be one of {', '.join(SCORED_SPLITS)}, is {self.split!r}"
        for name, value, least in (("draws", self.draws, 1), ("seed", self.seed, 0)):
            if value < least:
                yield f"{name}: must be {least} or more, is {value}"


def require_possible(settings: PerturbationSettings) -> None:
    """Raise ConfigError with every impossible value."""
    if problems := settings.problems():
        raise ConfigError(problems)


def require_modalities(settings: PerturbationSettings, modalities: Sequence[str], model: str) -> None:
    """Raise ConfigError where a corruption damages what a model does not read.

    Args:
        settings: with the corruptions.
        modalities: that the model reads.
        model: what the message calls it.
    """
    damaged = dict.fromkeys(m for corruption in settings.corruptions for m in corruption.modalities)
    if lacking := [m for m in damaged if m not in modalities]:
        raise ConfigError(
            [f"corruptions: must damage what {model} reads ({', '.join(modalities)}), name {', '.join(lacking)}"]
        )
