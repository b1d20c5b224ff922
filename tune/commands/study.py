"""``dclf study``: run a study file, one of the paper's or one's own.

dclf study FILE|DATASET/STUDY --data.shards SHARDS [--seeds 5 --models ddin,mmgcn] [--section.key VALUE ...]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser

from tune.commands.comparison import FLAGS, VALUED, set_by_comparison
from tune.commands.options import add_address_option, add_log_options, add_output_option, command_parser, listed
from tune.commands.overrides import told_with
from tune.commands.request import StudyRequest
from tune.commands.sweep_options import CommandLine, add_settings_help, options_and_overrides
from tune.config.sweep_settings import SET_KEYS

if TYPE_CHECKING:
    from tune.config.study_files import StudyFile

EXAMPLES = """\
examples:
  dclf study iemocap/table4 --data.shards shards/iemocap
  dclf study iemocap/table5 --data.shards shards/iemocap --models mmgcn --seeds 3 --train.epochs 30
  dclf study mine.yaml --data.shards shards/iemocap --name mine

A study file says which configurations are compared, with how many seeds, and what else is measured on them;
docs/comparisons.md describes it. Trainings that another study of the same storage has finished on these shards are
taken over and not repeated. Ctrl-C ends it cleanly; dclf resume goes on with it.
"""


def main(argv: Sequence[str]) -> int:
    """Run a study file as the command line says, and return the exit code."""
    return read(argv).run()


def read(argv: Sequence[str]) -> StudyRequest:
    """Return what the command line asks for.

    Raises:
        ConfigError: with every mistake at once.
        SystemExit: help was asked for, or an option is wrong.
    """
    parser = build_parser("dclf study")
    add_log_options(parser)
    return read_comparison(argv, parser, FLAGS)


def read_comparison(argv: Sequence[str], parser: ArgumentParser, flags: Sequence[str]) -> StudyRequest:
    """Return the comparison that a command line of these options describes.

    Raises:
        ConfigError: with every mistake at once.
    """
    options, overrides, mistakes = options_and_overrides(argv, parser, flags, (*VALUED, "--models"))
    # Imported here, so that help does not wait for Optuna.
    from tune.config.study_files import read_study_file  # noqa: PLC0415
    from tune.runner.variants import plan_study  # noqa: PLC0415

    models = listed(options.models)
    if options.seeds is not None and options.seeds < 1:
        mistakes.append(f"--seeds: must be at least 1, is {options.seeds}")
    with told_with([*mistakes, *set_by_comparison(argv)]):
        file, place = read_study_file(options.study), Path(options.study)
        planned = plan_study(file, overrides, seeds=options.seeds, models=models, beside=place)
        line = CommandLine(options, planned.config, planned.settings, planned.every_problem())
        line.require_sound()
    return StudyRequest("study", argv, line, _files(place, file), {"kind": "study", "described": planned.described})


def _files(place: Path, file: StudyFile) -> tuple[Path, ...]:
    """The study file, and the configurations beside it that it names; none for one of the paper's."""
    if not place.is_file():
        return ()
    names = [file.base, *(sets for sets in file.models.values() if isinstance(sets, str))]
    return (place, *(path for name in names if (path := place.parent / name).is_file()))


def build_parser(prog: str) -> ArgumentParser:
    """Return a parser with the options of the command but for those on its output."""
    # Imported here: so that other commands need not.
    from tune.config.study_files import shipped_studies  # noqa: PLC0415

    parser = command_parser(prog, "Run a study file: variants compared over shared seeds.", EXAMPLES)
    parser.usage = f"{prog} FILE --data.shards SHARDS [--section.key VALUE ...] [options]"
    parser.add_argument("study", help=f"YAML file, or one of the paper's: {', '.join(shipped_studies())}")
    parser.add_argument("--name", default="", help="of the study: letters, digits, dots, dashes, underscores")
    parser.add_argument("--seeds", type=int, help="trainings per variant; as the file says where absent")
    parser.add_argument("--models", metavar="A,B", default="", help="base models of the file to run; all where absent")
    add_address_option(parser)
    add_output_option(parser)
    add_settings_help(parser, without=SET_KEYS)
    return parser
