"""Runs beside each other: what differs in their configurations and scores, and what is paired over shared seeds.

A side is what is compared: one run, or the runs of one configuration with several seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase

from dclf.data.storage import absolute
from dclf.prose import shorten
from tune.analysis.comparison.number_text import UNTESTED, interval, points, probability
from tune.analysis.statistics import PairedTest, holm, paired
from tune.analysis.table import Table
from tune.study.scores import WF1
from tune.tracking.run_entries import RunEntry

SEED, SHARDS = "train.seed", "data.shards"
_NO_MATTER = ("track.", "train.storage")
"""Keys that bear on no score: where a run is recorded and kept."""
_SURROUNDINGS = ("version.", "mlflow.source.git.commit", "hardware.cpu", "hardware.gpus")
"""Tags that may explain a difference between runs of the same configuration."""
_LONGEST = 60
ABSENT = "–"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a comparison.

    Attributes:
        label: A, B and so on.
        runs: seed -> run; the seed is None for the only run of a side that does not say one.
        scores: seed -> score such as ``val/wf1`` or ``test/f1/joy`` -> value in [0, 1].
    """

    label: str
    runs: Mapping[int | None, RunEntry]
    scores: Mapping[int | None, Mapping[str, float]] = field(default_factory=dict)

    @property
    def first(self) -> RunEntry:
        """The run that stands for the configuration."""
        return next(iter(self.runs.values()))

    def by_seed(self, score: str) -> dict[int, float]:
        """Seed -> a score, of the runs that have it and say their seed."""
        return {seed: scores[score] for seed, scores in self.scores.items() if seed is not None and score in scores}

    def values(self, score: str) -> list[float]:
        """A score of each run that has it, also of the one that does not say its seed."""
        return [scores[score] for scores in self.scores.values() if score in scores]


@dataclass(frozen=True, kw_only=True)
class ScoreTest:
    """A score of one side against that of the first, over the seeds that both have.

    Attributes:
        score: its name.
        test: the difference and its test.
        p: corrected (Holm) over the sides, and over the classes for ``f1/<class>``; NaN where nothing is tested.
    """

    score: str
    test: PairedTest
    p: float


def sides_of(runs: Sequence[RunEntry]) -> list[Side]:
    """The sides of a comparison: runs that differ in their seed alone are one where there are others beside them.

    Args:
        runs: at least two, all different.
    """
    groups: dict[tuple[tuple[str, str], ...], list[RunEntry]] = {}
    for run in runs:
        settings = {key: value for key, value in _settings(run).items() if key != SEED}
        groups.setdefault(tuple(sorted(settings.items())), []).append(run)
    several = all(len({run.seed for run in group}) == len(group) for group in groups.values())
    parts = list(groups.values()) if len(groups) > 1 and several else [[run] for run in runs]
    return [
        Side(label=_label(place), runs={run.seed: run for run in sorted(part, key=lambda run: run.seed or 0)})
        for place, part in enumerate(parts)
    ]


def differences(sides: Sequence[Side]) -> dict[str, tuple[str, ...]]:
    """What differs: key of the configuration, or tag of the surroundings -> its text on each side."""
    each = [{**_settings(side.first), **_surroundings(side.first)} for side in sides]
    if any(len(side.runs) > 1 for side in sides):
        for side in each:
            side.pop(SEED, None)
    keys = dict.fromkeys(key for side in each for key in side)
    rows = {key: tuple(side.get(key, ABSENT) for side in each) for key in keys}
    return {key: values for key, values in rows.items() if len(set(values)) > 1}


def score_tests(side: Side, sides: Sequence[Side]) -> list[ScoreTest]:
    """Every score of a side against the first side's; none without a seed that both have.

    Args:
        side: not the first.
        sides: all of them, whose tests are corrected together.
    """
    return [one for one in _all_tests(sides).get(side.label, []) if not math.isnan(one.test.difference)]


def score_names(sides: Sequence[Side]) -> list[str]:
    """The scores that any run has: validation before test, WF1 and WA before the classes."""
    names = {name for side in sides for scores in side.scores.values() for name in scores}
    order = {"wf1": 0, "wa": 1}
    return sorted(names, key=lambda name: (not name.startswith("val/"), order.get(name.partition("/")[2], 2), name))


def difference_table(sides: Sequence[Side]) -> Table:
    """What differs, a row per key."""
    rows = tuple((key, *(shorten(value, _LONGEST) for value in values)) for key, values in differences(sides).items())
    note = "" if rows else "Nothing but what runs are called and where they are kept."
    labels = tuple(side.label for side in sides)
    return Table(title="What differs", head=("key", *labels), rows=rows, note=note, numeric=1 + len(sides))


def score_table(sides: Sequence[Side]) -> Table:
    """A row per score, in percent, the mean over the seeds; of two single runs, or of the same seeds, the difference.

    Means over different seeds have none, as seeds alone move them by points: of several runs a side, those that have
    the score count.
    """
    names, counts = score_names(sides), {len(side.runs) for side in sides}
    pair = len(sides) == 2 and (counts == {1} or sides[0].runs.keys() == sides[1].runs.keys())
    rows = []
    for name in names:
        cells = [WF1.mean_text(values) if (values := side.values(name)) else ABSENT for side in sides]
        rows.append((score_label(name), *cells, *([points(_gap(sides, name))] if pair else [])))
    head = ("score", *(side.label for side in sides), *(("B - A",) if pair else ()))
    note = "" if names else "None of the runs has finished an epoch."
    return Table(title="Scores (%); validation of the best epoch", head=head, rows=tuple(rows), note=note)


def paired_table(side: Side, sides: Sequence[Side]) -> Table | None:
    """A side against the first over shared seeds; None with fewer than two shared seeds."""
    tests = [one for one in score_tests(side, sides) if one.test.count > 1]
    if not tests:
        return None
    rows = tuple(
        (
            score_label(one.score),
            str(one.test.count),
            points(one.test.difference),
            interval(one.test),
            probability(one.p),
        )
        for one in tests
    )
    tested = any(one.test.tested for one in tests)
    note = (
        "p: two-sided paired t-tests, with Holm's correction over the sides that a score is compared of, and over the "
        "classes."
        if tested
        else f"Nothing is tested: {UNTESTED}."
    )
    head = ("score", "seeds", "difference", "95 % interval", "p")
    return Table(title=f"{side.label} against A, paired by seed (points)", head=head, rows=rows, note=note)


def score_label(name: str) -> str:
    """``val WF1``, ``test F1 joy``."""
    split, _, score = name.partition("/")
    kind, _, emotion = score.partition("/")
    return " ".join(part for part in (split, kind.upper(), emotion) if part)


def _all_tests(sides: Sequence[Side]) -> dict[str, list[ScoreTest]]:
    """Label -> tests against the first side, corrected by families."""
    places: list[tuple[str, str, PairedTest]] = []
    for side in sides[1:]:
        for name in score_names(sides):
            values, reference = side.by_seed(name), sides[0].by_seed(name)
            if values.keys() & reference.keys():
                places.append((side.label, name, paired(values, reference)))
    corrected: dict[tuple[str, str], float] = {}
    for family in dict.fromkeys(_family(name) for _, name, _ in places):
        own = [(label, name, test) for label, name, test in places if _family(name) == family]
        p_values = holm([test.p for _, _, test in own])
        corrected |= {(label, name): p for (label, name, _), p in zip(own, p_values, strict=True)}
    tests: dict[str, list[ScoreTest]] = {}
    for label, name, test in places:
        tests.setdefault(label, []).append(ScoreTest(score=name, test=test, p=corrected[label, name]))
    return tests


def _family(name: str) -> str:
    split, _, score = name.partition("/")
    return f"{split}/{score.partition('/')[0]}"


def _gap(sides: Sequence[Side], name: str) -> float:
    """The second side's mean less the first's; NaN where one has none, or several runs have it for other seeds."""
    seeds = [{seed for seed, scores in side.scores.items() if name in scores} for side in sides]
    if max(len(side.runs) for side in sides) > 1 and seeds[0] != seeds[1]:
        return math.nan
    means = [side.values(name) for side in sides]
    if not all(means):
        return math.nan
    first, second = (math.fsum(values) / len(values) for values in means)
    return second - first


def _settings(run: RunEntry) -> dict[str, str]:
    params = {key: value for key, value in run.params.items() if not key.startswith(_NO_MATTER)}
    # A study names from the root on what a command line names from the folder that it is called in.
    return {key: absolute(value) if key == SHARDS else value for key, value in params.items()}


def _surroundings(run: RunEntry) -> dict[str, str]:
    return dict(_tags(run))


def _tags(run: RunEntry) -> Iterator[tuple[str, str]]:
    yield from ((tag, text) for tag, text in sorted(run.tags.items()) if tag.startswith(_SURROUNDINGS))


def _label(place: int) -> str:
    """A .. Z, then AA and so on."""
    rest, last = divmod(place, len(ascii_uppercase))
    return (_label(rest - 1) if rest else "") + ascii_uppercase[last]
