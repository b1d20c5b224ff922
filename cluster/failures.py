"""Which failures of a worker are worth a restart, and what the user sees of the others."""

from __future__ import annotations

import errno
import pickle
from collections.abc import Iterable, Mapping

from ray.exceptions import RayActorError, RayError
from ray.train import ControllerError, TrainingFailedError, WorkerGroupError

from dclf.errors import first_line

_HOPELESS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


class TrainingError(RuntimeError):
    """Training ended for a reason outside the configuration: lost workers, a lost cluster, a broken network."""


def is_lasting(error: BaseException) -> bool:
    """Whether the same error would come again after a restart.

    What our own code raises would, as would any error in arguments or arithmetic. A lost process or connection would
    not, and the workers it leaves behind raise RuntimeError (torch) or OSError.
    """
    if type(error).__module__.split(".")[0] in ("dclf", "cluster"):
        return True
    if isinstance(error, OSError):
        return error.errno in _HOPELESS
    return not isinstance(error, (RayError, RuntimeError)) and not type(error).__module__.startswith("ray.")


def lasting_error(errors: Iterable[BaseException]) -> BaseException | None:
    """The first error that a restart would not cure."""
    return next((error for error in errors if is_lasting(error)), None)


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
        return TrainingError(
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
    return TrainingError(
        f"the workers could not be started ({first_line(error)}); see whether the cluster still has the CPU slots of "
        "the plan (`ray status`), then resume the run"
    )


def _of_workers(failures: Mapping[int, BaseException], restarts: int) -> TrainingError:
    lost = "; ".join(f"worker {rank}: {first_line(error)}" for rank, error in sorted(failures.items()))
    times = f"after {restarts} restart{'s' if restarts != 1 else ''}" if restarts else "and train.max_failures is 0"
    return TrainingError(
        f"workers were lost {times} ({lost}); resume the run to go on from its last epoch, raise train.max_failures, "
        "or give the workers more memory"
    )
