"""``dclf runs``: the trainings in MLflow, newest first."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from dclf.prose import suggestion
from tune.commands.next_steps import print_next, run_line, uri_option
from tune.commands.options import add_uri_option, command_parser, listed, print_json
from tune.config.defaults import ID_SHOWN, RUNS_LISTED

if TYPE_CHECKING:
    from tune.run_lists import RunList, RunQuery
    from tune.tracking.run_entries import RunEntry

EXAMPLES = """\
examples:
  dclf runs
  dclf runs --study gammas --sort val_wf1 --limit 5
  dclf runs --status failed --columns run,name,started,tags.dclf.status
  dclf runs --model mmgcn --columns run,params.loss.gamma_ca,metrics.test/wf1
  dclf runs --filter 'metrics.`test/wf1` > 0.6 AND params.`loss.ablate` = "none"' --output csv > runs.csv

columns:
  run name kind study trial seed status model ablate data val_wf1 test_wf1 test_wa epochs best_epoch started age
  duration, and any params.KEY, metrics.KEY and tags.KEY that a run has. Scores are in percent, in csv and json in
  [0, 1]; val_wf1 is of the best epoch.
"""
_SEARCHED = 500
"""The latest runs, whose names are looked at for what a mistyped one may mean."""


def main(argv: Sequence[str]) -> int:
    """List as the command line says, and return the exit code."""
    options = build_parser().parse_args(argv)
    # Imported here, so that help does not wait for MLflow.
    from tune.commands.ui import require_store  # noqa: PLC0415
    from tune.tracking.address import is_new, resolve_tracking_uri  # noqa: PLC0415

    query = _query(options)
    query.require_possible()
    uri = resolve_tracking_uri(options.uri)
    if options.uri or not is_new(uri):
        require_store(uri)
    answer = query.answer(uri)
    if not answer.runs and options.output == "text":
        print(f"no runs in {answer.tracking_uri}{_why_none(uri, options)}")
        return 0
    _print(answer, options.output)
    if options.output == "text" and answer.more:
        print(f"dclf: there are more; --limit {2 * options.limit} shows twice as many, --limit 0 all", file=sys.stderr)
    _print_next(answer.runs, options)
    return 0


def build_parser() -> ArgumentParser:
    """Return a parser with the options of the command."""
    parser = command_parser("dclf runs", "The trainings in MLflow, also those of studies, newest first.", EXAMPLES)
    parser.add_argument("--study", default="", help="those of this study")
    parser.add_argument("--status", default="", help="running, finished, pruned, failed, killed or scheduled")
    parser.add_argument("--model", default="", help="those of this base model")
    parser.add_argument("--filter", default="", help="those that MLflow's filter language describes")
    parser.add_argument("--columns", metavar="A,B", default="", help="what to show, see below")
    parser.add_argument(
        "--sort", metavar="COLUMN", default="", help="numbers from the largest on, text by the alphabet; newest first"
    )
    parser.add_argument("--reverse", action="store_true", help="the other way round")
    parser.add_argument("--limit", type=int, default=RUNS_LISTED, help="how many are shown; 0 for all")
    add_uri_option(parser)
    parser.add_argument(
        "--output", choices=("text", "json", "csv"), default="text", help="how the result is printed on stdout"
    )
    return parser


def _query(options: Namespace) -> RunQuery:
    from tune.run_lists import RunQuery  # noqa: PLC0415

    return RunQuery(
        study=options.study,
        status=options.status,
        model=options.model,
        where=options.filter,
        columns=listed(options.columns),
        sort=options.sort,
        reverse=options.reverse,
        limit=options.limit,
        prefix="--",
    )


def _print(answer: RunList, output: str) -> None:
    from tune.analysis.table import aligned  # noqa: PLC0415

    runs, columns = answer.runs, answer.columns
    heads = [column.name for column in columns]
    if output == "json":
        others = [column for column in columns if column.name != "run"]
        rows = [{"run_id": run.run_id, **{one.name: one.value(run) for one in others}} for run in runs]
        print_json({"tracking_uri": answer.tracking_uri, "runs": rows, "more": answer.more})
    elif output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([heads, *([one.value(run) for one in columns] for run in runs)])
    elif runs:
        right = [place for place, one in enumerate(columns) if one.numeric]
        print(*aligned([heads, *([one.cell(run) for one in columns] for run in runs)], right=right), sep="\n")


def _print_next(runs: Sequence[RunEntry], options: Namespace) -> None:
    where = uri_option(options.uri)
    ids = [run.run_id[:ID_SHOWN] for run in runs[:2]]
    # Of a study's trainings not all keep a model.
    scored = next((run for run in runs if run.status == "finished" and not run.study), None)
    print_next(
        options,
        run_line(f"compare {' '.join(ids)}", uri=where) if len(ids) > 1 else "",
        "" if scored is None else run_line("evaluate", scored.run_id, where, "--split val"),
        run_line("ui", uri=where),
    )


def _why_none(uri: str, options: Namespace) -> str:
    """What stands behind ``no runs in STORE``: which options nothing matches, and what may be meant."""
    from tune.tracking.address import is_new  # noqa: PLC0415
    from tune.tracking.run_entries import trainings  # noqa: PLC0415

    latest = [] if is_new(uri) else list(islice(trainings(uri), _SEARCHED))
    conditions = {name: options[name] for name in ("study", "status", "model", "filter") if options[name]}
    if not conditions or not latest:
        return "; dclf train makes one"
    there = {"study": {run.study for run in latest}, "model": {run.params.get("model.name", "") for run in latest}}
    words = [f"--{name} {value}{suggestion(value, there.get(name, ()))}" for name, value in conditions.items()]
    return f" match {', '.join(words)}"
