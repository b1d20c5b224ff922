"""``dclf grid``: every combination of some values, as the paper's Table 5 and Figure 4 ask.

dclf grid CONFIG --section.key A,B,... [--section.key A,B,...] [--seeds 5] [--section.key VALUE ...]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jsonargparse import ArgumentParser

from tune.commands.comparison import (
    FLAGS,
    VALUED,
    comparison_parser,
    set_by_comparison,
    sound_comparison,
)
from tune.commands.options import add_log_options
from tune.commands.request import StudyRequest, config_files
from tune.commands.sweep_options import CommandLine, read_command_line
from tune.comparisons import grid
from tune.config.typed_values import from_text

EXAMPLES = """\
examples:
  dclf grid iemocap --data.shards shards/iemocap --loss.window 2,4,8,16
  dclf grid my.yaml --loss.gamma_ca 0.1,0.2,0.4,0.8 --loss.gamma_mc 0.1,0.2,0.4,0.8 --seeds 3 --name gammas

A key with several values, parted by commas, is varied; one with a single value is set for all. Every combination is
trained with the same seeds, chosen on validation and scored once on test. Combinations are compared with the
configuration itself where it is one of them. Lists are varied in brackets: --data.modalities "[text],[text,audio]".
Ctrl-C ends the work cleanly; dclf resume goes on with it.
"""

OPTIONS = {"sweep.space.": "--", "sweep.seeds": "--seeds"}
"""How a key that a grid sets begins -> how the option begins that it comes from."""


def main(argv: Sequence[str]) -> int:
    """Run the grid as the command line says, and return the exit code."""
    return read(argv).run()


def read(argv: Sequence[str]) -> StudyRequest:
    """Return what the command line asks for.

    Raises:
        ConfigError: with every mistake at once.
        SystemExit: help was asked for, or an option is wrong.
    """
    parser = build_parser("dclf grid")
    add_log_options(parser)
    line = read_comparison(argv, parser, FLAGS)
    return StudyRequest("grid", argv, line, config_files(line.options.config), {"kind": "grid"})


def build_parser(prog: str) -> ArgumentParser:
    """Return a parser with the options of the command but for those on its output."""
    return comparison_parser(prog, "Train every combination of values.", EXAMPLES)


def read_comparison(argv: Sequence[str], parser: ArgumentParser, flags: Sequence[str]) -> CommandLine:
    """Return the comparison that a command line of these options describes.

    Raises:
        ConfigError: with every mistake at once.
    """
    words, varied = varied_values(argv)
    line = read_command_line(words, parser, flags, VALUED, values=False)
    space = {key: {"choices": values} for key, values in varied.items()}
    settings = grid(space, seeds=line.options.seeds, settings=line.settings) if varied else line.settings
    nothing = [] if varied else ["grid: must vary a key, as in --loss.window 2,4,8,16; every key has one value"]
    keys = {word.partition("=")[0].removeprefix("--") for word in words}
    twice = [f"{key}: must be given once, has several values and more beside them" for key in varied if key in keys]
    return sound_comparison(line, settings, [*set_by_comparison(argv), *nothing, *twice], OPTIONS)


def varied_values(argv: Sequence[str]) -> tuple[list[str], dict[str, list[Any]]]:
    """Take ``--section.key A,B`` and ``--section.key=A,B`` out of a command line; of lists, ``[A],[A,B]``.

    Returns:
        The other words; dotted key -> its values.
    """
    rest: list[str] = []
    varied: dict[str, list[Any]] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        option, equals, value = word.partition("=")
        own = option.startswith("--") and "." in option
        if own and not equals and words:
            value = words[0]
        values = _values(value) if own and option[2:] not in varied else []
        if len(values) > 1:
            varied[option[2:]] = values
            words = words if equals else words[1:]
        else:
            rest.append(word)
    return rest, varied


def _values(text: str) -> list[Any]:
    """The values of ``A,B`` or, of lists, of ``[A],[A,B]``; a mapping is one."""
    if text.startswith("["):
        lists = from_text(f"[{text}]")
        return lists if isinstance(lists, list) else [text]
    return [text] if text.startswith("{") else [from_text(part) for part in text.split(",")]
