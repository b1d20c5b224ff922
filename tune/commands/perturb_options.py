"""Reads the words on the command line of ``dclf perturb`` into the settings of the tests and of their actors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast, get_args

from jsonargparse import Namespace

from cluster.actors import ActorSettings
from dclf.modalities import MODALITIES
from dclf.perturb import SHARES, Corruption, Kind
from dclf.perturb.corruption import Damage
from tune.analysis.perturbation.settings import PerturbationSettings

NONE = "none"
DAMAGES: tuple[str, ...] = get_args(Damage)
_ACTOR_OPTIONS = {"gpus:": "--gpus-per-model:", "actors:": "--at-a-time:"}
FORM = "MODALITY:missing or MODALITY:noise, with :PERCENT for one share alone, as in text:noise,audio:missing:50"


def read_settings(options: Namespace) -> tuple[PerturbationSettings, list[str]]:
    """Return the settings that the options ask for, and every impossible value."""
    corruptions, problems = read_corruptions(options.corrupt, options.seed)
    settings = PerturbationSettings(
        kinds=_kinds(options.kinds),
        draws=options.draws,
        split=options.split,
        seed=options.seed,
        corruptions=tuple(corruptions),
    )
    problems += [f"--{problem.replace('corruptions:', 'corrupt:')}" for problem in settings.problems()]
    if "://" in options.out:
        problems.append(f"--out: must be a folder on this machine, is {options.out}")
    return settings, problems


def read_actors(options: Namespace) -> tuple[ActorSettings, list[str]]:
    """Return where the tests are done, and every impossible value."""
    actors = ActorSettings(
        address=options.address, actors=options.at_a_time, gpus=options.gpus_per_model, verbose=options.verbose
    )
    parts = [problem.partition(" ") for problem in actors.problems()]
    return actors, [f"{_ACTOR_OPTIONS[name]} {problem}" for name, _, problem in parts]


def _kinds(text: str) -> tuple[Kind, ...]:
    """``eccs,eics``; ``none`` is no kind. What the words mean is checked with the other settings."""
    return () if text.strip() == NONE else tuple(cast("Kind", word) for word in _words(text))


def read_corruptions(text: str, seed: int) -> tuple[list[Corruption], list[str]]:
    """``text:noise,audio:missing:50`` as corruptions, and what is wrong with the words.

    Args:
        text: parts with a comma between them; a part without percent stands for 10, 20 .. 90 %.
        seed: of masks and noise.
    """
    corruptions: list[Corruption] = []
    problems: list[str] = []
    for word in () if text.strip() == NONE else _words(text):
        modality, _, damage = word.partition(":")
        damage, *rest = damage.split(":")
        wrong = list(_problems(modality, damage, rest))
        problems += [f"--corrupt {word}: {problem}; write {FORM}" for problem in wrong]
        if not wrong:
            corruptions += _corruptions(modality, cast("Damage", damage), rest, seed)
    return corruptions, problems


def _corruptions(modality: str, damage: Damage, rest: list[str], seed: int) -> Iterator[Corruption]:
    for share in [int(percent) / 100 for percent in rest] or SHARES:
        yield Corruption(damage=damage, modalities=(modality,), share=share, seed=seed)


def _problems(modality: str, damage: str, rest: list[str]) -> Iterator[str]:
    if modality not in MODALITIES:
        yield f"the modality must be one of {', '.join(MODALITIES)}, is {modality!r}"
    if damage not in DAMAGES:
        yield f"the damage must be one of {', '.join(DAMAGES)}, is {damage or 'absent'}"
    if len(rest) > 1:
        yield f"must have two or three parts, has {2 + len(rest)}"
    elif rest and not (rest[0].isdecimal() and 1 <= int(rest[0]) <= 100):
        yield f"the percent must be a whole number from 1 to 100, is {rest[0] or 'absent'}"


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]
