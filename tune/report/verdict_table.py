"""The paper's findings in one table: what it has, what was measured, how sure that is, and whether both agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tune.analysis.comparison.verdicts import OUTCOMES, Verdict
from tune.analysis.table import Table

NOT_MEASURED = "not measured"
AGREES, DIFFERS, UNDECIDED = "✓ agrees", "✗ disagrees", "– undecided"
_SURE = dict.fromkeys(OUTCOMES[::4], AGREES) | dict.fromkeys(OUTCOMES[3::4], DIFFERS)
"""What only a significant difference can come to, the first and the last of four; without one nothing is decided."""
_NOTE = (
    "Differences in test WF1, in points, to the variant named, over the seeds that both have; for emotion shift in "
    "the gap between utterances without and with one; for the EICS drop in what is lost under EICS. Intervals: 95 %, "
    "of the mean paired difference. ✓ agrees and ✗ disagrees take a significant difference; – leaves it open."
)


def verdict_table(
    findings: Sequence[tuple[str, Sequence[Verdict]]], missing: Mapping[str, str], other_data: str
) -> Table:
    """The findings that the paper has something to say of, and the tables that were not run.

    Args:
        findings: table of the paper that a study is of, and the verdicts on it.
        missing: table or figure of the paper -> why no study is here for it.
        other_data: behind the paper's numbers where they are of other data than was measured.
    """
    head = ("in the paper", "finding", f"paper{other_data}", "measured", "95 % interval", "agrees or not")
    rows = [row for table, verdicts in findings for row in _rows(table, verdicts)]
    rows += [
        (table, "all of it", "–", NOT_MEASURED, NOT_MEASURED, f"{UNDECIDED}: {reason}")
        for table, reason in missing.items()
    ]
    return Table(title="The paper's findings", head=head, rows=tuple(rows), numeric=2, note=_NOTE)


def _rows(table: str, verdicts: Sequence[Verdict]) -> Iterator[tuple[str, ...]]:
    for one in verdicts:
        if one.outcome or one.paper:
            interval = one.interval or NOT_MEASURED
            yield (one.table or table, one.finding, one.published, one.measured, interval, _agreement(one))


def _agreement(one: Verdict) -> str:
    if not one.outcome:
        return f"{UNDECIDED}: no test says where the best lies"
    return f"{_SURE.get(one.outcome, UNDECIDED)}: {one.outcome}"
