"""Pruners of Optuna: which trials are ended early.

Intermediate values are the first objective's best value so far, reported for every epoch, counted from 1. The first
``startup_trials`` trials are never ended: they are what later ones are compared with.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count, takewhile

from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, SuccessiveHalvingPruner
from optuna.study import Study
from optuna.trial import FrozenTrial

from tune.config.sweep_settings import SweepSettings

REDUCTION = 3
"""Of the trials that reach a rung, one in this many goes on; the next rung is this many times as far."""


def make_pruner(settings: SweepSettings, epochs: int) -> BasePruner | None:
    """The pruner of a sweep; None where no trial is to be ended early, or none could be before its last epoch.

    Args:
        settings: scheduler, grace_epochs and startup_trials.
        epochs: of a whole trial.
    """
    grace = max(settings.grace_epochs, 1)
    if settings.scheduler in ("none", "pbt") or grace >= epochs:
        return None
    if settings.scheduler == "median":
        return MedianPruner(n_startup_trials=settings.startup_trials, n_warmup_steps=grace)
    if settings.scheduler == "hyperband":
        halving: BasePruner = HyperbandPruner(min_resource=grace, max_resource=epochs, reduction_factor=REDUCTION)
    else:
        halving = SuccessiveHalvingPruner(min_resource=grace, reduction_factor=REDUCTION)
    return SparingPruner(halving, settings.startup_trials)


def deciding_epochs(settings: SweepSettings, epochs: int) -> Iterable[int]:
    """Epochs after which a trial may be ended early, or go on from another one's state.

    Args:
        settings: scheduler and grace_epochs.
        epochs: of a whole trial.
    """
    if settings.scheduler == "pbt":
        return range(1, epochs + 1)
    if make_pruner(settings, epochs) is None:
        return ()
    grace = max(settings.grace_epochs, 1)
    if settings.scheduler == "median":
        return range(grace, epochs + 1)
    # Hyperband's brackets begin at different rungs of the same ladder.
    return takewhile(lambda rung: rung <= epochs, (grace * REDUCTION**step for step in count()))


class SparingPruner(BasePruner):
    """Another pruner that leaves the first trials alone, but takes note of their values.

    Args:
        pruner: decides on the others.
        startup_trials: number of trials that are not ended.
    """

    def __init__(self, pruner: BasePruner, startup_trials: int) -> None:
        self._pruner, self._startup_trials = pruner, startup_trials

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial is to end."""
        doomed = self._pruner.prune(study, trial)
        return doomed and trial.number >= self._startup_trials
