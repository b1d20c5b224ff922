"""What ``dclf ablate`` and ``dclf grid`` share: the options of a sweep without its search, and its checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jsonargparse import ArgumentParser

from tune.commands.sweep_options import ALIASES, Asked, add_settings_help, sweep_parser
from tune.comparisons import SEEDS
from tune.config.sweep_settings import SweepSettings

FLAGS = ("--help", "-h", "--quiet", "--verbose")
VALUED = ("--name", "--address", "--log", "--output", "--seeds")
_SET = ("trials", "time", "sampler", "scheduler", "seeds", "space", "test", "start_points", "warm_start")
SET_KEYS = tuple(f"sweep.{name}" for name in _SET)
"""Keys of a sweep that a comparison decides: every variant is trained to its end, with every seed."""


def comparison_parser(prog: str, description: str, epilog: str) -> ArgumentParser:
    """The options that both commands take, and ``dclf plan`` for them."""
    made = sweep_parser(prog, description, epilog)
    made.add_argument("--seeds", type=int, default=SEEDS, help="trainings per variant, the same for all")
    add_settings_help(made, without=SET_KEYS)
    return made


def set_by_comparison(argv: Sequence[str]) -> list[str]:
    """What is wrong with options of a search, which a comparison is not."""
    options = [word.partition("=")[0] for word in argv if word.startswith("--")]
    return [
        f"{option}: is for searches; a comparison trains every variant to its end with --seeds seeds, leave it out"
        for option in options
        if ALIASES.get(option, option[2:]) in SET_KEYS
    ]


def sound_comparison(asked: Asked, settings: SweepSettings, problems: Sequence[str] = ()) -> Asked:
    """The command line with the comparison's settings; what cannot be run is refused.

    Args:
        asked: the command line.
        settings: of the comparison.
        problems: further mistakes.

    Raises:
        ConfigError: with every mistake at once.
    """
    # Imported here: help does not wait for Optuna.
    from tune.search.checks import sweep_problems  # noqa: PLC0415

    known = list(dict.fromkeys([*asked.problems, *problems]))
    if not known:
        known = [*asked.config.problems(), *sweep_problems(settings, asked.config)]
    asked = replace(asked, settings=settings, problems=known)
    asked.require_sound()
    return asked
