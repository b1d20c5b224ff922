"""Which trials are the best."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tune.study.samples import add_trial, base_params, new_folder
from tune.report.facts import result_lines
from tune.report.tables import comparison_table, front_table, top_table
from tune.study.best import best_yaml
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.ranking import (
    base_scores,
    base_trial,
    base_untested,
    best_trial,
    front,
    pareto,
    pick_trial,
    sealed_values,
    top_trials,
    untested,
    with_trial,
)
from tune.study.scores import scores_of


def numbers(trials: list[TrialRecord]) -> list[int]:
    return [trial.number for trial in trials]


def test_no_trial_is_the_best_of_none(folder: StudyFolder) -> None:
    assert best_trial(folder) is None


@pytest.mark.parametrize(("direction", "best"), [("maximize", 1), ("minimize", 0)])
def test_the_direction_decides(tmp_path: Path, direction: str, best: int) -> None:
    folder = new_folder(tmp_path, objectives={"wf1": direction})
    for value in (0.4, 0.6, 0.5):
        add_trial(folder, {}, [[value]])
    trial = best_trial(folder)
    assert trial is not None
    assert trial.number == best


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_nan_never_wins(tmp_path: Path, direction: str) -> None:
    folder = new_folder(tmp_path, objectives={"wf1": direction})
    for value in (math.nan, 0.5, math.nan):
        add_trial(folder, {}, [[value]])
    assert numbers(top_trials(folder, 9)) == [1]


def test_only_complete_trials_count(folder: StudyFolder) -> None:
    add_trial(folder, {}, [[0.9]], "pruned")
    add_trial(folder, {}, [], "failed", reason="out of memory")
    add_trial(folder, {}, [], "running")
    add_trial(folder, {}, [[0.5]])
    assert numbers(top_trials(folder, 9)) == [3]


def test_the_earlier_of_equals_is_first(folder: StudyFolder) -> None:
    for value in (0.5, 0.7, 0.7, 0.6):
        add_trial(folder, {}, [[value]])
    assert numbers(top_trials(folder, 3)) == [1, 2, 3]


def test_pareto_by_hand(tmp_path: Path) -> None:
    folder = new_folder(tmp_path, objectives={"wf1": "maximize", "drop": "minimize"})
    for pair in ([0.7, 0.2], [0.6, 0.1], [0.6, 0.3], [0.5, 0.1], [0.7, 0.2], [math.nan, 0.0]):
        add_trial(folder, {}, [pair])
    assert numbers(pareto(folder)) == [0, 4, 1]


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=25))
def test_the_front_is_what_nothing_dominates(triples: list[tuple[int, int, int]]) -> None:
    slow = {
        place
        for place, one in enumerate(triples)
        if not any(other != one and all(a <= b for a, b in zip(other, one, strict=True)) for other in triples)
    }
    assert set(front([tuple(map(float, triple)) for triple in triples])) == slow


def test_the_base_is_found_among_the_trials(folder: StudyFolder) -> None:
    add_trial(folder, {**base_params(), "loss.window": 3}, [[0.5]])
    add_trial(folder, base_params(), [[0.4]])
    trial = base_trial(folder)
    assert trial is not None
    assert trial.number == 1


def test_lists_of_the_base_are_known_again(folder: StudyFolder) -> None:
    add_trial(folder, {"data.modalities": ["text", "audio", "visual"]}, [[0.5]])
    assert base_trial(folder) is not None
    add_trial(folder, {"data.modalities": ["text"]}, [[0.5]])
    assert base_trial(folder) is folder.ledger.trials[0]


def test_an_option_that_the_base_leaves_out_is_its_default(folder: StudyFolder) -> None:
    add_trial(folder, {"loss.window": 10, "model.options.hidden": 100}, [[0.5]])
    assert base_trial(folder) is folder.ledger.trials[0]


def test_the_sealed_score_of_the_winner_is_told(folder: StudyFolder) -> None:
    add_trial(folder, {}, [[0.5, 0.7]])
    (trial,) = folder.ledger.trials.values()
    assert sealed_values(folder, trial, "wf1") == []
    assert "test" not in " ".join(result_lines(folder))
    folder.ledger.note("test", number=trial.number, seed=0, scores={"wf1": 0.4, "wa": 0.3})
    assert sealed_values(folder, trial, "wf1") == [0.4]
    assert "The sealed test split, scored once: test WF1 40.00 %." in list(result_lines(folder))
    assert ("test WF1 (%)", "40.00", "40.00") in comparison_table(folder).rows


TWO = {"wf1": "maximize", "eics/wf1": "maximize"}
RULE = (
    "Picked: of the trials on the front whose validation WF1 is within 0.5 points of the best there, the one with the "
    "best validation WF1 under EICS"
)


def test_of_the_front_the_robust_one_wins_that_costs_half_a_point_at_most(tmp_path: Path) -> None:
    folder = new_folder(tmp_path, objectives=TWO)
    for pair in ([0.6, 0.4], [0.7, 0.5], [0.695, 0.55], [0.697, 0.54], [0.6949, 0.7], [0.695, 0.54], [math.nan, 0.9]):
        add_trial(folder, {}, [pair])
    best = best_trial(folder)
    assert best is not None
    assert best.number == 2, "0.695 is within half a point, 0.6949 is not"
    assert untested(folder) == [(2, 0)]
    first, second = best_yaml(folder).splitlines()[:2]
    assert first.endswith("trial 2, validation WF1 (%) 69.50, validation WF1 under EICS (%) 55.00.")
    assert second == f"# {RULE}."
    lines = list(result_lines(folder))
    assert lines[0] == "Best is trial 2: validation WF1 69.50 %, validation WF1 under EICS 55.00 %."
    assert lines[1] == f"{RULE}."


def test_what_is_picked_is_compared_with_the_base_configuration_in_every_objective(tmp_path: Path) -> None:
    folder = new_folder(tmp_path, objectives=TWO)
    add_trial(folder, base_params(), [[0.6, 0.4]])
    assert list(result_lines(folder))[-1] == "This is the base configuration itself."
    add_trial(folder, {**base_params(), "loss.window": 3}, [[0.61, 0.38]])
    assert list(result_lines(folder))[-1] == (
        "The base configuration (trial 0) has validation WF1 60.00 %, validation WF1 under EICS 40.00 %: gains of 1.00 "
        "and -2.00 points."
    )
    add_trial(folder, {**base_params(), "loss.window": 4}, [[0.65, 0.45]])
    table = front_table(folder)
    assert table.note.startswith("Picked: of the trials on the front")
    assert [row[:3] for row in table.rows] == [("2", "picked", "65.00"), ("0", "base, not on the front", "60.00")]


VALUES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=12)


@given(pairs=VALUES, several=st.booleans())
def test_the_pick_is_of_the_front_near_its_best_and_the_same_trial_by_trial(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[int, int]], *, several: bool
) -> None:
    objectives = TWO if several else {"wf1": "maximize"}
    folder = new_folder(tmp_path_factory.mktemp("studies"), objectives=objectives)
    scores, candidates = scores_of(folder.definition), []
    for first, second in pairs:
        trial = add_trial(folder, {}, [[0.6 + first / 500, second / 10][: len(scores)]])
        candidates = with_trial(scores, candidates, trial)
        best = best_trial(folder)
        assert best is not None
        assert pick_trial(scores, candidates) == best
        trials = list(folder.ledger.trials.values())
        most = max(each.values[0] for each in trials)
        if not several:
            assert best.number == min(each.number for each in trials if each.values[0] == most)
            continue
        near = [each for each in pareto(folder) if each.values[0] >= most - 0.005 - 1e-9]
        assert best in near
        assert best.values[1] == max(each.values[1] for each in near)


@pytest.mark.parametrize(
    ("winner", "sentence"),
    [
        ([0.55, 0.56, 0.57], "Over 3 seeds the gain has the 95 % interval [+5.00, +5.00] points"),
        ([0.50, 0.58, 0.55], "points, which holds zero: no gain is shown."),
    ],
)
def test_a_gain_that_the_seeds_do_not_bear_out_is_called_so(
    folder: StudyFolder, winner: list[float], sentence: str
) -> None:
    add_trial(folder, base_params(), [[0.50], [0.51], [0.5200001]])
    add_trial(folder, {"loss.window": 3}, [[value] for value in winner])
    assert sentence in " ".join(result_lines(folder))


def test_the_best_and_the_base_are_marked_by_words(folder: StudyFolder) -> None:
    for window, value in ((10, 0.5), (3, 0.6), (4, 0.4)):
        add_trial(folder, {**base_params(), "loss.window": window}, [[value]])
    table = top_table(folder, "the best", 10)
    assert [row[:2] for row in table.rows] == [("1", "best"), ("0", "base"), ("2", "")]


def test_the_gain_of_the_winner_is_told_on_test_as_well(folder: StudyFolder) -> None:
    add_trial(folder, {}, [[0.5], [0.6]])
    add_trial(folder, {"loss.window": 3}, [[0.7], [0.8]])
    assert base_untested(folder) == [(0, 0), (0, 1)]
    for number, seed, wf1 in ((1, 0, 0.6), (1, 1, 0.64), (0, 0, 0.5)):
        folder.ledger.test(number, seed, {"wf1": wf1, "wa": 0.3})
    assert base_untested(folder) == [(0, 1)]
    folder.ledger.test(0, 1, {"wf1": 0.52, "wa": 0.3})
    assert base_untested(folder) == []
    assert base_scores(folder) == pytest.approx({"wf1": 0.51, "wa": 0.3})
    text = " ".join(result_lines(folder))
    assert re.search(r"On the test split it has 51\.00 ± \d\.\d\d %: a gain of 11\.00 points\.", text)
    assert next(row for row in comparison_table(folder).rows if row[0] == "test WF1 (%)")[1].startswith("51.00")


@pytest.mark.parametrize("state", ["pruned", "failed", "running"])
def test_a_base_configuration_that_was_trained_less_is_not_scored(folder: StudyFolder, state: str) -> None:
    add_trial(folder, {}, [[0.5]], state)
    add_trial(folder, {"loss.window": 3}, [[0.7]])
    assert base_untested(folder) == []
