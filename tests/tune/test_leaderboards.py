"""A leaderboard from Python: one study, which a second call finds finished and draws again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dclf.data import generate, write_shards
from tune import leaderboard, plan_leaderboard
from tune.analysis.comparison.leaderboard import entries_of
from tune.runner.evaluations import concluded
from tune.runner.named_study import NamedStudy
from tune.study.places import StudyError
from tune.tracking.store import open_client

pytestmark = [pytest.mark.ray, pytest.mark.mlflow]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("leaderboard")
    info, dialogues = generate("iemocap-small", 8, 1)
    write_shards(dialogues, folder / "shards", info)
    return folder


def planned(place: Path, draws: int = 1, **changed: Any) -> NamedStudy:
    keys = {
        "sweep.storage": str(place / "studies"),
        "sweep.concurrency": 2,
        "track.uri": f"sqlite:///{place}/mlflow.db",
        "train.epochs": 1,
        "train.batch_size": 8,
        "train.device": "cpu",
        **changed,
    }
    return plan_leaderboard(place / "shards", models=["dialogue_rnn"], seeds=1, draws=draws, overrides=keys)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_second_call_takes_everything_over_and_draws_again(place: Path, local_ray: None) -> None:
    plan = planned(place)
    assert repr(plan).splitlines()[0] == f"planned study {plan.name}: 2 trainings"
    assert len(repr(plan).splitlines()) == 2 + 2
    study = leaderboard(plan)
    assert concluded(study.folder)
    entries = entries_of(study.folder)
    rows = [(entry.variant.model, entry.variant.part) for entry in entries]
    assert rows == [("dialogue_rnn", "base"), ("dialogue_rnn", "none")]
    for entry in entries:
        assert len(entry.variant.test) == len(entry.drops) == 1
        assert entry.speed is not None
        assert entry.speed.parameters > 1000
        assert entry.speed.utterance_ms is not None
        assert entry.speed.epoch_s[0] > 0
    client = open_client(f"sqlite:///{place}/mlflow.db")
    assert {file.path for file in client.list_artifacts(study.run_id)} >= {"report.html", "tables"}
    assert "tables/leaderboard.csv" in {file.path for file in client.list_artifacts(study.run_id, "tables")}

    ledger, page = study.folder.ledger.path.read_bytes(), study.report
    assert page is not None
    before = page.read_text()
    page.write_text("")
    again = leaderboard(planned(place))
    assert again.folder.ledger.path.read_bytes() == ledger, "nothing was worked on"
    assert page.read_text() == before

    with pytest.raises(StudyError, match="compares something else"):
        leaderboard(replace(planned(place, **{"train.epochs": 2}), name=plan.name))

    other = leaderboard(planned(place, draws=0))
    reused = [note for note in other.folder.ledger.notes if note["kind"] == "reused"]
    assert len(reused) == 2, "another test trains nothing anew"
    assert not any(entry.drops for entry in entries_of(other.folder))
