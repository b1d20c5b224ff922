import errno
import pickle

import pytest
import torch
from ray.exceptions import ActorDiedError
from ray.train import ControllerError, TrainingFailedError, WorkerGroupError

from cluster.failures import TrainingError, explained, is_lasting, portable
from cluster.storage import StorageError
from dclf.data import DataError, ShardError
from dclf.objective import NonFiniteLossError
from dclf.training.checkpoint import CheckpointError

LASTING = [
    DataError(["dialogue 'd1': NaN"]),
    ShardError("train-00000.arrow is damaged"),
    NonFiniteLossError("ca is nan"),
    CheckpointError("broken"),
    StorageError("full"),
    ValueError("gpu"),
    OSError(errno.ENOSPC, "No space left on device"),
]
PASSING = [
    ActorDiedError(),
    RuntimeError("Connection closed by peer"),
    torch.distributed.DistBackendError("timeout"),
    ConnectionResetError(errno.ECONNRESET, "reset"),
]


@pytest.mark.parametrize("error", LASTING, ids=lambda error: type(error).__name__)
def test_what_a_restart_would_meet_again_ends_the_run_as_it_was(error: Exception) -> None:
    assert is_lasting(error)
    carried = portable(error)
    assert type(carried) is type(error)
    back = pickle.loads(pickle.dumps(carried))
    assert (type(back), str(back)) == (type(error), str(error))
    beside_a_lost_worker: TrainingFailedError = WorkerGroupError("", {0: RuntimeError("peer"), 1: error})
    assert explained(beside_a_lost_worker, 0) is error
    assert explained(ControllerError(ControllerError(error)), 0) is error


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_what_a_restart_may_cure_is_told_with_rank_and_remedy(error: Exception) -> None:
    assert not is_lasting(error)
    told = explained(WorkerGroupError("a wall of traceback", {1: error}), 2)
    assert isinstance(told, TrainingError)
    assert "worker 1" in str(told)
    assert "after 2 restarts" in str(told)
    assert "resume the run" in str(told)
    assert "wall" not in str(told)


def test_an_error_that_cannot_travel_is_told_in_words() -> None:
    class Stubborn(Exception):  # noqa: N818
        def __init__(self, number: int) -> None:
            super().__init__(f"number {number}")

    told = portable(Stubborn(3))
    assert isinstance(told, TrainingError)
    assert str(told) == "Stubborn: number 3"


def test_workers_that_cannot_start_point_to_the_cluster() -> None:
    told = explained(ControllerError(RuntimeError("no placement group")), 0)
    assert isinstance(told, TrainingError)
    assert "could not be started" in str(told)


def test_a_cluster_that_is_gone_is_told_with_the_remedy() -> None:
    # The controller's own end: the head's processes were killed, or the driver's node.
    told = explained(ActorDiedError(), 0)
    assert isinstance(told, TrainingError)
    assert "the cluster lost the process that led the training" in str(told)
    assert "resume the run" in str(told)
