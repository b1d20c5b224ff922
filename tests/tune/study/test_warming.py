"""When importing for the trials begins before the driver's own."""

import pytest

from cluster.warm import _begun
from dclf.config import Config, TrainConfig
from tune.search.settings import SweepSettings
from tune.study.warming import ready_for_trials, warming


def test_it_begins_for_trials_in_their_own_process_on_a_local_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    config = Config(train=TrainConfig(cpus_per_worker=2))
    with warming(config, SweepSettings(), None):
        (made,) = _begun
        assert made.ready == ready_for_trials(config)
        assert made.ready.threads == 2
    assert _begun == []


@pytest.mark.parametrize(
    ("address", "variable", "workers"), [("127.0.0.1:6379", "", 0), (None, "127.0.0.1:6379", 0), (None, "", 2)]
)
def test_it_does_not_begin_where_they_run_elsewhere(
    monkeypatch: pytest.MonkeyPatch, address: str | None, variable: str, workers: int
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", variable)
    with warming(Config(), SweepSettings(workers_per_trial=workers), address):
        assert _begun == []
