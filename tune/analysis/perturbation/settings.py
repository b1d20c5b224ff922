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
        yield from self._corruption_problems()
        if not self.kinds and not self.corruptions:
            yield f"kinds: must be some of {kinds} where no modality is corrupted, are none"
        if self.split not in SCORED_SPLITS:
            yield f"split: must be one of {', '.join(SCORED_SPLITS)}, is {self.split!r}"
        for name, value, least in (("draws", self.draws, 1), ("seed", self.seed, 0)):
            if value < least:
                yield f"{name}: must be {least} or more, is {value}"

    def _corruption_problems(self) -> Iterator[str]:
        """What would be two conditions of one name, or two strengths in one column of a table."""
        shares: dict[tuple[str, str], list[float]] = {}
        strengths: dict[str, set[float]] = {}
        for one in self.corruptions:
            modalities = "+".join(sorted(one.modalities))
            shares.setdefault((one.damage, modalities), []).append(one.share)
            if one.damage == "noise":
                strengths.setdefault(modalities, set()).add(one.strength)
        for (damage, modalities), own in shares.items():
            if twice := sorted({share for share in own if own.count(share) > 1}):
                yield (
                    f"corruptions: must be named once each, {damage} in {modalities} at "
                    f"{', '.join(f'{100 * share:g} %' for share in twice)} comes twice; leave one out, or test another "
                    "seed or strength by itself"
                )
        for modalities, several in strengths.items():
            if len(several) > 1:
                yield (
                    f"corruptions: noise in {modalities} must be of one strength, is of "
                    f"{' and '.join(f'{strength:g}' for strength in sorted(several))}; test each by itself"
                )


def require_possible(settings: PerturbationSettings) -> None:
    """Raise ConfigError with every impossible value."""
    if problems := settings.problems():
        raise ConfigError(problems)


def require_modalities(settings: PerturbationSettings, modalities: Sequence[str], model: str) -> None:
    """Raise ConfigError where a corruption damages what a model does not read; see ``modality_problems``."""
    if problems := modality_problems(settings, modalities, model):
        raise ConfigError([f"corruptions: {problem}" for problem in problems])


def modality_problems(settings: PerturbationSettings, modalities: Sequence[str], model: str) -> list[str]:
    """What is wrong where a corruption damages what a model does not read.

    Args:
        settings: with the corruptions.
        modalities: that the model reads.
        model: what the message calls it.
    """
    damaged = dict.fromkeys(m for corruption in settings.corruptions for m in corruption.modalities)
    unread = [m for m in damaged if m not in modalities]
    return [f"must damage what {model} reads ({', '.join(modalities)}), name {', '.join(unread)}"] if unread else []
