"""``dclf completion``: a script for a shell that completes the command's words.

The script is made from the parsers that print the helps, and holds all of their words: completing starts no Python.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

from tune.commands.options import command_parser, parser_of_help

SHELLS = ("bash", "zsh", "tcsh")
EXAMPLES = """\
examples:
  eval "$(dclf completion bash)"                                                    for this shell
  mkdir -p ~/.local/share/bash-completion/completions                               for every bash
  dclf completion bash > ~/.local/share/bash-completion/completions/dclf
  mkdir -p ~/.zsh && dclf completion zsh > ~/.zsh/_dclf                             a folder of fpath
  dclf completion tcsh > ~/.dclf.tcsh                                               source it in ~/.tcshrc

Commands, options, keys of the configuration and their choices are completed, and files elsewhere. The words are those
of this version: print the script again after an update.
"""


def main(argv: Sequence[str]) -> int:
    """Print the script, and return the exit code."""
    parser = command_parser("dclf completion", "Print a script that completes the words of dclf in a shell.", EXAMPLES)
    parser.add_argument("shell", choices=SHELLS, help="for this shell")
    sys.stdout.write(f"{completion_script(parser.parse_args(argv).shell)}\n")
    return 0


def completion_script(shell: str) -> str:
    """Return the script for one of ``SHELLS``."""
    import shtab  # noqa: PLC0415 - as everywhere, help does not wait

    program = argparse.ArgumentParser("dclf")
    program.add_argument("--version", action="store_true", help="print the version")
    _add_commands(program, [])
    script: str = shtab.complete(program, shell)
    # bash and tcsh complete files where nothing else is; zsh where a script says so.
    return re.sub(r':"$', ':_files"', script, flags=re.MULTILINE) if shell == "zsh" else script


def _add_commands(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Add the commands below a command to its parser, with theirs."""
    from tune.commands.command_page import commands_below, help_text  # noqa: PLC0415 - it brings every group

    group = parser.add_subparsers()
    for name in commands_below(words):
        path = [*words, name]
        if commands_below(path):
            about = help_text(path).split("\n\n")[1]
            _add_commands(group.add_parser(name, help=about, description=about), path)
        else:
            _add_command(group, path)


def _add_command(group: Any, words: Sequence[str]) -> None:
    """Add the parser of a command, with the keys of the configuration where its usage has them."""
    from tune.commands.main import main as run  # noqa: PLC0415 - it is what lists this command

    own = parser_of_help(lambda: run([*words, "--help"]))
    about = (own.description or "").partition("\n")[0]
    parser = group.add_parser(
        words[-1], parents=[own], add_help=False, conflict_handler="resolve", help=about, description=about
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    if "--section.key" in own.format_usage():
        for key, choices, meaning in _keys(searched=words != ["train"]):
            parser.add_argument(f"--{key}", choices=choices or None, help=meaning)


def _keys(*, searched: bool) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Each key of the configuration with the values it can have, where they are few, and its meaning.

    Args:
        searched: with those of the section ``sweep``.
    """
    from dclf.models import BASE_MODELS  # noqa: PLC0415
    from tune.commands.reference import field_docs  # noqa: PLC0415
    from tune.config.settings import config_types  # noqa: PLC0415
    from tune.search.read import sweep_types  # noqa: PLC0415

    meanings = field_docs()
    for key, kind in {**config_types(), **(sweep_types() if searched else {})}.items():
        choices = (*BASE_MODELS.shipped,) if key == "model.name" else _choices(kind)
        yield key, choices, meanings.get(key, "").replace("%", "%%")


def _choices(kind: Any) -> tuple[str, ...]:
    """The values of a type; none where they are not few."""
    if kind is bool:
        return ("true", "false")
    return (*map(str, get_args(kind)),) if get_origin(kind) is Literal else ()
