"""What commands that compare share: the options of a sweep without its search, its checks, and the name of shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from jsonargparse import ArgumentParser

from tune.commands.sweep_options import ALIASES, CommandLine, add_settings_help, sweep_parser
from tune.config.defaults import SEEDS
from tune.config.sweep_settings import SET_KEYS, SweepSettings
from tune.config.typed_values import place_of

FLAGS = ("--help", "-h", "--quiet", "--verbose")
VALUED = ("--name", "--address", "--log", "--output", "--seeds")

ABLATION_OPTIONS = {
    "sweep.space.model.name": "--models",
    "sweep.space.loss.ablate": "--parts",
    "sweep.seeds": "--seeds",
}
"""How a key that an ablation sets begins -> the option that it comes from."""

SHARDS, SHARDS_KEY = "--shards", "data.shards"
"""The short name of the shards in commands that take no file, and the key that it stands for."""


def add_shards_option(parser: ArgumentParser) -> None:
    """Add ``--shards``, which ``with_shards_key`` reads."""
    parser.add_argument(
        SHARDS, dest=f"alias_{SHARDS_KEY}", metavar="DIR", help=f"folder or URI of shards [{SHARDS_KEY}]"
    )


def with_shards_key(argv: Sequence[str]) -> list[str]:
    """Return the words with ``--data.shards`` for ``--shards``."""
    return [f"--{SHARDS_KEY}{word.removeprefix(SHARDS)}" if word.partition("=")[0] == SHARDS else word for word in argv]


def comparison_parser(prog: str, description: str, epilog: str) -> ArgumentParser:
    """Return a parser with the options of both commands, and of ``dclf plan`` for them."""
    parser = sweep_parser(prog, description, epilog)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="trainings per variant, the same for all")
    add_settings_help(parser, without=SET_KEYS)
    return parser


def set_by_comparison(argv: Sequence[str]) -> list[str]:
    """Return a problem for every option that only a search has."""
    options = [word.partition("=")[0] for word in argv if word.startswith("--")]
    return [
        f"{option}: is for searches; a comparison trains every variant to its end with --seeds seeds, leave it out"
        for option in options
        if ALIASES.get(option, option[2:]) in SET_KEYS
    ]


def sound_comparison(
    line: CommandLine, settings: SweepSettings, problems: Sequence[str], options: Mapping[str, str]
) -> CommandLine:
    """Return the command line with the comparison's settings; refuse what cannot be run.

    Args:
        line: the command line.
        settings: of the comparison.
        problems: further mistakes.
        options: how a key that the comparison sets begins -> how the option begins that it comes from.

    Raises:
        ConfigError: with every mistake at once.
    """
    line = replace(line, settings=settings)
    impossible = impossible_values(line, options)
    line = replace(line, problems=list(dict.fromkeys([*line.problems, *problems, *impossible])))
    line.require_sound()
    return line


def impossible_values(line: CommandLine, options: Mapping[str, str]) -> list[str]:
    """What is impossible in a comparison, each mistake with the option or the file and line that it comes from.

    Args:
        line: the command line, with the comparison's settings.
        options: as for ``sound_comparison``.
    """
    # Imported here: help does not wait for Optuna.
    from tune.search.checks import sweep_problems  # noqa: PLC0415

    return [
        _at_its_source(problem, line.places, options)
        for problem in [*line.config.problems(), *sweep_problems(line.settings, line.config)]
    ]


def _at_its_source(problem: str, places: Mapping[str, str], options: Mapping[str, str]) -> str:
    for key, option in options.items():
        if problem.startswith(key):
            return f"{option}{problem.removeprefix(key)}"
    return f"{place_of(problem.partition(': ')[0], places)}{problem}"
