"""The recorder takes up the right runs: its own study's parent, and the winner's run of an earlier driver."""

from pathlib import Path
from typing import Any

import pytest

from tests.tune.runner.study_writer import SEED, Writer, definition
from tune.runner.doctor import Doctor
from tune.runner.recorder import StudyRecorder
from tune.study.definition import StudyDefinition
from tune.study.folder import StudyFolder
from tune.study.parent import parent_id
from tune.tracking.children import KIND_TAG, STUDY_TAG
from tune.tracking.reopening import create_run
from tune.tracking.store import Store, connect

CARD: dict[str, Any] = {"dataset": "demo", "sha256": "0" * 64}


@pytest.fixture
def store(sqlite_uri: str) -> Store:
    return connect(sqlite_uri, "dclf")


def test_an_earlier_study_of_the_same_name_keeps_its_parent(tmp_path: Path, store: Store) -> None:
    earlier = create_run(store, "gammas", {STUDY_TAG: "gammas", KIND_TAG: "sweep"}).run_id
    study_definition = definition(store.uri)
    later = {**vars(study_definition), "created": "2999-01-01T00:00:00+00:00"}
    folder = StudyFolder.create(tmp_path, StudyDefinition(**later))
    recorder = StudyRecorder(store, folder)
    assert recorder.open(CARD) != earlier
    recorder.close("FINISHED", "finished")


def test_the_winner_of_an_earlier_driver_gets_its_test_scores(tmp_path: Path, store: Store) -> None:
    Writer(tmp_path, store).write()
    Doctor(tmp_path).mend("gammas")
    folder = StudyFolder.open(tmp_path, "gammas")
    recorder = StudyRecorder(store, folder)
    assert recorder.open(CARD) == parent_id(folder)
    folder.ledger.test(0, SEED, {"wf1": 0.25})
    recorder.tested(0, SEED)
    recorder.close("FINISHED", "finished")
    run = store.client.get_run(folder.ledger.trials[0].runs[SEED].run_id)
    assert (run.data.metrics["test/wf1"], run.info.status) == (0.25, "FINISHED")
