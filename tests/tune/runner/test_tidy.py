"""Checkpoints that nobody needs go; what resuming and the winner need stays, and so does every epoch."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dclf.training import checkpoint
from tests.tune.runner.study_writer import definition
from tests.tune.tracking.samples import epoch
from tune.runner.tidy import Tidier, kept_so_far, needed, tidy
from tune.runner.tidy_all import clean, survey_waste
from tune.study.checkpoints import bytes_of, delete_checkpoint, has_checkpoint
from tune.study.folder import StudyFolder
from tune.study.history import read_history, write_history
from tune.study.ledger import ENDED, State

TWO = {"wf1": "maximize", "wa": "minimize"}


def new_folder(storage: Path, **settings: object) -> StudyFolder:
    return StudyFolder.create(storage, definition("", **settings))


def add(
    folder: StudyFolder, state: State, *values: float, history: int = 2, params: Mapping[str, int] | None = None
) -> int:
    number = folder.ledger.create({"loss.window": 3} if params is None else params).number
    if state == "waiting":
        return number
    folder.ledger.start(number, 4)
    place = folder.checkpoint(number, 4)
    write_history(place, [epoch(e) for e in range(1, history + 1)])
    (place / checkpoint.STATE_FILE).write_bytes(b"12345")
    if state in ("complete", "pruned"):
        folder.ledger.seed_done(number, 4, values, history)
    if state in ENDED:
        folder.ledger.end(number, state, values)
    return number


def checkpoints(folder: StudyFolder) -> set[int]:
    return {number for number in folder.ledger.trials if has_checkpoint(folder.checkpoint(number, 4))}


@pytest.mark.parametrize(("direction", "best"), [("maximize", {1, 3}), ("minimize", {0, 2})])
def test_the_best_and_the_unfinished_keep_theirs(tmp_path: Path, direction: str, best: set[int]) -> None:
    folder = new_folder(tmp_path, objectives={"wf1": direction})
    for value in (0.1, 0.4, 0.2, 0.3):
        add(folder, "complete", value)
    add(folder, "pruned", 0.9)
    add(folder, "failed")
    running = add(folder, "running")
    assert tidy(folder, keep=2) == 4 * 5
    assert checkpoints(folder) == best | {running}
    assert all(len(read_history(folder.checkpoint(number, 4))) == 2 for number in folder.ledger.trials)
    assert tidy(folder, keep=2) == 0


def test_the_base_configuration_keeps_its_until_it_is_scored_on_test(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    tidier = Tidier(folder, 1)
    for params, value in (({}, 0.1), (None, 0.4), (None, 0.2)):
        tidier.ended(folder.ledger.trials[add(folder, "complete", value, params=params)])
    assert checkpoints(folder) == {0, 1}
    assert needed(folder, 1) == {1}, "a lost one is no fault of the study"
    folder.ledger.test(0, 4, {"wf1": 0.2})
    assert tidy(folder, keep=1) == 5
    assert checkpoints(folder) == {1}


def test_the_front_stays_with_several_objectives(tmp_path: Path) -> None:
    folder = new_folder(tmp_path, objectives=TWO)
    for values in ((0.9, 0.9), (0.5, 0.5), (0.1, 0.1), (0.4, 0.6)):
        add(folder, "complete", *values)
    assert needed(folder, 1) == {0, 1, 2}


@given(data=st.data())
def test_step_by_step_and_at_once_come_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = new_folder(tmp_path_factory.mktemp("studies"))
    keep = data.draw(st.integers(1, 4))
    tidier = Tidier(folder, keep)
    states = st.sampled_from(["complete", "complete", "pruned", "failed", "running", "waiting"])
    for state in data.draw(st.lists(states, max_size=12)):
        values = [data.draw(st.integers(0, 5)) / 5] if state in ("complete", "pruned") else []
        trial = folder.ledger.trials[add(folder, state, *values)]
        if state in ENDED:
            tidier.ended(trial)
    before = checkpoints(folder)
    assert tidy(folder, keep) == 0
    unfinished = {trial.number for trial in folder.ledger.trials.values() if trial.state == "running"}
    assert before == needed(folder, keep) | unfinished


def test_a_later_driver_tidies_what_the_earlier_one_could_not(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    for value in (0.1, 0.2, 0.3):
        add(folder, "complete", value)
    Tidier(folder, 1).ended(folder.ledger.trials[add(folder, "complete", 0.05)])
    assert checkpoints(folder) == {2}


def test_a_population_keeps_everything_while_it_runs(tmp_path: Path) -> None:
    folder = new_folder(tmp_path, scheduler="pbt")
    tidier = Tidier(folder, 1)
    for _ in range(3):
        tidier.ended(folder.ledger.trials[add(folder, "complete", 0.5)])
    assert checkpoints(folder) == {0, 1, 2}


def test_the_epochs_of_a_checkpoint_without_a_history_are_kept(tmp_path: Path) -> None:
    history = [epoch(number) for number in (1, 2)]
    checkpoint.save(tmp_path, {"progress": {"history": [report.to_dict() for report in history]}})
    size = bytes_of(tmp_path)
    assert delete_checkpoint(tmp_path) == size > 0
    assert read_history(tmp_path) == history
    assert not has_checkpoint(tmp_path)


def test_a_checkpoint_that_cannot_be_deleted_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tune")
    folder = new_folder(tmp_path)
    number = add(folder, "pruned", 0.5)
    place = folder.checkpoint(number, 4)
    (place / "history.json").unlink()
    # A checkpoint whose epochs cannot be read stays.
    Tidier(folder, 1).ended(folder.ledger.trials[number])
    assert [line.partition(" (")[0] for line in caplog.messages] == [
        f"trial {number}: its checkpoint cannot be deleted"
    ]
    assert checkpoints(folder) == {number}


def test_rays_leftovers_go(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    add(folder, "pruned", 0.5)
    left = folder.path / "ray-tune" / "trial-1"
    left.mkdir(parents=True)
    (left / "params.pkl").write_bytes(b"123")
    expected = survey_waste(folder, 5)
    assert (expected.checkpoints, expected.freed) == (1, 8)
    assert clean(folder, 5) == expected
    assert not left.exists()
    assert survey_waste(folder, 5).freed == 0


def test_the_doctor_knows_how_few_were_kept(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    for value in (0.1, 0.2, 0.3):
        add(folder, "complete", value)
    clean(folder, 1)
    assert checkpoints(folder) == {2}
    assert kept_so_far(StudyFolder.open(tmp_path, "gammas")) == 1


def test_models_that_are_still_to_be_measured_keep_their_checkpoints(tmp_path: Path) -> None:
    study_definition = replace(definition("", keep=1, test="all"), plan={"evaluations": ["perturbation"]})
    folder = StudyFolder.create(tmp_path, study_definition)
    numbers = [add(folder, "complete", value / 10) for value in range(1, 5)]
    for number in numbers:
        folder.ledger.test(number, 4, {"wf1": 0.5})
    assert needed(folder, 1) == set(numbers)
    assert tidy(folder, 1) == 0
    plain = replace(study_definition, plan={})
    folder.definition = plain
    assert needed(folder, 1) == {numbers[-1]}
