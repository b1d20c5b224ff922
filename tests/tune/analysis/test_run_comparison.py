import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from scipy import stats

from tune.analysis.run_comparison import (
    Side,
    difference_table,
    differences,
    paired_table,
    score_names,
    score_table,
    score_tests,
    sides_of,
)
from tune.analysis.statistics import holm
from tune.tracking.run_entries import RunEntry

START = datetime(2026, 1, 2, tzinfo=UTC)
A = {1: 0.60, 2: 0.62, 3: 0.58, 4: 0.61}
B = {1: 0.63, 2: 0.64, 3: 0.60, 4: 0.66, 5: 0.9}


def entry(run_id: str, seed: int = 1, tags: dict[str, str] | None = None, **params: Any) -> RunEntry:
    own = {"train.seed": str(seed), "track.name": run_id, "train.storage": f"kept/{run_id}"}
    settings = {key.replace("__", "."): str(value) for key, value in params.items()}
    return RunEntry(
        run_id=run_id,
        name=f"run {run_id}",
        status="finished",
        started=START,
        ended=START,
        params={**own, **settings},
        metrics={},
        tags=tags or {},
    )


def side(label: str, scores: dict[int, float], **params: Any) -> Side:
    return Side(
        label=label,
        runs={seed: entry(f"{label}{seed}", seed, **params) for seed in scores},
        scores={seed: {"val/wf1": 2 * value / 3, "test/wf1": value} for seed, value in scores.items()},
    )


def test_runs_of_several_configurations_are_joined_over_their_seeds() -> None:
    runs = [entry(f"{gamma}-{seed}", seed, loss__gamma_ca=gamma) for gamma in (0.8, 0.2) for seed in (2, 1)]
    sides = sides_of(runs)
    assert [(one.label, list(one.runs)) for one in sides] == [("A", [1, 2]), ("B", [1, 2])]
    assert differences(sides) == {"loss.gamma_ca": ("0.8", "0.2")}


def test_runs_that_differ_in_the_seed_alone_are_sides_of_their_own() -> None:
    sides = sides_of([entry("x", 1), entry("y", 2)])
    assert [one.label for one in sides] == ["A", "B"]
    assert differences(sides) == {"train.seed": ("1", "2")}


def test_runs_of_the_same_configuration_and_seed_are_never_joined() -> None:
    assert len(sides_of([entry("x", 1), entry("y", 1), entry("z", 1, loss__window=4)])) == 3


def test_many_runs_have_labels_of_two_letters() -> None:
    assert [one.label for one in sides_of([entry(str(i), i) for i in range(28)])][-3:] == ["Z", "AA", "AB"]


def test_what_differs_leaves_out_names_and_places_and_brings_versions() -> None:
    sides = sides_of(
        [
            entry("x", tags={"version.torch": "2.9", "host": "here"}, model__name="mmgcn"),
            entry("y", tags={"version.torch": "3.0", "host": "there"}, model__name="ddin", model__options__k="8"),
        ]
    )
    assert differences(sides) == {
        "model.name": ("mmgcn", "ddin"),
        "model.options.k": ("–", "8"),
        "version.torch": ("2.9", "3.0"),
    }
    same = difference_table(sides_of([entry("x"), entry("y")]))
    assert (same.rows, same.note) == ((), "Nothing but what runs are called and where they are kept.")


def test_shards_named_from_the_folder_and_from_the_root_are_the_same(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert differences(sides_of([entry("x", data__shards="s"), entry("y", data__shards=tmp_path / "s")])) == {}


def test_paired_differences_are_those_of_the_shared_seeds() -> None:
    sides = [side("A", A), side("B", B)]
    by_score = {one.score: one for one in score_tests(sides[1], sides)}
    one, oracle = by_score["test/wf1"], stats.ttest_rel([B[seed] for seed in A], [A[seed] for seed in A])
    assert one.test.count == 4
    assert one.test.difference == pytest.approx(sum(B[seed] - A[seed] for seed in A) / 4)
    assert one.p == pytest.approx(oracle.pvalue)
    table = paired_table(sides[1], sides)
    assert table is not None
    assert table.rows[1][:3] == ("test WF1", "4", "+3.00")


def test_tests_are_corrected_over_the_sides_of_a_score() -> None:
    sides = [side("A", A), side("B", B), side("C", {seed: value + 0.01 * seed for seed, value in A.items()})]
    raw = [stats.ttest_rel([one.scores[s]["test/wf1"] for s in A], list(A.values())).pvalue for one in sides[1:]]
    corrected = [one.p for other in sides[1:] for one in score_tests(other, sides) if one.score == "test/wf1"]
    assert corrected == pytest.approx(holm(raw))


def test_two_seeds_are_paired_and_not_tested() -> None:
    sides = [side("A", {1: 0.5, 2: 0.6}), side("B", {1: 0.7, 2: 0.7})]
    table = paired_table(sides[1], sides)
    assert table is not None
    assert table.rows[0][1:] == ("2", "+10.00", "–", "–")
    assert table.note.startswith("Nothing is tested: fewer than 3 shared seeds")
    assert all(math.isnan(one.p) for one in score_tests(sides[1], sides))


def test_sides_without_a_shared_seed_are_not_paired() -> None:
    sides = [side("A", {1: 0.5}), side("B", {2: 0.7})]
    assert score_tests(sides[1], sides) == []
    assert paired_table(sides[1], sides) is None
    assert score_table(sides).rows[1] == ("test WF1", "50.00", "70.00", "+20.00")


def test_a_run_that_does_not_say_its_seed_is_shown_and_paired_with_none() -> None:
    unknown = Side(label="B", runs={None: entry("y")}, scores={None: {"test/wf1": 0.7}})
    sides = [side("A", {0: 0.5}), unknown]
    assert score_tests(unknown, sides) == []
    assert score_table(sides).rows[-1] == ("test WF1", "50.00", "70.00", "+20.00")


def test_means_over_different_seeds_have_no_difference() -> None:
    assert score_table([side("A", {1: 0.5, 2: 0.6}), side("B", {2: 0.7})]).head == ("score", "A", "B")
    assert score_table([side("A", {1: 0.5, 2: 0.6}), side("B", {1: 0.4, 2: 0.7})]).head[-1] == "B - A"


def test_a_score_of_other_seeds_on_each_side_has_no_difference() -> None:
    """The test scores of one run are still to come."""
    sides = [side("A", {1: 0.5, 2: 0.6}), side("B", {1: 0.4, 2: 0.9})]
    missing = {2: {name: value for name, value in sides[1].scores[2].items() if name != "test/wf1"}}
    sides[1] = replace(sides[1], scores={**sides[1].scores, **missing})
    assert [row[-1] for row in score_table(sides).rows] == ["+6.67", "–"]


def test_scores_that_a_side_lacks_are_dashes_and_validation_comes_first() -> None:
    without = Side(label="B", runs={1: entry("y")}, scores={1: {"val/f1/joy": 0.5, "val/wf1": 0.25}})
    sides = [side("A", {1: 0.6}), without]
    assert score_names(sides) == ["val/wf1", "val/f1/joy", "test/wf1"]
    assert score_table(sides).rows == (
        ("val WF1", "40.00", "25.00", "-15.00"),
        ("val F1 joy", "–", "50.00", "–"),
        ("test WF1", "60.00", "–", "–"),
    )
    assert score_table(sides_of([entry("x"), entry("y", 2)])).note == "None of the runs has finished an epoch."
