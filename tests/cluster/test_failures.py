import errno
import pickle

import pytest
import torch
from ray.exceptions import ActorDiedError
from ray.train import ControllerError, TrainingFailedError, WorkerGroupError

from cluster.failures import NoRoomError, TrainingError, explained, is_lasting, own_errors, portable, repeated_error
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
    failure = explained(WorkerGroupError("a wall of traceback", {1: error}), 2)
    assert isinstance(failure, TrainingError)
    assert "worker 1" in str(failure)
    assert "after 2 restarts" in str(failure)
    assert "resume the run" in str(failure)
    assert "wall" not in str(failure)


def test_what_a_worker_says_of_itself_is_not_told_as_its_loss() -> None:
    shape = RuntimeError("mat1 and mat2 shapes cannot be multiplied (8x3 and 4x2)")
    message = str(explained(WorkerGroupError("", {0: shape}), 0))
    assert "workers failed and train.max_failures is 0 (worker 0: RuntimeError: mat1 and mat2" in message
    assert message.endswith("or mend what the errors name")
    lost = str(explained(WorkerGroupError("", {0: shape, 1: ActorDiedError()}), 1))
    assert "workers were lost after 1 restart (worker 0: RuntimeError: mat1" in lost
    assert lost.endswith("or give the workers more memory")


def test_errors_are_compared_by_what_does_not_change() -> None:
    first = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB. Process 12 has 3.20 GiB in use.")
    again = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB. Process 99 has 4.20 GiB in use.")
    assert own_errors([first]) == own_errors([again]) == {"OutOfMemoryError: CUDA out of memory"}
    assert own_errors([RuntimeError("closed by [::1]:4001")]) != own_errors([RuntimeError("closed by [::1]:4002")])
    # What a lost process or a broken network leaves behind may say the same each time and pass all the same.
    for passing in ([first, ActorDiedError()], [torch.distributed.DistBackendError("aborted")], [ConnectionError("x")]):
        assert own_errors(passing) == set()


def test_a_repeated_error_is_named() -> None:
    repeated = repeated_error(own_errors([RuntimeError("index 7 is out of bounds")]))
    assert is_lasting(repeated)
    failure = explained(ControllerError(ControllerError(portable(repeated))), 1)
    assert "before and after a restart" in str(failure)
    assert "RuntimeError: index 7 is out of bounds" in str(failure)


def test_an_error_that_cannot_travel_is_told_in_words() -> None:
    class Stubborn(Exception):  # noqa: N818
        def __init__(self, number: int) -> None:
            super().__init__(f"number {number}")

    failure = portable(Stubborn(3))
    assert isinstance(failure, TrainingError)
    assert str(failure) == "Stubborn: number 3"


def test_workers_that_cannot_start_point_to_the_cluster() -> None:
    failure = explained(ControllerError(RuntimeError("no placement group")), 0)
    assert isinstance(failure, NoRoomError)
    assert "could not be started" in str(failure)


def test_a_cluster_that_is_gone_is_told_with_the_remedy() -> None:
    # The controller's own end: the head's processes were killed, or the driver's node.
    failure = explained(ActorDiedError(), 0)
    assert isinstance(failure, TrainingError)
    assert not is_lasting(failure)
    assert "the cluster lost the process that led the training" in str(failure)
    assert "resume the run" in str(failure)
