"""A leaderboard's tables: one of all columns, for a page that sorts it, and its parts, for terminals and papers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from tune.analysis.comparison.claims import other_data
from tune.analysis.comparison.leaderboard import SHIFTS, Entry, entries_of
from tune.analysis.comparison.number_text import interval, points, probability
from tune.analysis.comparison.tables import (
    class_names,
    class_tables,
    differences_note,
    has_published,
    mean_text,
    published_text,
)
from tune.analysis.comparison.variants import LEADERBOARD
from tune.analysis.speed import HEARD, Speed
from tune.analysis.table import Table
from tune.study.folder import StudyFolder
from tune.study.scores import deviation

_PARTS = (LEADERBOARD, "costs", "published")
"""Tables whose columns are all in ``whole_board``."""
SCORES = ("wf1", "wa")
_COSTS = (
    "s/epoch: training and scoring on validation, beside whatever else ran then; the mean over the seeds of each "
    "training's median epoch. ms/utterance: the next utterance of a conversation, on one thread of a CPU, the mean of "
    f"{HEARD} utterances or of all that the test split has; a bidirectional model answers none before the end."
)
_PUBLISHED = (
    "authors: what the base model's authors report, most of them of models that hear whole conversations, where those "
    "here are real-time unless their preset says otherwise; best on test: of the epoch that was best on the test "
    "split, which no measured number here is; text alone: the authors' model reads nothing else."
)
_FUTURE = (
    "of it future: the part of a bidirectional model's EICS drop that is lost without the utterances after the target, "
    "which a substituted context does not have."
)
Column = tuple[str, list[str]]
"""Head of a column, and its cells."""


def board_tables(folder: StudyFolder) -> dict[str, Table]:
    """Name of a file -> table: scores with their tests, classes, costs, and published numbers beside the measured."""
    entries, name = entries_of(folder), folder.definition.name
    numbers = [*_scores(entries), *_tests(entries), *_robustness(entries)]
    tables = {LEADERBOARD: _table(entries, _title(name), numbers, _note(entries)), **class_tables(folder)}
    if costs := list(_costs(entries)):
        tables["costs"] = _table(entries, f"What the models of {name} cost", costs, _COSTS)
    published_entries = [entry for entry in entries if has_published(entry.variant, SCORES) or entry.authors]
    if published_entries:
        columns = [
            *_scores(published_entries),
            *_published(published_entries, other_data(folder.definition)),
            *_sources(published_entries),
        ]
        title = f"Measured and published scores (%) of the models of {name}"
        tables["published"] = _table(
            published_entries, title, columns, _PUBLISHED if any(one.authors for one in published_entries) else ""
        )
    return tables


def beside_board(tables: Mapping[str, Table]) -> list[Table]:
    """Return the tables that have something that ``whole_board`` has no column for.

    Args:
        tables: of the study, as ``study_tables`` names them.
    """
    # The paper's classes are rows of their own.
    classes = {"f1"} if "f1" in tables and all(model for model, *_ in tables["f1"].rows) else set()
    return [table for name, table in tables.items() if name not in {*_PARTS, *classes}]


def whole_board(folder: StudyFolder) -> Table | None:
    """All columns in one table; None for any other study, and before the first test score."""
    entries = entries_of(folder)
    if not entries:
        return None
    published = [*_published(entries, other_data(folder.definition)), *_sources(entries)]
    columns = [*_scores(entries), *_tests(entries), *_robustness(entries), *_classes(entries), *_costs(entries)]
    notes = [_note(entries), _COSTS if any(entry.speed for entry in entries) else ""]
    notes += [_PUBLISHED] if any(entry.authors for entry in entries) else []
    return _table(entries, _title(folder.definition.name), [*columns, *published], " ".join(filter(None, notes)))


def _title(name: str) -> str:
    return f"Leaderboard {name} on the test split"


def _note(entries: Sequence[Entry]) -> str:
    differences = [entry.difference for entry in entries]
    notes = [differences_note(differences, "WF1")] if any(one.paired for one in differences) else []
    return " ".join([*notes, *([_FUTURE] if any(entry.future for entry in entries) else [])])


def _table(entries: Sequence[Entry], title: str, columns: Sequence[Column], note: str) -> Table:
    names = [(entry.variant.model, entry.variant.name, str(len(entry.variant.test))) for entry in entries]
    rows = [(*name, *(cells[place] for _, cells in columns)) for place, name in enumerate(names)]
    head = ("model", "method", "seeds", *(name for name, _ in columns))
    return Table(title=title, head=head, rows=tuple(rows), numeric=2, note=note)


def _scores(entries: Sequence[Entry]) -> Iterator[Column]:
    for score in SCORES:
        yield f"{score.upper()} (%)", [mean_text(entry.variant, score) for entry in entries]


def _tests(entries: Sequence[Entry]) -> Iterator[Column]:
    """Differences to the base model, with interval and p where anything is tested."""
    tests = [entry.difference.paired for entry in entries]
    if any(tests):
        yield "difference", ["–" if test is None else points(test.difference) for test in tests]
    if any(test is not None and test.tested for test in tests):
        yield "95 % interval", ["–" if test is None else interval(test) for test in tests]
        yield "p", [probability(entry.difference.p) for entry in entries]


def _robustness(entries: Sequence[Entry]) -> Iterator[Column]:
    for head, score in SHIFTS.items():
        yield f"WF1 {head}", [mean_text(entry.variant, score) for entry in entries]
    if any(entry.drops for entry in entries):
        yield "EICS drop", [_mean(entry.drops, 100, ".2f") for entry in entries]
    if any(entry.future for entry in entries):
        yield "of it future", [_mean(entry.future, 100, ".2f") for entry in entries]


def _classes(entries: Sequence[Entry]) -> Iterator[Column]:
    for label in class_names([entry.variant for entry in entries]):
        yield f"F1 {label}", [mean_text(entry.variant, f"f1/{label}") for entry in entries]


def _costs(entries: Sequence[Entry]) -> Iterator[Column]:
    speeds = [entry.speed for entry in entries]
    if any(speeds):
        yield "parameters", ["–" if speed is None else f"{speed.parameters:,}" for speed in speeds]
        yield "s/epoch", ["–" if speed is None else _mean(speed.epoch_s, 1, ".3g") for speed in speeds]
        yield "ms/utterance", [_milliseconds(speed) for speed in speeds]


def _published(entries: Sequence[Entry], other: str) -> Iterator[Column]:
    for score in SCORES:
        if any(has_published(entry.variant, (score,)) for entry in entries):
            yield f"paper {score.upper()}{other}", [published_text(entry.variant, score) for entry in entries]
    if any(entry.authors for entry in entries):
        for score in SCORES:
            yield f"authors {score.upper()}{other}", [_percent(entry.authors.get(score)) for entry in entries]
        yield "authors chose", [entry.remark or "–" for entry in entries]


def _sources(entries: Sequence[Entry]) -> Iterator[Column]:
    if any(entry.authors for entry in entries):
        yield "authors", [str(entry.authors.get("source", "–")) for entry in entries]


def _percent(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) else "–"


def _milliseconds(speed: Speed | None) -> str:
    return "–" if speed is None or speed.utterance_ms is None else f"{speed.utterance_ms:.3g}"


def _mean(by_seed: Mapping[int, float], scale: float, form: str) -> str:
    """Mean and deviation over the seeds; a dash without any."""
    values = [scale * value for value in by_seed.values()]
    if not values:
        return "–"
    mean, spread = math.fsum(values) / len(values), deviation(values)
    return f"{mean:{form}}" if math.isnan(spread) else f"{mean:{form}} ± {spread:{form}}"
