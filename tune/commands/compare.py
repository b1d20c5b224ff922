"""``dclf compare``: what differs between runs, in configuration, in scores and utterance by utterance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser

from dclf.modalities import SCORED_SPLITS
from tune.commands.next_steps import print_next, run_line, uri_option
from tune.commands.options import add_output_option, add_storage_option, add_uri_option, command_parser, print_json
from tune.config.defaults import ID_SHOWN
from tune.config.yaml_files import ConfigError

if TYPE_CHECKING:
    from tune.run_comparisons import RunComparison

DESCRIPTION = """\
Say what differs between runs: the keys of their configurations, their scores, and the utterances of which their models
say different things. RUN is an id, its first digits or a name, or STUDY/TRIAL for all trainings of a trial. Runs that
differ in nothing but their seed are one side, and sides are paired by seed. Nothing is trained and nothing recorded.
"""
EXAMPLES = """\
examples:
  dclf compare 3f2a91c0 8e6d83f3
  dclf compare 3f2a91c0 8e6d83f3 --utterances 50 --output json
  dclf compare gammas/0 gammas/7
  dclf compare 3f2a91c0 8e6d83f3 --utterances 0               configuration and scores alone, without the models
"""
UTTERANCES = 10


def main(argv: Sequence[str]) -> int:
    """Compare as the command line says, and return the exit code."""
    options = build_parser().parse_args(argv)
    if options.utterances < 0:
        raise ConfigError([f"--utterances: must be 0, for none, or more, is {options.utterances}"])
    # Imported here, so that help does not wait for torch and MLflow.
    from tune.commands.ui import require_store  # noqa: PLC0415
    from tune.run_comparisons import compare  # noqa: PLC0415
    from tune.tracking.store import resolve_tracking_uri  # noqa: PLC0415

    require_store(resolve_tracking_uri(options.uri))
    comparison = compare(
        options.runs,
        split=options.split,
        utterances=options.utterances > 0,
        uri=options.uri,
        storage=options.storage,
        shards=options.shards,
    )
    if options.output == "json":
        print_json(comparison.to_dict(options.utterances))
    else:
        print(*comparison_lines(comparison, options.utterances), sep="\n")
        where = uri_option(options.uri)
        second = comparison.sides[1].first
        further = f"dclf show {second.study}" if second.study else run_line("perturb", second.run_id, where)
        print_next(options, further, run_line("runs", uri=where))
    return 0


def build_parser() -> ArgumentParser:
    """Return a parser with the options of the command."""
    parser = command_parser("dclf compare", DESCRIPTION, EXAMPLES)
    parser.add_argument("runs", metavar="RUN", nargs="+", help="two runs or more; the first is what others differ from")
    parser.add_argument(
        "--utterances", metavar="N", type=int, default=UTTERANCES, help="how many that changed are shown"
    )
    parser.add_argument("--split", choices=SCORED_SPLITS, default="val", help="the split that the models predict")
    parser.add_argument("--shards", help="shards to predict; those of the runs where absent")
    add_uri_option(parser)
    add_storage_option(parser)
    add_output_option(parser)
    return parser


def comparison_lines(comparison: RunComparison, utterances: int) -> Iterator[str]:
    """The comparison for a terminal.

    Args:
        comparison: of runs.
        utterances: how many that changed are shown.
    """
    from tune.commands.show_study import table_lines  # noqa: PLC0415

    for side in comparison.sides:
        seeds = ", ".join(str(seed) for seed in side.runs if seed is not None)
        ids = " ".join(run.run_id[:ID_SHOWN] for run in side.runs.values())
        yield f"{side.label}  {side.first.name} ({ids}), {side.first.status}{f', seed {seeds}' if seeds else ''}"
    for table in comparison.tables():
        yield from ("", *table_lines(table))
    if comparison.changes is not None:
        yield ""
        yield from table_lines(comparison.changes.table(comparison.labels, utterances))
        if (more := len(comparison.changes.utterances) - utterances) > 0:
            yield f"  and {more} more; --utterances {len(comparison.changes.utterances)} shows all"
    for reason in comparison.why:
        yield from ("", f"Utterances are not compared: {reason}")
