import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dclf.uris import sqlite_uri
from tests.tune.runner.sessions import definition, new_study
from tune.study.folder import StudyFolder
from tune.study.places import StudyError, study_names, study_path

HOLD = """
import sys
from tune.study.folder import StudyFolder
with StudyFolder.open(sys.argv[1], "gammas").locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@given(name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True))
def test_a_name_is_a_folder_of_its_own(name: str) -> None:
    path = study_path("studies", name)
    assert (path.parent, path.name) == (Path("studies").absolute(), name)


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "-x", "a b", "ä", "x" * 101, "a\n"])
def test_impossible_names_are_refused(name: str) -> None:
    with pytest.raises(StudyError, match="a study's name must be 1 to 100 letters"):
        study_path("studies", name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    trials=st.integers(0, 10**6),
    stop_at=st.none() | st.floats(0, 1),
    storage=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])),
    points=st.lists(st.dictionaries(st.sampled_from(["loss.gamma_ca", "model.name"]), st.floats(0, 1) | st.text())),
)
def test_a_definition_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    trials: int,
    stop_at: float | None,
    storage: str,
    points: list[dict[str, object]],
) -> None:
    study = definition(trials=trials, stop_at=stop_at, storage=storage, start_points=tuple(points))
    folder = tmp_path_factory.mktemp("definition")
    StudyFolder.create(folder, study)
    copy = StudyFolder.open(folder, "gammas").definition
    assert copy.base == study.base
    assert copy.sweep == study.sweep
    assert (copy.space, copy.created, copy.name) == (study.space, study.created, study.name)


def test_a_taken_name_is_refused_with_the_way_to_go_on(tmp_path: Path) -> None:
    new_study(tmp_path)
    with pytest.raises(StudyError, match=r"exists already .*\(dclf resume gammas\) or choose another --name"):
        new_study(tmp_path)


def test_an_unknown_study_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    new_study(tmp_path)
    assert study_names(tmp_path) == ["gammas"]
    with pytest.raises(StudyError, match=r"no study 'gamas' in .*; it has: gammas"):
        StudyFolder.open(tmp_path, "gamas")


def test_a_damaged_definition_is_named(tmp_path: Path) -> None:
    folder = new_study(tmp_path)
    (folder.path / "study.yaml").write_text("name: gammas\nwrong: 1\n")
    with pytest.raises(StudyError, match=r"study\.yaml: must be a study's definition, cannot be read"):
        StudyFolder.open(tmp_path, "gammas")


def test_a_larger_budget_is_remembered_and_the_definition_stays(tmp_path: Path) -> None:
    folder = new_study(tmp_path, trials=4)
    before = (folder.path / "study.yaml").read_bytes()
    folder.extend(trials=9)
    assert folder.definition.sweep.trials == 9
    assert StudyFolder.open(tmp_path, "gammas").definition.sweep.trials == 9
    assert (folder.path / "study.yaml").read_bytes() == before


def test_a_study_has_one_driver_and_a_killed_one_holds_no_lock(tmp_path: Path) -> None:
    folder = new_study(tmp_path)
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StudyError, match=f"is being worked on by process {other.pid} on "), folder.locked():
            pytest.fail("two drivers hold the lock")
        other.kill()
    with folder.locked():
        pass


def test_what_another_driver_did_meanwhile_is_known_once_locked(tmp_path: Path) -> None:
    early, other = new_study(tmp_path), StudyFolder.open(tmp_path, "gammas")
    with other.locked():
        other.ledger.create({"loss.window": 3})
    with early.locked():
        assert early.ledger.create({"loss.window": 4}).number == 1


def test_a_study_that_was_moved_names_what_came_along(tmp_path: Path) -> None:
    original, new = tmp_path / "original", tmp_path / "new"
    (original / "shards").mkdir(parents=True)
    (original / "mlflow.db").touch()
    study = definition(optuna=sqlite_uri(original / "optuna.db"))
    config = {
        **study.config,
        "data": {"shards": str(original / "shards")},
        "track": {"uri": sqlite_uri(original / "mlflow.db")},
    }
    StudyFolder.create(original / "studies", replace(study, config=config))
    original.rename(new)
    copy = StudyFolder.open(new / "studies", "gammas").definition
    assert copy.base.data.shards == str(new / "shards")
    assert copy.base.track.uri == sqlite_uri(new / "mlflow.db")
    assert copy.sweep.optuna == sqlite_uri(original / "optuna.db"), "it lay outside the study, and is not there"
    (new / "optuna.db").touch()
    assert StudyFolder.open(new / "studies", "gammas").definition.sweep.optuna == sqlite_uri(new / "optuna.db")
    new.rename(original)
    assert StudyFolder.open(original / "studies", "gammas").definition.base.track.uri == sqlite_uri(
        original / "mlflow.db"
    )
