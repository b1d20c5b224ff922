"""Trials that cannot be trained are reported as what they are, and do not stop the others."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.tune.runner.outcome import check_optuna, check_runs
from tests.tune.runner.processes import Processes
from tests.tune.runner.ray_nodes import Nodes
from tests.tune.runner.victims import Victim
from tune.tracking.store import connect

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(900)]
SPACE = {
    "train.lr": {"choices": [3e-4, 1e30]},
    "model.options.hidden": {"choices": [12, 3_000_000]},
    "loss.gamma_ca": {"low": 0.0, "high": 1.0, "step": 0.5},
}
SOUND = {"train.lr": 3e-4, "model.options.hidden": 12}
POINTS = [SOUND | {"train.lr": 1e30}, SOUND | {"model.options.hidden": 3_000_000}, SOUND | {"loss.gamma_ca": 0.5}]


@pytest.fixture
def victim(tmp_path: Path, shards: Path, sqlite_uri: str, cluster: tuple[Nodes, Processes]) -> Iterator[Victim]:
    nodes, processes = cluster
    options = {"sweep.space": yaml.safe_dump(SPACE), "sweep.start_points": yaml.safe_dump(POINTS), "loss.gamma_ca": "1"}
    made = Victim(tmp_path, shards, sqlite_uri, processes, 4, nodes.address, options)
    yield made
    made.saves.close()


def test_a_nan_loss_and_a_lack_of_memory_fail_their_trials_alone(victim: Victim) -> None:
    driver = victim.go_on()
    assert driver.end() == 0, driver.output
    trials = victim.study.ledger.trials
    assert [trial.params["loss.gamma_ca"] for trial in trials.values()] == [1.0, 1.0, 1.0, 0.5]
    assert [trial.state for trial in trials.values()] == ["complete", "failed", "failed", "complete"]
    assert trials[1].reason.startswith("NonFiniteLossError: ")
    assert trials[2].reason.startswith("out of memory (")
    assert "smaller batch or model" in trials[2].reason
    for trial in (trials[1], trials[2]):
        assert trial.reason in driver.output
    assert set(victim.saves.counts().values()) == {6}
    check_optuna(victim.study)
    check_runs(victim.study, connect(victim.uri, "dclf"))
