"""``dclf resume``: go on with a study that was cut short, or give a finished one a larger budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser

from tune.commands.options import add_log_options, add_output_option, command_parser
from tune.commands.study_views import QuietStudyView
from tune.commands.sweep_results import run_study
from tune.commands.view_choice import choose_study_view
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import ConfigError
from tune.study.folder import StudyFolder

if TYPE_CHECKING:
    from tune.studies import Study

EXAMPLES = """\
examples:
  dclf resume gammas
  dclf resume gammas --trials 100                    a larger budget than it had
  dclf resume gammas --storage /shared/studies       on another machine with the same folder of studies

Finished trials are not run again, running ones go on from their last epoch. A study keeps its own configuration.
"""


def main(argv: Sequence[str]) -> int:
    """Resume as the command line says; the exit code."""
    options = parser().parse_args(argv)
    if problems := _problems(options.trials, options.time):
        raise ConfigError(problems)
    # An unknown study is told before Ray and MLflow are imported.
    StudyFolder.open(options.storage, options.name)

    def work(view: QuietStudyView) -> Study:
        from tune.sweeps import resume  # noqa: PLC0415

        return resume(
            options.name,
            storage=options.storage,
            view=view,
            verbose=options.verbose,
            address=options.address,
            trials=options.trials,
            time=options.time,
        )

    as_json = options.output == "json" or options.log == "jsonl"
    return run_study(work, choose_study_view(options.log, quiet=options.quiet), as_json=as_json)


def parser() -> ArgumentParser:
    """The options of the command."""
    made = command_parser("dclf resume", "Go on with a study.", EXAMPLES)
    made.add_argument("name", help="of the study")
    made.add_argument("--storage", default=SweepSettings().storage, help="folder of studies")
    made.add_argument("--trials", type=int, help="how many trials in all; as before where absent")
    made.add_argument("--time", help="how long in all, such as 12h; as before where absent")
    made.add_argument("--address", metavar="A", help="of a Ray cluster; RAY_ADDRESS, then a local Ray where absent")
    add_log_options(made)
    add_output_option(made)
    return made


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
