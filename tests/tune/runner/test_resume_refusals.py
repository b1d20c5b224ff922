"""What keeps a study from being resumed, told before anything of it is touched."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dclf.data import generate, read_shards, write_shards
from dclf.training.checkpoint import STATE_FILE
from tests.tune.runner.sessions import Driver, definition, new_study
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import ConfigError
from tune.study.folder import StudyFolder
from tune.study.places import StudyError
from tune.sweeps import _created, resume


def cut_study(storage: Path, shards: Path, **settings: Any) -> StudyFolder:
    """A study with one trial under way, whose driver is gone."""
    plain = definition(**settings)
    config = {**plain.config, "data": {**plain.config["data"], "shards": str(shards)}}
    sha256 = read_shards(shards).manifest.sha256
    folder = StudyFolder.create(storage, replace(plain, config=config, shards_sha256=sha256))
    driver = Driver(folder)
    trial = driver.session.next()
    assert trial is not None
    driver.session.start(trial)
    return folder


def test_checkpoints_of_the_version_before_are_refused_and_their_trials_can_still_go_on(
    tmp_path: Path, shards: Path
) -> None:
    folder = cut_study(tmp_path, shards)
    place = folder.checkpoint(0, 3)
    place.mkdir(parents=True)
    (place / STATE_FILE).write_bytes(b"DCLF state\n" + bytes(100))
    before = folder.ledger.path.read_bytes()
    with pytest.raises(StudyError, match=r"that of trial 0, seed 3 is of format 2; finish the study with the version"):
        resume("gammas", storage=str(tmp_path))
    assert folder.ledger.path.read_bytes() == before


def test_a_budget_is_checked_and_what_was_sound_when_the_study_began_is_not(tmp_path: Path, shards: Path) -> None:
    # The threshold is the version's own: earlier ones may have let other settings begin.
    cut_study(tmp_path, shards, stop_at=7.0)
    with pytest.raises(ConfigError) as error:
        resume("gammas", storage=str(tmp_path), time="soon")
    assert [problem.split(":")[0] for problem in error.value.problems] == ["sweep.time"]


def test_a_study_without_a_number_of_trials_keeps_a_time(tmp_path: Path, shards: Path) -> None:
    cut_study(tmp_path, shards, trials=0, time="1h")
    with pytest.raises(ConfigError, match=r"^sweep.trials: must be above 0, or sweep.time must say how long"):
        resume("gammas", storage=str(tmp_path), time="")


def test_there_are_no_fewer_trials_than_there_are_and_a_comparison_has_no_budget(tmp_path: Path, shards: Path) -> None:
    folder = cut_study(tmp_path, shards)
    for number in (1, 2):
        folder.ledger.create({"loss.gamma_ca": 0.1 * number}, optuna=number)
    with pytest.raises(ConfigError) as error:
        resume("gammas", storage=str(tmp_path), trials=2)
    rule = "must be at least 3, as many as there are, or 0 for no limit, is 2"
    assert list(error.value.problems) == [f"sweep.trials: {rule}"]
    cut_study(tmp_path / "compared", shards, test="all")
    with pytest.raises(ConfigError) as error:
        resume("gammas", storage=str(tmp_path / "compared"), trials=0, time="1h")
    assert [line.partition(";")[0] for line in error.value.problems] == [
        "sweep.trials: is for searches",
        "sweep.time: is for searches",
    ]


def test_shards_that_changed_are_refused(tmp_path: Path) -> None:
    def write(seed: int) -> Path:
        info, dialogues = generate("iemocap-small", 20, seed=seed)
        write_shards(dialogues, tmp_path / "shards", info, overwrite=True)
        return tmp_path / "shards"

    cut_study(tmp_path, write(seed=4))
    write(seed=5)
    with pytest.raises(StudyError, match="'gammas' began on other shards"):
        resume("gammas", storage=str(tmp_path), trials=2)


def test_a_name_that_was_made_up_and_is_taken_meanwhile_is_made_up_anew(tmp_path: Path) -> None:
    other = new_study(tmp_path)
    settings = SweepSettings(storage=str(tmp_path))
    assert _created(settings, other.definition, has_name=False).path.name == "gammas-2"
    with pytest.raises(StudyError, match="exists already"):
        _created(settings, other.definition, has_name=True)
