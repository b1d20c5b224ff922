"""Optuna's study of a driver that took over is that of one that worked all along."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from tests.tune.runner.outcome import check_optuna
from tests.tune.runner.sessions import EPOCHS, SPACE, Driver, new_study, report
from tune.runner.optuna_study import JOURNAL, LiveStudy, load_study
from tune.search.pruners import make_pruner
from tune.search.samplers import make_sampler
from tune.search.space import Space
from tune.study.folder import StudyFolder
from tune.study.history import write_history

SEARCHES = [
    ("tpe", "asha", {}),
    ("tpe", "hyperband", {}),
    ("tpe", "median", {}),
    ("cmaes", "asha", {}),
    ("cmaes", "none", {}),
    ("nsga2", "none", {}),
    ("random", "hyperband", {"seeds": 2}),
    ("grid", "none", {}),
    pytest.param("gp", "none", {}, marks=pytest.mark.slow),
]


def reopened(folder: StudyFolder) -> StudyFolder:
    """As the next driver finds it."""
    return StudyFolder.open(folder.path.parent, folder.definition.name)


def content(study: optuna.Study) -> list[tuple[Any, ...]]:
    """All that samplers and pruners see of a study."""
    return [
        (t.number, t.state, rounded(t.params), t.distributions, t.values, t.intermediate_values, t.system_attrs)
        for t in study.get_trials()
        if t.state != TrialState.WAITING
    ]


def rounded(params: dict[str, Any]) -> dict[str, float]:
    """The ledger has 0.15 where Optuna's steps lead to 0.15000000000000002."""
    return {key: round(value, 9) for key, value in params.items()}


def next_points(driver: Driver) -> list[dict[str, Any]]:
    """What a fresh sampler asks for, with a fixed seed."""
    study, space = driver.study.study, Space.of(SPACE)
    study.sampler = make_sampler(driver.folder.definition.sweep, space, 17)
    return [space.suggest(study.ask()) for _ in range(2)]


@pytest.mark.parametrize(("sampler", "scheduler", "more"), SEARCHES)
@settings(max_examples=2, deadline=None, phases=[Phase.explicit, Phase.generate])
@example(trials=13, epochs=1)
@given(trials=st.integers(0, 9), epochs=st.integers(0, EPOCHS - 1))
def test_a_driver_that_took_over_goes_on_as_the_one_before(
    sampler: str, scheduler: str, more: dict[str, Any], trials: int, epochs: int
) -> None:
    options = {"sampler": sampler, "scheduler": scheduler, "startup_trials": 3, "grace_epochs": 1, **more}
    with TemporaryDirectory() as place:
        folder = new_study(Path(place), trials=20, **options)
        first = Driver(folder)
        for _ in range(trials):
            trial = first.session.next()
            assert trial is not None
            first.run(trial)
            assert content(load_study(reopened(folder))) == content(first.study.study)
        begin(first, epochs)
        left, points = content(first.study.study), next_points(first)
        second = Driver(reopened(folder))
        assert content(second.study.study) == content(load_study(reopened(folder))) == left
        assert [t.optuna for t in second.folder.ledger.trials.values()] == list(range(trials + 1))
        assert next_points(second) == points


def begin(driver: Driver, epochs: int) -> None:
    """A trial whose driver is killed after some epochs."""
    trial = driver.session.next()
    assert trial is not None
    driver.session.start(trial)
    for epoch in range(1, epochs + 1):
        step = driver.step_of(trial, 3, epoch)
        write_history(driver.folder.checkpoint(trial.number, 3), step.reports)
        driver.session.record_step(step)


def test_population_and_parents_of_nsga2_survive(tmp_path: Path) -> None:
    folder = new_study(tmp_path, trials=20, sampler="nsga2")
    driver = Driver(folder)
    driver.work()
    # The first trial, a start point, was not the sampler's.
    drawn = [trial.system_attrs for trial in folder.ledger.trials.values() if trial.origin == "search"]
    generations = {attrs["NSGAIISampler:generation"] for attrs in drawn}
    assert len(generations) > 2
    assert sum(key.startswith("NSGAIISampler:parent:") for key in folder.ledger.study_attrs) == len(generations) - 1
    assert reopened(folder).ledger.study_attrs == folder.ledger.study_attrs


def test_an_unfinished_trial_goes_on_being_reported_and_judged(tmp_path: Path) -> None:
    good, bad = {"loss.gamma_ca": 1.0}, {"loss.gamma_ca": 0.0}
    folder = new_study(tmp_path, trials=4, scheduler="asha", startup_trials=1, grace_epochs=1, start_points=(good, bad))
    first = Driver(folder)
    for _ in range(2):
        trial = first.session.next()
        assert trial is not None
        first.run(trial)
    left = first.session.next()
    assert left is not None
    first.session.start(left)
    second = Driver(reopened(folder))
    (running,) = second.study.study.get_trials(states=(TrialState.RUNNING,))
    assert running.number == left.number
    again = second.session.next()
    assert again is not None
    second.run(again)
    ended = second.folder.ledger.trials[left.number]
    assert ended.state == "pruned"
    assert ended.curve == (pytest.approx(0.13),)
    assert ended.system_attrs["completed_rung_0"] == pytest.approx(0.13)


def test_a_ledger_of_the_version_before_is_read(tmp_path: Path) -> None:
    """It has neither attributes nor curves, and numbers that Optuna gave away for nothing."""
    folder = new_study(tmp_path, trials=3)
    ledger = folder.ledger
    for number in (0, 2):
        point = {"loss.gamma_ca": 0.25, "loss.window": 3 + number}
        ledger.create(point, optuna=number)
    values = [0.3, 0.5, 0.4]
    write_history(folder.checkpoint(0, 3), [report(epoch, values) for epoch in (1, 2, 3)])
    ledger.seed_done(0, 3, (0.5,), 3)
    ledger.end(0, "complete", (0.5,))
    assert "curve" not in ledger.path.read_text()
    study = Driver(reopened(folder)).study.study
    frozen = study.get_trials()[:3]
    assert [(trial.state.name, trial.values) for trial in frozen] == [
        ("COMPLETE", [0.5]),
        ("FAIL", None),
        ("RUNNING", None),
    ]
    assert frozen[0].intermediate_values == {1: 0.3, 2: 0.5, 3: 0.5}
    assert frozen[1].params == {}
    driver = Driver(reopened(folder))
    driver.work()
    assert [trial.optuna for trial in driver.folder.ledger.trials.values()] == [0, 2, 3]
    states = [trial.state.name for trial in load_study(driver.folder).get_trials()]
    assert states == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]


def deleted(path: Path) -> None:
    path.unlink()


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def locked(path: Path) -> None:
    path.with_name(f"{path.name}.lock").symlink_to(path)
    path.with_name(f".{path.name}.1.lock").symlink_to(path)


@pytest.mark.parametrize("harm", [deleted, torn, locked])
def test_what_a_kill_does_to_the_journal_holds_up_nobody(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    folder = new_study(tmp_path, trials=3)
    first = Driver(folder)
    trial = first.session.next()
    assert trial is not None
    first.run(trial)
    harm(folder.path / JOURNAL)
    start = time.monotonic()
    second = Driver(reopened(folder))
    second.work()
    assert time.monotonic() - start < 20
    assert second.ran == [1, 2]
    check_optuna(second.folder)
    assert [path.name for path in folder.path.glob("*optuna*")] == [JOURNAL]


def test_others_see_the_trials_while_the_driver_works(tmp_path: Path) -> None:
    driver = Driver(new_study(tmp_path, trials=2))
    trial = driver.session.next()
    assert trial is not None
    driver.session.record_step(driver.step_of(trial, 3, 2))
    backend = JournalFileBackend(str(tmp_path / "gammas" / JOURNAL))
    (optuna_trial,) = optuna.load_study(study_name="gammas", storage=JournalStorage(backend)).get_trials()
    assert (optuna_trial.state, optuna_trial.last_step) == (TrialState.RUNNING, 2)


def test_times_are_those_of_the_ledger(tmp_path: Path) -> None:
    folder = new_study(tmp_path, trials=1)
    Driver(folder).work()
    lines = [json.loads(line) for line in folder.ledger.path.read_text().splitlines()]
    folder.ledger.path.write_text("".join(json.dumps({**line, "time": line["time"] - 7200}) + "\n" for line in lines))
    (trial,) = load_study(reopened(folder)).get_trials()
    assert trial.datetime_start is not None
    assert trial.datetime_complete is not None
    assert 7190 < time.time() - trial.datetime_complete.timestamp() < 7300
    assert trial.datetime_start <= trial.datetime_complete


@pytest.mark.slow
def test_five_thousand_trials_are_there_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_study(tmp_path, trials=5002, sampler="tpe", scheduler="asha")
    first = Driver(folder)
    first.run(first.session.next())  # type: ignore[arg-type]
    one = folder.ledger.trials[0]
    lines = [json.loads(line) for line in folder.ledger.path.read_text().splitlines()]
    own = [
        {**line, "curve": [0.5 + 0.001 * epoch for epoch in range(60)]} if "curve" in line else line for line in lines
    ]
    copies = [
        {**line, "number": number, **({"optuna": number} if "optuna" in line else {})}
        for number in range(1, 5000)
        for line in own
        if line.get("number") == one.number
    ]
    folder.ledger.path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, *copies]))
    start = time.process_time()
    study = Driver(reopened(folder)).study
    took = time.process_time() - start
    assert isinstance(study, LiveStudy)
    assert len(study.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) == 5000
    print(f"{took:.1f} s")
    assert took < 10


def test_a_pruner_that_ends_nothing(tmp_path: Path) -> None:
    folder = new_study(tmp_path, trials=1, scheduler="none")
    assert make_pruner(folder.definition.sweep, EPOCHS) is None
    driver = Driver(folder)
    driver.work()
    assert folder.ledger.trials[0].curve is not None
    assert len(folder.ledger.trials[0].curve) == EPOCHS
