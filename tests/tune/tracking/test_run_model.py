"""The model that a run has logged, fetched from a server."""

from pathlib import Path

import pytest

from dclf.inference import load_model
from tests.tune.tracking.samples import CARD, CONFIG, final, save_trained
from tests.tune.tracking.server import Server
from tune.tracking.run import RunTracker
from tune.tracking.run_model import load_run_model
from tune.tracking.store import connect


@pytest.mark.mlflow
def test_a_servers_model_is_fetched(server: Server, tmp_path: Path) -> None:
    trained = save_trained(tmp_path / "model")
    with RunTracker(connect(server.uri, "dclf"), tmp_path) as tracker:
        tracker.start(CONFIG, CARD)
        tracker.finish(final(1), trained)
    record, fetched = load_run_model(server.uri, tracker.run_id)
    assert record.status == "FINISHED"
    for name, tensor in load_model(trained).model.state_dict().items():
        assert tensor.equal(fetched.model.state_dict()[name])
