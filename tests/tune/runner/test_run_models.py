"""What a run of a study holds beside its metrics, sent while the study goes on or by whoever finds it missing."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from dclf.inference import Predictor
from dclf.training import checkpoint
from tests.tune.runner.sessions import EPOCHS, Driver, new_study
from tests.tune.tracking.samples import trained_state
from tune.runner.doctor import Doctor
from tune.runner.recorder import StudyRecorder
from tune.runner.replay import Replay
from tune.runner.run_models import note_models
from tune.study.folder import StudyFolder
from tune.study.history import write_history
from tune.study.ranking import best_trial
from tune.tracking.run_model import logged_model
from tune.tracking.store import Store, connect

SEED = 3
CARD = {"dataset": "demo", "sha256": "0" * 64}


@pytest.fixture
def store(sqlite_uri: str) -> Store:
    return connect(sqlite_uri, "dclf")


def contents(store: Store, run_id: str, folder: Path) -> dict[str, str]:
    """Path -> text of the run's artifacts."""
    folder.mkdir()
    place = Path(store.client.download_artifacts(run_id, "", str(folder)))
    return {path.relative_to(place).as_posix(): path.read_text() for path in place.rglob("*") if path.is_file()}


def worked(folder: StudyFolder, store: Store, *, concluded: bool) -> int:
    """Train and score the study; the winner."""
    recorder = StudyRecorder(store, folder)
    recorder.open(CARD)
    driver = Driver(folder, recorder)
    driver.work()
    for number, trial in folder.ledger.trials.items():
        # As trials leave them.
        write_history(folder.checkpoint(number, SEED), driver.step_of(trial, SEED, EPOCHS).reports)
        checkpoint.save(folder.checkpoint(number, SEED), trained_state())
    best = best_trial(folder)
    assert best is not None
    driver.session.record_test(best.number, SEED, {"wf1": 0.5, "f1/sad": 0.25}, [[7]])
    if concluded:
        driver.session.conclude()
    recorder.close("FINISHED", "finished")
    return best.number


def is_trained(predictor: Predictor | None) -> bool:
    weights = trained_state()["progress"]["best_model"]
    return predictor is not None and all(
        torch.equal(tensor, weights[name]) for name, tensor in predictor.model.state_dict().items()
    )


@pytest.mark.slow
def test_a_run_holds_configuration_matrices_and_model_and_again_when_all_is_sent_once_more(
    tmp_path: Path, store: Store
) -> None:
    folder = new_study(tmp_path, uri=store.uri, trials=2)
    winner = worked(folder, store, concluded=True)
    runs = {number: trial.runs[SEED].run_id for number, trial in folder.ledger.trials.items()}
    before = {number: contents(store, run_id, tmp_path / f"live{number}") for number, run_id in runs.items()}
    for number, files in before.items():
        config = yaml.safe_load(files["config.yaml"])
        assert config["loss"]["window"] == folder.ledger.trials[number].params["loss.window"]
        assert config["train"]["seed"] == SEED
        matrix = json.loads(files["results/confusion_val.json"])
        assert matrix == {"classes": ["sad"], "rows": "true", "confusion": [[EPOCHS]]}, "of the best epoch"
        assert ("results/confusion_test.json" in files) == (number == winner)
        assert is_trained(logged_model(store.uri, runs[number])) == (number == winner)
    assert json.loads(before[winner]["results/confusion_test.json"])["confusion"] == [[7]]
    assert Doctor(tmp_path).look(folder.definition.name).agrees
    with StudyFolder.open(tmp_path, folder.definition.name).locked():
        for number in runs:
            Replay(folder, store).training(number, SEED)
    assert {number: contents(store, run_id, tmp_path / f"again{number}") for number, run_id in runs.items()} == before
    assert len(store.client.get_run(runs[winner]).outputs.model_outputs) == 1, "the model is there once"


def test_a_model_that_a_kill_kept_from_mlflow_is_missed_and_sent(tmp_path: Path, store: Store) -> None:
    folder = new_study(tmp_path, uri=store.uri, trials=2)
    winner = worked(folder, store, concluded=False)
    assert note_models(folder) == [(winner, SEED)]
    assert note_models(folder) == [], "once"
    (finding,) = Doctor(tmp_path).look(folder.definition.name).findings
    assert "lacks its model" in finding.problem
    assert Doctor(tmp_path).mend(folder.definition.name).agrees
    assert is_trained(logged_model(store.uri, folder.ledger.trials[winner].runs[SEED].run_id))
