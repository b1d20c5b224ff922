"""Options that several commands share, and how results are printed."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, DefaultHelpFormatter

from dclf.prose import without_controls
from tune.config.defaults import PROGRESS_FORMS
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import preset_names

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

    from dclf.data import FeatureCard, Manifest


class HelpFormatter(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Types and defaults beside each option; descriptions and examples as they are written."""


class CommandParser(ArgumentParser):
    """Its help has no defaults that say nothing: null, empty, and false of an option without a value.

    Who asks for a command's parser rather than for its help gets it, see ``parser_of_help``.
    """

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Print the help, or hand the parser to whoever waits for it."""
        take = _taker.get()
        if take is None:
            super().print_help(file)
        else:
            take(self)

    def format_help(self, formatter: argparse.HelpFormatter | None = None) -> str:
        """The help as text."""
        return _EMPTY_DEFAULT.sub("", super().format_help(formatter))


_taker: ContextVar[Callable[[ArgumentParser], None] | None] = ContextVar("_taker", default=None)
_EMPTY_DEFAULT = re.compile(r"\s+\(default:\s+(null|False)?\)|,\s+default:\s+(null|\{\})?(?=\))")


def command_parser(prog: str, description: str, epilog: str = "") -> ArgumentParser:
    """Return a parser for one command, as yet without options."""
    return CommandParser(prog=prog, description=description, epilog=epilog, formatter_class=HelpFormatter)


def parser_of_help(ask: Callable[[], object]) -> ArgumentParser:
    """Return the parser whose help a call would print: a command's, with all that its help lists.

    Args:
        ask: runs the command with ``--help``.
    """
    parsers: list[ArgumentParser] = []
    token = _taker.set(parsers.append)
    try:
        ask()
    finally:
        _taker.reset(token)
    (parser,) = parsers
    return parser


def add_config_argument(parser: ArgumentParser) -> None:
    """Add ``CONFIG``, which a shell completes (``tune.commands.completion``) as a preset or a file."""
    presets = preset_names()
    text = f"YAML file, or a preset: {', '.join(presets)}; the defaults where absent"
    argument = parser.add_argument("config", nargs="?", help=text)
    function = "_dclf_preset_or_file"
    lines = (f'compgen -W "{" ".join(presets)}" -- "$1"', 'compgen -f -- "$1"')
    argument.complete = {
        "bash": function,
        "zsh": f"{{compadd -- {' '.join(presets)}; _files}}",
        "tcsh": "f",
        "preamble": {"bash": "\n  ".join((f"{function}() {{", *lines)) + "\n}"},
    }


def add_output_option(parser: ArgumentParser) -> None:
    """Add ``--output text|json``."""
    parser.add_argument(
        "--output", choices=("text", "json"), default="text", help="how the result is printed on stdout"
    )


def add_storage_option(parser: ArgumentParser) -> None:
    """Add ``--storage``, for commands that read studies; those that make them have it from their configuration."""
    parser.add_argument("--storage", metavar="FOLDER", default=SweepSettings.storage, help="folder of studies")


def add_uri_option(parser: ArgumentParser) -> None:
    """Add ``--uri``, of the store that has the runs."""
    parser.add_argument("--uri", default="", help="MLflow tracking URI; as track.uri of dclf train where absent")


def add_address_option(parser: ArgumentParser) -> None:
    """Add ``--address``, of the cluster that does the work."""
    parser.add_argument("--address", metavar="A", help="of a Ray cluster; RAY_ADDRESS, then a local Ray where absent")


def add_log_options(parser: ArgumentParser) -> None:
    """Add ``--log``, ``--quiet`` and ``--verbose``."""
    parser.add_argument(
        "--log", choices=PROGRESS_FORMS, default="auto", help="progress: live on a terminal, plain lines elsewhere"
    )
    parser.add_argument("--quiet", action="store_true", help="as --log quiet: the result only")
    parser.add_argument("--verbose", action="store_true", help="let Ray and MLflow speak too")


def add_overwrite_option(parser: ArgumentParser) -> None:
    """Add ``--overwrite``."""
    parser.add_argument("--overwrite", action="store_true", help="replace a shard set that is already there")


def print_written(out: str, manifest: Manifest) -> None:
    """Say what was written where."""
    utterances = sum(shard.utterances for shard in manifest.shards)
    splits = ", ".join(f"{count} {split}" for split, count in manifest.splits.items())
    print(f"{out}: {sum(manifest.splits.values())} dialogues ({splits}), {utterances} utterances")


def print_card_warnings(card: FeatureCard) -> None:
    """What is probably a mistake in shards, on stderr."""
    for warning in card.warnings:
        print(f"warning: {without_controls(warning)}", file=sys.stderr)


def listed(text: str) -> list[str]:
    """The parts of ``a, b,c``; empty ones do not count."""
    return [part.strip() for part in text.split(",") if part.strip()]


def print_json(result: Mapping[str, Any]) -> None:
    """Print a result as one line of JSON."""
    print(json.dumps(result, default=str), flush=True)
