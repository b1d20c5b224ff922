"""``dclf ablate``: what every part of the framework is worth, as the paper's Table 4 asks.

dclf ablate CONFIG [--seeds 5 --models mmgcn,ddin --parts no_cacl,no_mccl] [--section.key VALUE ...]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jsonargparse import ArgumentParser

from tune.commands.comparison import (
    ABLATION_OPTIONS,
    FLAGS,
    VALUED,
    comparison_parser,
    set_by_comparison,
    sound_comparison,
)
from tune.commands.options import add_log_options, listed
from tune.commands.request import StudyRequest, config_files
from tune.commands.sweep_options import CommandLine, read_command_line
from tune.comparisons import PARTS, ablation

EXAMPLES = """\
examples:
  dclf ablate iemocap --data.shards shards/iemocap --models mmgcn,ddin
  dclf ablate my.yaml --parts no_cacl,base --seeds 10 --name parts

Every variant is trained with the same seeds, chosen on validation and scored once on test. The table has means and
deviations, the difference to the whole framework with its 95 % interval, paired t-tests with Holm's correction, and the
paper's numbers where the configuration has them. Several base models share the configuration's
learning rate and sizes; the studies iemocap/table4 and meld/table4 (dclf study) give each its own, as the paper does.
Ctrl-C ends it cleanly; dclf resume goes on with it.
"""


def main(argv: Sequence[str]) -> int:
    """Run the ablations as the command line says, and return the exit code."""
    return read(argv).run()


def read(argv: Sequence[str]) -> StudyRequest:
    """Return what the command line asks for.

    Raises:
        ConfigError: with every mistake at once.
        SystemExit: help was asked for, or an option is wrong.
    """
    parser = build_parser("dclf ablate")
    add_log_options(parser)
    line = read_comparison(argv, parser, FLAGS)
    return StudyRequest("ablate", argv, line, config_files(line.options.config), {"kind": "ablation"})


def build_parser(prog: str) -> ArgumentParser:
    """Return a parser with the options of the command but for those on its output."""
    parser = comparison_parser(prog, "Train without parts of the framework, one at a time.", EXAMPLES)
    parser.add_argument(
        "--models",
        metavar="A,B",
        default="",
        help="base models, which share the configuration's values; its own if absent",
    )
    parser.add_argument(
        "--parts", metavar="A,B", default=",".join(PARTS), help="what to leave out, values of loss.ablate"
    )
    return parser


def read_comparison(argv: Sequence[str], parser: ArgumentParser, flags: Sequence[str]) -> CommandLine:
    """Return the comparison that a command line of these options describes.

    Raises:
        ConfigError: with every mistake at once.
    """
    line = read_command_line(argv, parser, flags, (*VALUED, "--models", "--parts"), values=False)
    models, names = listed(line.options.models), listed(line.options.parts)
    parts = [name for name in names if name in PARTS]
    settings = ablation(models=models, parts=parts, seeds=line.options.seeds, settings=line.settings)
    return sound_comparison(line, settings, [*set_by_comparison(argv), *_unknown(names)], ABLATION_OPTIONS)


def _unknown(parts: Sequence[str]) -> Iterator[str]:
    for part in parts:
        if part not in PARTS:
            yield f"--parts: must be among {', '.join(PARTS)}, has {part!r}"
