"""``dclf evaluate``: scores of a finished run's best model on a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from dclf.modalities import SCORED_SPLITS
from tune.commands.next_steps import print_next, run_line, uri_option
from tune.commands.options import add_output_option, add_storage_option, add_uri_option, command_parser
from tune.commands.results import print_split

if TYPE_CHECKING:
    from tune.commands.job_words import JobCommand

EXAMPLES = """\
examples:
  dclf evaluate 3f2a91c0
  dclf evaluate mmgcn-iemocap --split val --output json
  dclf evaluate 3f2a91c0 --shards shards/another
"""


def main(argv: Sequence[str]) -> int:
    """Evaluate as the command line says, and return the exit code."""
    return read(argv).run()


def read(argv: Sequence[str]) -> EvaluateRequest:
    """Return what the command line asks for; SystemExit where an option is wrong."""
    return EvaluateRequest(argv, build_parser().parse_args(argv))


@dataclass(frozen=True)
class EvaluateRequest:
    """A run to score.

    Attributes:
        arguments: of the command.
        options: its options.
    """

    arguments: Sequence[str]
    options: Namespace

    def run(self) -> int:
        """Score it and print that, and return the exit code."""
        options = self.options
        # Imported here, so that help does not wait for torch and MLflow.
        from dclf.training.reports import class_names  # noqa: PLC0415
        from tune.runs import evaluate  # noqa: PLC0415

        report = evaluate(
            options.run, split=options.split, uri=options.uri, shards=options.shards, storage=options.storage
        )
        print_split(report, class_names(report.scores), as_json=options.output == "json")
        where = uri_option(options.uri)
        print_next(options, run_line("perturb", options.run, where), run_line("runs", uri=where))
        return 0

    def job(self, _study: str) -> JobCommand:
        """See ``tune.commands.request.Request``."""
        from cluster.jobs.node_check import Needs  # noqa: PLC0415 - it brings Ray
        from tune.commands.job_words import JobCommand, run_places, with_values  # noqa: PLC0415

        shards, uri = run_places(self.options.shards, self.options.uri)
        words = ("evaluate", *with_values(self.arguments, shards | uri))
        needs = Needs(tuple(shards.values()), everywhere=False)
        return JobCommand(words, "", needs, uri.get("uri", ""), run=self.options.run)


def build_parser() -> ArgumentParser:
    """Return a parser with the options of the command."""
    parser = command_parser("dclf evaluate", "Score a finished run's best model on a split.", EXAMPLES)
    parser.add_argument("run", help="id or name of the run")
    parser.add_argument("--split", choices=SCORED_SPLITS, default="test", help="the split to score")
    parser.add_argument("--shards", help="shards to score; those of the run where absent")
    add_storage_option(parser)
    add_uri_option(parser)
    add_output_option(parser)
    return parser
