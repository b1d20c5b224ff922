"""A study's copy in a database: made when a driver ends, replaced by the next one, and never in another's place."""

from pathlib import Path

import optuna
import pytest

from tests.tune.runner.sessions import Driver, definition, new_study
from tune.runner.optuna_export import export_study, note_copies, require_place
from tune.runner.study_driver import _copy
from tune.study.folder import StudyFolder
from tune.study.places import StudyError


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database of Optuna's without studies; making its tables takes seconds."""
    path = tmp_path_factory.mktemp("empty") / "optuna.db"
    optuna.storages.RDBStorage(f"sqlite:///{path}")
    return path.read_bytes()


@pytest.fixture
def url(tmp_path: Path, empty: bytes) -> str:
    (tmp_path / "optuna.db").write_bytes(empty)
    return f"sqlite:///{tmp_path}/optuna.db"


def states(url: str) -> list[str]:
    return [trial.state.name for trial in optuna.load_study(study_name="gammas", storage=url).get_trials()]


def half_a_study(tmp_path: Path, url: str) -> Driver:
    """A study of two trials, one of which has ended."""
    folder = new_study(tmp_path, trials=2, optuna=url)
    note_copies(folder)
    driver = Driver(folder)
    trial = driver.session.next()
    assert trial is not None
    driver.run(trial)
    assert driver.session.next() is not None
    return driver


def test_the_copy_is_replaced_by_that_of_the_next_driver(tmp_path: Path, url: str) -> None:
    driver = half_a_study(tmp_path, url)
    export_study(driver.folder)
    assert states(url) == ["COMPLETE", "RUNNING"]
    again = StudyFolder.open(tmp_path, "gammas")
    require_place(again.definition, again)
    Driver(again).work()
    export_study(again)
    assert states(url) == ["COMPLETE", "COMPLETE"]
    (copy,) = optuna.get_all_study_summaries(storage=url)
    assert copy.best_trial is not None
    assert copy.best_trial.value == max(trial.values[0] for trial in again.ledger.trials.values())


def test_ctrl_c_leaves_out_the_copy_alone(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, log_messages: list[str]
) -> None:
    def interrupt(_folder: StudyFolder) -> None:
        raise KeyboardInterrupt

    folder = new_study(tmp_path, optuna=url)
    monkeypatch.setattr("tune.runner.study_driver.export_study", interrupt)
    _copy(folder)
    assert log_messages == [
        f"copying the study to {url}; Ctrl-C leaves it out",
        "not copied: interrupted; dclf resume gammas copies the study again",
    ]


def test_another_study_of_the_name_is_refused_and_left_alone(tmp_path: Path, url: str) -> None:
    optuna.create_study(study_name="gammas", storage=url).enqueue_trial({"x": 1})
    driver = half_a_study(tmp_path, url)
    words = "holds another study named 'gammas'; choose another --name"
    with pytest.raises(StudyError, match=words):
        require_place(definition(optuna=url))
    with pytest.raises(StudyError, match=words):
        require_place(driver.folder.definition, driver.folder)
    with pytest.raises(StudyError, match=words):
        export_study(driver.folder)
    assert states(url) == ["WAITING"]


def test_the_state_that_the_version_before_kept_there_becomes_a_copy(tmp_path: Path, url: str) -> None:
    optuna.create_study(study_name="gammas", storage=url).enqueue_trial({"x": 1})
    folder = new_study(tmp_path, trials=1, optuna=url)
    require_place(folder.definition, folder)
    Driver(folder).work()
    export_study(folder)
    assert states(url) == ["COMPLETE"]
    export_study(StudyFolder.open(tmp_path, "gammas"))
    assert states(url) == ["COMPLETE"]


@pytest.mark.parametrize("place", ["sqlite:////none/optuna.db", "postgresql://me:geheim@127.0.0.1:9/studies"])
def test_a_database_that_does_not_answer_is_told_without_its_password(place: str) -> None:
    with pytest.raises(StudyError, match=r"sweep\.optuna: .*cannot be used .*; check address and access") as refusal:
        require_place(definition(optuna=place))
    assert "geheim" not in str(refusal.value)


def test_no_database_is_no_trouble(tmp_path: Path) -> None:
    folder = new_study(tmp_path)
    require_place(folder.definition, folder)
    note_copies(folder)
    assert folder.ledger.notes == []
