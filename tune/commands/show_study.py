"""``dclf show``: one study, from its definition and ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from tune.analysis.table import aligned
from tune.commands.options import add_output_option, add_storage_option, command_parser, print_json

if TYPE_CHECKING:
    from tune.analysis.table import Table
    from tune.study.folder import StudyFolder

EXAMPLES = """\
examples:
  dclf show gammas
  dclf show gammas --storage /scratch/studies
  dclf show gammas --output json
"""
NOTE_WIDTH = 110


def main(argv: Sequence[str]) -> int:
    """Show as the command line says, and return the exit code."""
    parser = command_parser(
        "dclf show", "What a study searches, how far it is, its best trials, its failures, and how to go on.", EXAMPLES
    )
    parser.add_argument("name", help="name of the study; dclf list knows them")
    add_storage_option(parser)
    add_output_option(parser)
    options = parser.parse_args(argv)
    # Imported here, so that help does not wait.
    from tune.analysis.summary import study_details  # noqa: PLC0415
    from tune.study.folder import StudyFolder  # noqa: PLC0415

    folder = StudyFolder.open(options.storage, options.name)
    if options.output == "json":
        print_json(study_details(folder))
    else:
        print(*study_lines(folder), sep="\n")
    return 0


def study_lines(folder: StudyFolder) -> Iterator[str]:
    """The study for a terminal."""
    from tune.analysis.comparison.study import study_tables  # noqa: PLC0415
    from tune.analysis.comparison.variants import is_comparison  # noqa: PLC0415
    from tune.report.facts import TOP, next_commands, result_lines, standing_text, top_title  # noqa: PLC0415
    from tune.report.tables import (  # noqa: PLC0415
        budget_table,
        comparison_table,
        ended_early_table,
        front_table,
        running_table,
        searched_table,
        top_table,
    )
    from tune.study.progress import progress_of  # noqa: PLC0415

    progress, name = progress_of(folder), folder.definition.name
    yield f"{folder.definition.kind} {name}: {standing_text(progress)}"
    yield from result_lines(folder)
    several = len(folder.definition.sweep.objectives) > 1
    facts = [searched_table(folder), budget_table(folder, progress), running_table(folder, progress)]
    if is_comparison(folder.definition):
        tables = [*study_tables(folder).values(), *facts, ended_early_table(folder)]
    else:
        tables = [
            *facts,
            comparison_table(folder),
            top_table(folder, top_title(folder), TOP),
            front_table(folder) if several else None,
            ended_early_table(folder),
        ]
    for table in tables:
        if table is not None and table.rows:
            yield from ("", *table_lines(table))
    yield from ("", "How to go on")
    yield from aligned([(f"  {command}", purpose) for purpose, command in next_commands(folder, progress)])


def table_lines(table: Table) -> Iterator[str]:
    """A table of a report for a terminal, under its title and note."""
    yield table.title
    yield from (f"  {line}" for line in wrap(table.note, NOTE_WIDTH))
    prose = table.head == ("what", "value")
    rows = table.rows if prose else (table.head, *table.rows)
    right = () if prose else range(table.numeric, len(table.head))
    yield from (f"  {line}" for line in aligned(rows, right=right))
