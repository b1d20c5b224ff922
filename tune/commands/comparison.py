"""What commands that compare share: the options of a sweep without its search, its checks, and the name of shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from jsonargparse import ArgumentParser

from dclf.errors import UserError
from tune.commands.sweep_options import ALIASES, CommandLine, add_settings_help, sweep_parser
from tune.config.defaults import SEEDS
from tune.config.sweep_settings import SET_KEYS, SweepSettings
from tune.config.yaml_files import ConfigError

FLAGS = ("--help", "-h", "--quiet", "--verbose")
VALUED = ("--name", "--address", "--log", "--output", "--seeds")

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


@contextmanager
def told_with(mistakes: Sequence[str]) -> Iterator[None]:
    """Raise what the block refuses together with the mistakes on the command line, if there are any.

    Raises:
        ConfigError: with every mistake at once.
    """
    try:
        yield
    except UserError as error:
        if not mistakes:
            raise
        problems = error.problems if isinstance(error, ConfigError) else [str(error)]
        raise ConfigError(dict.fromkeys([*mistakes, *problems])) from error
    if mistakes:
        raise ConfigError(mistakes)


def sound_comparison(line: CommandLine, settings: SweepSettings, problems: Sequence[str] = ()) -> CommandLine:
    """Return the command line with the comparison's settings; refuse what cannot be run.

    Args:
        line: the command line.
        settings: of the comparison.
        problems: further mistakes.

    Raises:
        ConfigError: with every mistake at once.
    """
    # Imported here: help does not wait for Optuna.
    from tune.search.checks import sweep_problems  # noqa: PLC0415

    impossible = [*line.config.problems(), *sweep_problems(settings, line.config)]
    line = replace(line, settings=settings, problems=list(dict.fromkeys([*line.problems, *problems, *impossible])))
    line.require_sound()
    return line
