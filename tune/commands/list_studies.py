"""``dclf list``: the studies of a storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jsonargparse import Namespace

from dclf.prose import local_minute
from tune.analysis.table import aligned
from tune.commands.next_steps import print_next, study_line
from tune.commands.options import add_output_option, add_storage_option, command_parser, print_json

EXAMPLES = """\
examples:
  dclf list
  dclf list --storage /scratch/studies
  dclf list --output json
"""
HEAD = ("name", "kind", "state", "complete", "pruned", "failed", "planned", "best", "created", "worked on by")


def main(argv: Sequence[str]) -> int:
    """List as the command line says, and return the exit code."""
    parser = command_parser("dclf list", "The studies of a storage, the latest first, and how far they are.", EXAMPLES)
    add_storage_option(parser)
    add_output_option(parser)
    options = parser.parse_args(argv)
    # Imported here, so that help does not wait.
    from tune.analysis.summary import list_studies  # noqa: PLC0415

    studies = list_studies(options.storage)
    if options.output == "json":
        print_json({"storage": options.storage, "studies": studies})
    elif studies:
        rows = [_row(study) for study in studies if "error" not in study]
        print(*aligned([HEAD, *rows], right=range(3, 8)), sep="\n")
        for study in studies:
            if "error" in study:
                print(f"{study['name']}: cannot be read: {study['error']}")
        _print_next(studies, options)
    else:
        print(f"no studies in {options.storage}; dclf sweep makes one")
    return 0


def _print_next(studies: Sequence[Mapping[str, Any]], options: Namespace) -> None:
    """Say how to look at the latest study, and how to go on with it where it was cut short."""
    latest = next((study for study in studies if "error" not in study), None)
    if latest is not None:
        verbs = ["resume", "show"] if latest["standing"] == "interrupted" else ["show", "report"]
        print_next(options, *(study_line(verb, latest["name"], options.storage) for verb in verbs))


def _row(study: Mapping[str, Any]) -> tuple[str, ...]:
    from tune.study.scores import Score  # noqa: PLC0415

    score = Score(name=study["objective"], direction=study["direction"])
    best = "–" if study["best_value"] is None else f"{study['objective']} {score.number(study['best_value'])}"
    counts = [str(study["trials"][state]) for state in ("complete", "pruned", "failed")]
    planned = str(study["planned"] or "any")
    # Not in studies of the first versions.
    created = local_minute(datetime.fromisoformat(study["created"])) if study["created"] else "–"
    return (study["name"], study["kind"], study["standing"], *counts, planned, best, created, study["worker"] or "–")
