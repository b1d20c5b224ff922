"""``dclf resume``: go on with a study that was cut short, or give a finished one a larger budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from dclf.data.storage import absolute
from tune.commands.options import (
    add_address_option,
    add_log_options,
    add_output_option,
    add_storage_option,
    command_parser,
)
from tune.commands.sweep_results import run_study
from tune.config.yaml_files import ConfigError
from tune.progress.renderer import Renderer
from tune.study.folder import StudyFolder

if TYPE_CHECKING:
    from tune.commands.job_words import JobCommand
    from tune.studies import Study

EXAMPLES = """\
examples:
  dclf resume gammas
  dclf resume gammas --trials 100                    a larger budget than it had
  dclf resume gammas --storage /shared/studies       on another machine with the same folder of studies

Finished trials are not run again, running ones go on from their last epoch. A study keeps its own configuration.
"""


def main(argv: Sequence[str]) -> int:
    """Resume as the command line says, and return the exit code."""
    return read(argv).run()


def read(argv: Sequence[str]) -> ResumeRequest:
    """Return what the command line asks for.

    Raises:
        ConfigError: with every mistake at once.
        SystemExit: help was asked for, or an option is wrong.
    """
    options = build_parser().parse_args(argv)
    if problems := _problems(options.trials, options.time):
        raise ConfigError(problems)
    return ResumeRequest(argv, options)


@dataclass(frozen=True)
class ResumeRequest:
    """A study to go on with.

    Attributes:
        arguments: of the command.
        options: its options.
    """

    arguments: Sequence[str]
    options: Namespace

    def run(self) -> int:
        """Go on with it and print what it came to, and return the exit code."""
        return _resume(self.options)

    def job(self, _study: str) -> JobCommand:
        """See ``tune.commands.request.Request``."""
        from cluster.jobs.node_check import Needs  # noqa: PLC0415 - it brings Ray
        from tune.commands.job_words import JobCommand, with_values  # noqa: PLC0415

        name, storage = self.options.name, absolute(self.options.storage)
        words = ("resume", *with_values(self.arguments, {"storage": storage}))
        if not Path(storage).is_dir():  # seen by the cluster alone: the job looks into it
            return JobCommand(words, name, Needs(storages={"storage": storage}), again=words)
        config = StudyFolder.open(storage, name).definition.base
        needs = Needs((absolute(config.data.shards),), {"storage": storage})
        return JobCommand(words, name, needs, config.track.uri, again=words)


def _resume(options: Namespace) -> int:
    # An unknown study is told before Ray and MLflow are imported.
    StudyFolder.open(options.storage, options.name)

    def work(renderer: Renderer) -> Study:
        from tune.sweeps import resume  # noqa: PLC0415

        return resume(
            options.name,
            storage=options.storage,
            listeners=[renderer],
            verbose=options.verbose,
            address=options.address,
            trials=options.trials,
            time=options.time,
        )

    return run_study(work, options)


def build_parser() -> ArgumentParser:
    """Return a parser with the options of the command."""
    parser = command_parser("dclf resume", "Go on with a study.", EXAMPLES)
    parser.add_argument("name", help="of the study")
    add_storage_option(parser)
    parser.add_argument("--trials", type=int, help="how many trials in all; as before where absent")
    parser.add_argument("--time", help="how long in all, such as 12h; as before where absent")
    add_address_option(parser)
    add_log_options(parser)
    add_output_option(parser)
    return parser


def _problems(trials: int | None, time: str | None) -> list[str]:
    """What is wrong with the new budget."""
    problems = [f"--trials: must be 0 or more, is {trials}"] if trials is not None and trials < 0 else []
    if time:
        from tune.config.durations import parse_duration  # noqa: PLC0415 - the package needs Optuna

        try:
            parse_duration(time)
        except ValueError as error:
            problems.append(f"--time: {error}")
    return problems
