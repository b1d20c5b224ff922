"""Trials of earlier studies reach the sampler once, as far as the new space can express them."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from dclf.config import Config
from tests.tune.runner.sessions import Driver
from tests.tune.runner.study_writer import definition
from tune.config.settings import ConfigError
from tune.config.sweep_settings import SweepSettings
from tune.runner.optuna_study import load_study
from tune.runner.warm_start import SOURCE, warm_start, warm_start_problems
from tune.search.samplers import make_sampler
from tune.search.space import Space
from tune.study.definition import StudyDefinition
from tune.study.folder import StudyFolder
from tune.sweeps import sweep


@pytest.fixture
def earlier(tmp_path: Path) -> StudyFolder:
    """Two complete trials, a pruned, a failed and a running one."""
    folder = StudyFolder.create(tmp_path, definition("", "earlier"))
    for number, (gamma, window, state, value) in enumerate(
        [
            (0.5, 4, "complete", 0.6),
            (0.7, 12, "complete", 0.7),
            (0.1, 3, "pruned", 0.2),
            (0.2, 3, "failed", None),
            (0.3, 3, "", None),
        ]
    ):
        folder.ledger.create({"loss.gamma_ca": gamma, "loss.window": window}, optuna=number)
        folder.ledger.start(number, 4)
        if value is not None:
            folder.ledger.seed_done(number, 4, (value,), 3)
        if state:
            folder.ledger.end(number, state, () if value is None else (value,))
    return folder


def later(storage: Path, space: dict[str, Any] | None = None, **settings: Any) -> StudyFolder:
    study_definition = definition("", "later", warm_start=("earlier",), **settings)
    spec = study_definition.space if space is None else Space.of(space).spec
    return StudyFolder.create(storage, StudyDefinition(**{**vars(study_definition), "space": spec}))


def test_finished_trials_are_known_and_are_none_of_the_studys_own(tmp_path: Path, earlier: StudyFolder) -> None:
    folder = later(tmp_path)
    assert warm_start(folder) == ["warm start: 3 trials of study earlier are known to the sampler"]
    trials = load_study(folder).get_trials()
    assert [(t.state, t.values, t.params, t.user_attrs[SOURCE]) for t in trials] == [
        (TrialState.COMPLETE, [0.6], {"loss.gamma_ca": 0.5, "loss.window": 4}, "earlier/0"),
        (TrialState.COMPLETE, [0.7], {"loss.gamma_ca": 0.7, "loss.window": 12}, "earlier/1"),
        (TrialState.PRUNED, None, {"loss.gamma_ca": 0.1, "loss.window": 3}, "earlier/2"),
    ]
    assert trials[2].intermediate_values == {3: 0.2}
    assert folder.ledger.trials == {}


def test_a_later_driver_needs_no_other_study(tmp_path: Path, earlier: StudyFolder) -> None:
    folder = later(tmp_path)
    warm_start(folder)
    before = content(folder)
    shutil.rmtree(earlier.path)
    again = StudyFolder.open(tmp_path, "later")
    assert warm_start(again) == []
    assert content(again) == before


def test_they_come_before_the_studys_own_trials(tmp_path: Path, earlier: StudyFolder) -> None:
    folder = later(tmp_path, trials=3, sampler="random")
    warm_start(folder)
    Driver(folder).work()
    again = StudyFolder.open(tmp_path, "later")
    assert [trial.optuna for trial in again.ledger.trials.values()] == [3, 4, 5]
    assert [SOURCE in trial.user_attrs for trial in load_study(again).get_trials()] == [True] * 3 + [False] * 3


def test_a_study_of_the_version_before_reads_them_anew(tmp_path: Path, earlier: StudyFolder) -> None:
    """Its ledger does not have them; Optuna had numbered them before the study's own trials."""
    folder = later(tmp_path)
    for number in (2, 3):  # that version had found two
        folder.ledger.create({"loss.gamma_ca": 0.9, "loss.window": number}, optuna=number)
    assert len(warm_start(folder)) == 1
    windows = [trial.params["loss.window"] for trial in load_study(folder).get_trials()]
    assert windows == [4, 12, 2, 3, 3]


def content(folder: StudyFolder) -> list[tuple[Any, ...]]:
    return [(t.state, t.values, t.params, t.intermediate_values, t.user_attrs) for t in load_study(folder).get_trials()]


@pytest.mark.parametrize(
    ("space", "used", "because"),
    [
        (
            {"loss.gamma_ca": {"low": 0.0, "high": 1.0}, "loss.window": {"low": 1, "high": 9, "int": True}},
            2,
            "loss.window: must be",
        ),
        ({"loss.gamma_ca": {"low": 0.0, "high": 1.0}}, 0, "loss.window is not searched here and was"),
        (
            {
                "loss.gamma_ca": {"low": 0.0, "high": 1.0},
                "loss.window": {"choices": [3, 4]},
                "loss.temperature": {"low": 0.01, "high": 1.0, "log": True},
            },
            2,
            "loss.window: must be",
        ),
    ],
)
def test_what_the_space_cannot_express_is_told(
    tmp_path: Path, earlier: StudyFolder, space: dict[str, Any], used: int, because: str
) -> None:
    folder = later(tmp_path, space)
    (line,) = warm_start(folder)
    assert line.startswith(f"warm start: {used} trials of study earlier")
    assert f"{3 - used} cannot be used" in line
    assert because in line
    # A key that the earlier study did not search had its base configuration's value.
    assert all(set(trial.params) == set(space) for trial in load_study(folder).get_trials())


def test_another_objective_is_told(tmp_path: Path, earlier: StudyFolder) -> None:
    (line,) = warm_start(later(tmp_path, objectives={"wa": "maximize"}))
    assert "3 cannot be used (3 because that study has no objective wa)" in line


def test_a_study_that_is_gone_is_told(tmp_path: Path) -> None:
    (line,) = warm_start(later(tmp_path))
    assert line.startswith("warm start: nothing of study earlier can be used: no study 'earlier'")


def test_the_sampler_learns_from_them(tmp_path: Path, earlier: StudyFolder) -> None:
    for number in range(5, 40):
        gamma = round(0.05 * (number % 21), 2)
        earlier.ledger.create({"loss.gamma_ca": gamma, "loss.window": 4}, optuna=number)
        earlier.ledger.seed_done(number, 4, (1 - abs(gamma - 0.9),), 3)
        earlier.ledger.end(number, "complete", (1 - abs(gamma - 0.9),))
    folder = later(tmp_path, startup_trials=5)
    space = Space.of(folder.definition.space, folder.definition.base)
    warm_start(folder)
    study = load_study(folder)
    study.sampler = make_sampler(folder.definition.sweep, space, 0)
    suggestions = [space.suggest(study.ask())["loss.gamma_ca"] for _ in range(10)]
    assert sum(gamma > 0.6 for gamma in suggestions) >= 7


@pytest.mark.parametrize("sampler", ["grid", "random", "listed"])
def test_unknown_studies_and_samplers_that_learn_nothing_are_mistakes(
    tmp_path: Path, earlier: StudyFolder, sampler: str
) -> None:
    settings = SweepSettings(storage=str(tmp_path), warm_start=("earlier", "none-such"), sampler=sampler)
    assert warm_start_problems(settings) == [
        f"sweep.warm_start: must be empty with sampler {sampler}, which learns nothing from earlier trials",
        f"sweep.warm_start: no study 'none-such' in {tmp_path}; it has: earlier",
    ]


def test_they_are_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no study 'none-such'"):
        sweep(Config(), SweepSettings(storage=str(tmp_path), warm_start=("none-such",)))
    assert list(tmp_path.iterdir()) == []
