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
from tune.commands.sweep_options import Asked, add_settings_help, read_command_line, sweep_parser
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
    """Search as the command line says; the exit code."""
    if "--print-config" in argv:
        return _print_config(read_command_line(argv, parser(), FLAGS, VALUED, values=False))
    return read(argv).run()


def read(argv: Sequence[str]) -> StudyRequest:
    """What the command line asks for.

    Raises:
        ConfigError: with every mistake at once.
        SystemExit: help was asked for, or an option is wrong.
    """
    asked = read_command_line(argv, parser(), FLAGS, VALUED)
    asked.require_sound()
    return StudyRequest("sweep", argv, asked, config_files(asked.options.config))


def _print_config(asked: Asked) -> int:
    """The default space is spelt out: it is what one wants to change."""
    if asked.problems:
        raise ConfigError(asked.problems)
    from tune.search.checks import sweep_space  # noqa: PLC0415 - help does not wait for Optuna

    settings = replace(asked.settings, space=sweep_space(asked.settings, asked.config).spec)
    sys.stdout.write(f"{annotated_yaml(asked.config)}\n{annotated_sweep(settings)}")
    return 0


def parser() -> ArgumentParser:
    """The options of the command."""
    made = sweep_parser("dclf sweep", "Search configurations for the best validation score.", EXAMPLES)
    add_log_options(made)
    made.add_argument("--print-config", action="store_true", help="print the whole configuration as YAML and stop")
    add_settings_help(made)
    return made
