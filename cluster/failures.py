"""Which failures of a worker are worth a restart, and what the user sees of the others."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping

from ray.exceptions import RayActorError, RayError
from ray.train import ControllerError, TrainingFailedError, WorkerGroupError

from dclf.errors import DISK_REFUSES, first_line
from dclf.prose import quantity


class TrainingError(RuntimeError):
    """Training ended for a reason outside the configuration: lost workers, a lost cluster, a broken network."""


class NoRoomError(TrainingError):
    """The cluster has no room for the workers of a training that it had room for when it was planned."""


class LeaderLostError(TrainingError):
    """The process that led the workers of a training was lost."""


def is_lasting(error: BaseException) -> bool:
    """Whether the same error would come again after a restart.

    What our own code raises would, as would any error in arguments or arithmetic. A lost process or connection would
    not, and the workers it leaves behind raise RuntimeError (torch) or OSError.
    """
    if isinstance(error, LeaderLostError):
        return False
    if type(error).__module__.split(".")[0] in ("dclf", "cluster"):
        return True
    if isinstance(error, OSError):
        return error.errno in DISK_REFUSES
    return not isinstance(error, (RayError, RuntimeError)) and not type(error).__module__.startswith("ray.")


def lasting_error(errors: Iterable[BaseException]) -> BaseException | None:
    """The first error that a restart would not cure."""
    return next((error for error in errors if is_lasting(error)), None)


def own_errors(errors: Iterable[BaseException]) -> frozenset[str]:
    """What workers of one failure raised themselves, to be compared with the next failure.

    Nothing where a process was lost: what the others raise then follows from that. Of a message its first sentence
    counts, as those after it may hold figures: "CUDA out of memory. Tried to allocate 20 MiB. Process 4711 has ...".
    """
    failures = list(errors)
    if any(map(_is_lost, failures)):
        return frozenset()
    return frozenset(
        first_line(error).partition(". ")[0]
        for error in failures
        if isinstance(error, RuntimeError) and not type(error).__module__.startswith("torch.distributed")
    )


def repeated_error(errors: Iterable[str]) -> TrainingError:
    """What to raise where workers raise the same as before, and no epoch was finished in between."""
    return TrainingError(
        f"a worker raised the same error before and after a restart, and finished no epoch in between "
        f"({'; '.join(sorted(errors))}): another restart would meet it again; mend what it names (of a GPU's memory: "
        "train.batch_size), then resume the run"
    )


def portable(error: Exception) -> Exception:
    """The error, if it survives the way between processes, else one that does and says the same."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - whatever the error's own code raises on the way
        return TrainingError(f"{type(error).__name__}: {error}")
    return error.with_traceback(None)


def explained(error: TrainingFailedError | RayActorError, restarts: int) -> BaseException:
    """What to raise on the driver: a worker's own error as it was, anything else as a TrainingError."""
    if isinstance(error, RayActorError):
        return LeaderLostError(
            f"the cluster lost the process that led the training ({first_line(error)}); see that the cluster is up "
            "(`ray status`), then resume the run to go on from its last epoch"
        )
    while isinstance(error, ControllerError):
        if not isinstance(error.controller_failure, TrainingFailedError):
            return _of_controller(error.controller_failure)
        error = error.controller_failure
    if isinstance(error, WorkerGroupError):
        return lasting_error(error.worker_failures.values()) or _of_workers(error.worker_failures, restarts)
    return TrainingError(f"training ended: {error}")


def _of_controller(error: BaseException) -> BaseException:
    if is_lasting(error):
        return error
    return NoRoomError(
        f"the workers could not be started ({first_line(error)}); see whether the cluster still has the CPU slots of "
        "the plan (`ray status`), then resume the run"
    )


def _of_workers(failures: Mapping[int, BaseException], restarts: int) -> TrainingError:
    lost = any(map(_is_lost, failures.values()))
    what = "were lost" if lost else "failed"
    times = f"after {quantity(restarts, 'restart')}" if restarts else "and train.max_failures is 0"
    errors = "; ".join(f"worker {rank}: {first_line(error)}" for rank, error in sorted(failures.items()))
    remedy = "give the workers more memory" if lost else "mend what the errors name"
    return TrainingError(
        f"workers {what} {times} ({errors}); resume the run to go on from its last epoch, raise train.max_failures, or "
        f"{remedy}"
    )


def _is_lost(error: BaseException) -> bool:
    """Whether Ray reports the loss of a worker, rather than the worker raising an error."""
    return isinstance(error, RayError) or type(error).__module__.startswith("ray.")
