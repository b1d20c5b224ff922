"""Finds the function of a command without importing the others, so that help is instant."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from dclf import __version__
from dclf.prose import suggestion


@dataclass(frozen=True)
class Command:
    """One command of a group.

    Attributes:
        summary: one line for the group's help.
        target: ``module:function``; the function takes the remaining arguments and gives the exit code.
    """

    summary: str
    target: str

    def load(self) -> Callable[[Sequence[str]], int]:
        """Import the command's module and return its function."""
        module, _, name = self.target.partition(":")
        function: Callable[[Sequence[str]], int] = getattr(import_module(module), name)
        return function


def dispatch(
    prog: str, description: str, commands: Mapping[str, Command], argv: Sequence[str], *, epilog: str = ""
) -> int:
    """Run the command that the first argument names.

    Args:
        prog: how the group is called, such as ``dclf data``.
        description: what the group is for.
        commands: name -> command.
        argv: arguments after ``prog``.
        epilog: examples for the help.

    Raises:
        SystemExit: with 0 for help and version, with 2 where no command is named.
    """
    parser = argparse.ArgumentParser(
        prog=prog, description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"dclf {__version__}")
    group = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in commands.items():
        group.add_parser(name, help=command.summary, add_help=False)
    if not argv or not (argv[0].startswith("-") or argv[0] in commands):
        parser.error(_problem(argv, commands))
    choice = parser.parse_args(argv[:1]).command
    return commands[choice].load()(argv[1:])


def _problem(argv: Sequence[str], commands: Mapping[str, Command]) -> str:
    """Return what is wrong with the command: it is missing, or unknown and perhaps another one is meant."""
    choices = f" (choose from {', '.join(commands)})"
    if not argv:
        return f"a command is missing{choices}"
    matches = [name for name in commands if len(argv[0]) > 1 and name.startswith(argv[0])]
    hint = f"; did you mean {matches[0]}?" if len(matches) == 1 else suggestion(argv[0], commands)
    return f"unknown command {argv[0]!r}{hint or choices}"
