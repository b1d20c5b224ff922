"""``dclf sweep``: search the configurations, and say which one is best on validation.

dclf sweep CONFIG [--section.key VALUE ...] [--trials N --time T ...]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from jsonargparse import ArgumentParser

from tune.commands.options import add_log_options
from tune.commands.reference import annotated_sweep, annotated_yaml
from tune.commands.request import StudyRequest, config_files
from tune.commands.sweep_options import CommandLine, add_settings_help, read_command_line, sweep_parser
from tune.config.yaml_files import ConfigError

EXAMPLES = """\
examples:
  dclf sweep iemocap --data.shards shards/iemocap --trials 50 --name gammas
  dclf sweep my.yaml --trials 0 --time 12h --sampler gp        the space is the section sweep.space of my.yaml
  dclf sweep my.yaml --trials 40 --seeds-per-trial 3 --scheduler none
  dclf sweep my.yaml --gpus-per-trial 0.25 --concurrency auto
  dclf sweep my.yaml --print-config > mine.yaml                a file to start from
  dclf plan sweep my.yaml --trials 50                          what would run, before it does

The searched metric is always a validation one. Progress goes to stderr, the result to stdout; its last line is the
best validation score, or with --output json one JSON object. Ctrl-C ends a sweep cleanly; dclf resume goes on with it.
"""
FLAGS = ("--help", "-h", "--quiet", "--verbose", "--print-config")
VALUED = ("--name", "--address", "--log", "--output")


def main(argv: Sequence[str]) -> int:
    """Search as the command line says, and return the exit code."""
    if "--print-config" in argv:
        return _print_config(read_command_line(argv, build_parser(), FLAGS, VALUED, values=False))
    return read(argv).run()


def read(argv: Sequence[str]) -> StudyRequest:
    """Return what the command line asks for.

    Raises:
        ConfigError: with every mistake at once.
        SystemExit: help was asked for, or an option is wrong.
    """
    line = read_command_line(argv, build_parser(), FLAGS, VALUED)
    line.require_sound()
    return StudyRequest("sweep", argv, line, config_files(line.options.config))


def _print_config(line: CommandLine) -> int:
    """Print the configuration; the default space is spelt out, as it is what one wants to change."""
    if line.problems:
        raise ConfigError(line.problems)
    from tune.search.checks import sweep_space  # noqa: PLC0415 - help does not wait for Optuna

    settings = replace(line.settings, space=sweep_space(line.settings, line.config).spec)
    sys.stdout.write(f"{annotated_yaml(line.config)}\n{annotated_sweep(settings)}")
    return 0


def build_parser() -> ArgumentParser:
    """Return a parser with the options of the command."""
    parser = sweep_parser("dclf sweep", "Search configurations for the best validation score.", EXAMPLES)
    add_log_options(parser)
    parser.add_argument("--print-config", action="store_true", help="print the whole configuration as YAML and stop")
    add_settings_help(parser)
    return parser
