"""``dclf reproduce``: the paper's tables and figures, measured beside the published ones, on one page.

dclf reproduce iemocap|meld --shards SHARDS [--only table4,figure4] [--seeds 5] [--section.key VALUE ...]
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from dclf.data.storage import absolute
from dclf.prose import quantity
from tune.commands.comparison import (
    FLAGS,
    SHARDS,
    VALUED,
    add_shards_option,
    set_by_comparison,
    with_shards_key,
)
from tune.commands.next_steps import print_next
from tune.commands.options import (
    add_address_option,
    add_log_options,
    add_output_option,
    command_parser,
    listed,
    print_json,
)
from tune.commands.overrides import told_with
from tune.commands.sweep_options import STUDIES, add_settings_help, options_and_overrides
from tune.config.local_files import output_problem
from tune.config.sweep_settings import SET_KEYS
from tune.config.yaml_files import ConfigError
from tune.progress.forms import choose_renderer

if TYPE_CHECKING:
    from tune.commands.job_words import JobCommand
    from tune.report.reproduction import ReproductionFiles
    from tune.reproduction import ReproductionPlan

EXAMPLES = """\
examples:
  dclf reproduce iemocap --shards shards/iemocap
  dclf reproduce meld --shards shards/meld --only table3,table4 --seeds 3
  dclf reproduce iemocap --shards shards/iemocap --dry-run         what would be trained
  dclf reproduce iemocap --shards shards/iemocap --compared        the systems that Table 3 compares with, too
  dclf reproduce iemocap --shards shards/generated --train.epochs 20

Every table is a study of its own, which dclf list, show and report know. Models that several tables need are trained
once. After Ctrl-C or any kill the same command goes on; when all is there, it only writes the page. Figures measured on
generated dialogues are never presented as results on the data set.
"""
OWN_FLAGS = (*FLAGS, "--dry-run", "--compared")
OWN_VALUED = tuple(option for option in (*VALUED, "--only", "--out") if option != "--name")


def main(argv: Sequence[str]) -> int:
    """Reproduce as the command line says, and return the exit code.

    It is 1 where a table is missing, and where more than half of a study's trials failed.
    """
    return read(argv).run()


def read(argv: Sequence[str]) -> ReproduceRequest:
    """Return what the command line asks for.

    Raises:
        ConfigError: with every mistake at once.
        SystemExit: help was asked for, or an option is wrong.
    """
    words = with_shards_key(argv)
    options, overrides, mistakes = options_and_overrides(words, build_parser(), OWN_FLAGS, OWN_VALUED)
    if mistakes := [*mistakes, *set_by_comparison(words)]:
        from tune.runner.reproduction_plan import planned_studies  # noqa: PLC0415 - it brings Optuna

        with told_with(mistakes):
            planned_studies(options.dataset, overrides, only=listed(options.only), seeds=options.seeds)
    return ReproduceRequest(argv, options, overrides)


@dataclass(frozen=True)
class ReproduceRequest:
    """Tables and figures of the paper.

    Attributes:
        arguments: of the command.
        options: its own options.
        overrides: keys of the configuration that are set.
    """

    arguments: Sequence[str]
    options: Namespace
    overrides: Mapping[str, str]

    def run(self) -> int:
        """Measure them and write the page, and return the exit code."""
        return _run(self.options, self.overrides, f"dclf reproduce {shlex.join(self.arguments)}")

    def job(self, _study: str) -> JobCommand:
        """See ``tune.commands.request.Request``."""
        from cluster.jobs.node_check import Needs  # noqa: PLC0415 - it brings Ray
        from tune.commands import job_words as words  # noqa: PLC0415
        from tune.runner.reproduction_plan import planned_studies  # noqa: PLC0415

        options, only = self.options, listed(self.options.only)
        studies = planned_studies(options.dataset, self.overrides, only=only, seeds=options.seeds)
        planned = next(iter(studies.values()))
        places = words.study_places(planned.config, planned.settings.storage)
        out = {"out": absolute(options.out)} if options.out else {}
        databases = words.tracking_place(planned.config) | words.optuna_place(planned.settings.optuna)
        short = {words.SHARDS: SHARDS, STUDIES: "--storage"}
        command = ("reproduce", *words.with_values(self.arguments, places | databases | out, short))
        needs = Needs((places[words.SHARDS],), {STUDIES: places[STUDIES]})
        tracking = words.absolute_database(planned.config.track.uri)
        return words.JobCommand(command, "", needs, tracking, again=command)


def _run(options: Namespace, overrides: Mapping[str, str], command: str) -> int:
    # Imported here, so that help does not wait for Optuna.
    from tune.commands.failures import code_of  # noqa: PLC0415
    from tune.reproduction import plan_reproduction  # noqa: PLC0415

    only = listed(options.only)
    plan = plan_reproduction(
        options.dataset, overrides, only=only, seeds=options.seeds, out=options.out, compared=options.compared
    )
    if options.dry_run and (options.output == "json" or options.log == "jsonl"):
        print_json(_planned(plan))
        return 0
    if options.dry_run:
        print("\n".join(_plan_lines(plan)))
        print_next(options, command.replace(" --dry-run", ""))
        return 0
    if problem := output_problem("--out", options.out or plan.out):
        raise ConfigError([problem])
    files = _reproduced(plan, options, command)
    if options.output == "json" or options.log == "jsonl":
        print_json(_result(plan, files))
    else:
        print("", *files.sentences, "", f"page        {files.html}", f"markdown    {files.markdown}", sep="\n")
        for item, reason in files.missing.items():
            print(f"missing     {item}: {reason}")
        print_next(options, "dclf list", "dclf runs")
    studies = [study for study in plan.every if study.to_run]
    failed = code_of(folder for study in studies if (folder := study.existing_folder()) is not None)
    return 1 if {study.planned.plan["paper"] for study in studies} & files.missing.keys() else failed


def build_parser() -> ArgumentParser:
    """Return a parser with the options of the command."""
    # Imported here: other commands need not wait for it.
    from tune.reproduction import datasets, items  # noqa: PLC0415

    parser = command_parser("dclf reproduce", "The paper's tables and figures, measured, on one page.", EXAMPLES)
    names = datasets()
    parser.usage = f"dclf reproduce {'|'.join(names)} --shards SHARDS [--section.key VALUE ...] [options]"
    parser.add_argument("dataset", help=f"whose tables: {' or '.join(names)}")
    add_shards_option(parser)
    both = "; ".join(f"{dataset}: {', '.join(items(dataset))}" for dataset in names)
    parser.add_argument(
        "--only", metavar="A,B", default="", help=f"tables and figures to run ({both}); all where absent"
    )
    parser.add_argument(
        "--compared",
        action="store_true",
        help="also train the systems that Table 3 compares with, as far as they are base models here",
    )
    parser.add_argument("--seeds", type=int, help="trainings per variant; five where absent")
    parser.add_argument(
        "--out", default="", help="folder of the page; one in reproductions, beside the folder of studies, where absent"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be trained and stop")
    add_address_option(parser)
    add_output_option(parser)
    add_log_options(parser)
    add_settings_help(parser, without=SET_KEYS)
    return parser


def _reproduced(plan: ReproductionPlan, options: Namespace, command: str) -> ReproductionFiles:
    """Run the plan; where it is cut short after it has begun, stderr says how to go on."""
    from tune.reproduction import reproduce  # noqa: PLC0415 - as above

    renderer = choose_renderer(options.log, quiet=options.quiet, title="dclf reproduce")
    try:
        with renderer:
            renderer.say(*_plan_lines(plan))
            return reproduce(plan, listeners=[renderer], verbose=options.verbose, address=options.address)
    except BaseException as error:
        if renderer.study is not None or not isinstance(error, Exception):
            print(f"dclf: cut short; go on with: {command}", file=sys.stderr)
        raise


def _plan_lines(plan: ReproductionPlan) -> Iterator[str]:
    """Yield what is run, and how much of it is there already."""
    yield f"{plan.title}: {plan.trainings} trainings, {plan.finished} of them finished"
    yield from plan.notes
    for study in plan.every:
        if study.to_run:
            settings, paper = study.planned.settings, study.planned.plan
            count = f"{settings.trials} variants with {quantity(settings.seeds, 'seed')}"
            yield f"  {paper['paper']:<9} {paper['title']}: {count}, study {study.name}"
    yield f"page: {plan.out}"


def _planned(plan: ReproductionPlan) -> dict[str, Any]:
    studies = {
        study.item: {"study": study.name, "trainings": len(study.trainings)} for study in plan.every if study.to_run
    }
    counts = {"trainings": plan.trainings, "finished": plan.finished}
    return {"dataset": plan.dataset, "studies": studies, **counts, "notes": list(plan.notes), "out": str(plan.out)}


def _result(plan: ReproductionPlan, files: ReproductionFiles) -> dict[str, Any]:
    return {
        "dataset": plan.dataset,
        "studies": {study.item: study.name for study in plan.every if study.to_run},
        "html": str(files.html),
        "markdown": str(files.markdown),
        "sentences": list(files.sentences),
        "missing": dict(files.missing),
    }
