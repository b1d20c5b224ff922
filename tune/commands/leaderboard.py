"""``dclf leaderboard``: every base model without and with DCLF, each from its own preset, in one table.

dclf leaderboard --shards SHARDS [--models all --seeds 5 --draws 5] [--section.key VALUE ...]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser

from tune.commands.comparison import (
    FLAGS,
    SHARDS,
    SHARDS_KEY,
    VALUED,
    add_shards_option,
    set_by_comparison,
    with_shards_key,
)
from tune.commands.options import add_address_option, add_log_options, add_output_option, command_parser, listed
from tune.commands.overrides import told_with
from tune.commands.sweep_options import CommandLine, add_settings_help, options_and_overrides, require_local_room
from tune.commands.sweep_results import run_study
from tune.config.defaults import SEEDS
from tune.config.sweep_settings import SET_KEYS
from tune.config.yaml_files import ConfigError

if TYPE_CHECKING:
    from tune.commands.job_words import JobCommand
    from tune.progress.renderer import Renderer
    from tune.runner.named_study import NamedStudy
    from tune.studies import Study

EXAMPLES = """\
examples:
  dclf leaderboard --shards shards/iemocap
  dclf leaderboard --shards shards/meld --models mmgcn,dialogue_rnn,mymodels:Mine --seeds 3 --draws 0
  dclf leaderboard --shards shards/iemocap --train.epochs 20 --data.modalities text
  dclf leaderboard --shards shards/emorynlp --preset-family meld

Every model is trained with what its preset for the data set says, without DCLF and with it, over the same seeds, chosen
on validation and scored once on test. Keys such as --train.epochs hold for all of them. The table has scores with
paired t-tests, Holm's correction over the models, emotion shift, the EICS drop, costs, and what was published.
Ctrl-C ends it cleanly; the same command goes on with it, and of a finished one draws the page again.
"""
OWN_VALUED = (*VALUED, "--models", "--draws", "--preset-family")


def main(argv: Sequence[str]) -> int:
    """Run the leaderboard as the command line says, and return the exit code."""
    return read(argv).run()


def read(argv: Sequence[str]) -> LeaderboardRequest:
    """Return what the command line asks for.

    Raises:
        ConfigError: with every mistake at once.
        SystemExit: help was asked for, or an option is wrong.
    """
    parser = build_parser("dclf leaderboard")
    add_log_options(parser)
    return read_comparison(argv, parser, FLAGS)


def read_comparison(argv: Sequence[str], parser: ArgumentParser, flags: Sequence[str]) -> LeaderboardRequest:
    """Return the leaderboard that a command line of these options describes.

    Raises:
        ConfigError: with every mistake at once.
    """
    words = with_shards_key(argv)
    options, overrides, mistakes = options_and_overrides(words, parser, flags, OWN_VALUED)
    mistakes += set_by_comparison(words)
    shards = overrides.pop(SHARDS_KEY, "")
    if not shards:
        mistakes.append(f"{SHARDS}: must name the folder of shards, is missing")
        raise ConfigError(mistakes)
    # Imported here, so that help does not wait for Optuna.
    from tune.runner.leaderboard_plan import plan_leaderboard  # noqa: PLC0415

    with told_with(mistakes):
        plan = plan_leaderboard(
            shards,
            models=listed(options.models),
            seeds=options.seeds,
            draws=options.draws,
            preset_family=options.preset_family,
            overrides=overrides,
            name=options.name,
        )
    options.name = plan.name
    return LeaderboardRequest(argv, CommandLine(options, plan.planned.config, plan.planned.settings), plan)


@dataclass(frozen=True)
class LeaderboardRequest:
    """A leaderboard, new or begun by an earlier call.

    Attributes:
        arguments: of the command.
        command_line: what they say.
        plan: the study.
    """

    arguments: Sequence[str]
    command_line: CommandLine
    plan: NamedStudy

    def run(self) -> int:
        """Run what is not done yet and print the table, and return the exit code.

        Raises:
            TrialPlanError: this machine has no room for it.
        """
        from tune.leaderboards import leaderboard  # noqa: PLC0415 - help does not wait for it

        options = self.command_line.options
        if self.plan.existing_folder() is None:
            require_local_room(self.command_line)

        def work(renderer: Renderer) -> Study:
            return leaderboard(self.plan, listeners=[renderer], verbose=options.verbose, address=options.address)

        return run_study(work, options)

    def job(self, _study: str) -> JobCommand:
        """See ``tune.commands.request.Request``."""
        from tune.commands.job_words import study_job  # noqa: PLC0415 - it brings Ray

        return study_job("leaderboard", self.arguments, self.command_line, "", shards=SHARDS)


def build_parser(prog: str) -> ArgumentParser:
    """Return a parser with the options of the command but for those on its output."""
    parser = command_parser(prog, "Train base models without and with DCLF, each from its own preset.", EXAMPLES)
    parser.usage = f"{prog} --shards SHARDS [--section.key VALUE ...] [options]"
    add_shards_option(parser)
    parser.add_argument(
        "--models",
        metavar="A,B",
        default="all",
        help="base models; all stands for those that ship and have a preset for the data set",
    )
    parser.add_argument("--seeds", type=int, default=SEEDS, help="trainings per variant, the same for all")
    parser.add_argument("--draws", type=int, default=5, help="of replaced contexts (EICS) for each model; 0 for none")
    parser.add_argument(
        "--preset-family",
        metavar="A",
        default="",
        help="iemocap or meld: whose presets are taken; as the data are called where absent",
    )
    parser.add_argument("--name", default="", help="of the study; made of all that it trains where absent")
    add_address_option(parser)
    add_output_option(parser)
    add_settings_help(parser, without=SET_KEYS)
    return parser
