"""Which trials a pruner ends, given the best values so far of some trials."""

from collections.abc import Sequence
from itertools import accumulate

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune.config.sweep_settings import Scheduler, SweepSettings
from tune.search.pruners import deciding_epochs, make_pruner

EPOCHS = 30


def ended_at(scheduler: Scheduler, finals: list[float], *, startup: int = 4, grace: int = 3) -> list[int | None]:
    """The epoch at which each trial was ended; trial i is at finals[i] from its first epoch on."""
    return ended([[final] * EPOCHS for final in finals], chosen_by(scheduler, startup, grace), range(1, EPOCHS + 1))


def chosen_by(scheduler: Scheduler, startup: int, grace: int) -> SweepSettings:
    return SweepSettings(scheduler=scheduler, startup_trials=startup, grace_epochs=grace)


def ended(curves: Sequence[Sequence[float]], settings: SweepSettings, epochs: Sequence[int]) -> list[int | None]:
    """The epoch at which each trial was ended whose fate is asked for after some epochs."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = make_pruner(settings, EPOCHS)
    assert pruner is not None
    study = optuna.create_study(study_name="fixed", direction="maximize", pruner=pruner)
    return [_train(study, curve, epochs) for curve in curves]


def _train(study: optuna.Study, curve: Sequence[float], epochs: Sequence[int]) -> int | None:
    trial = study.ask()
    for epoch, value in enumerate(curve, start=1):
        trial.report(value, epoch)
        if epoch in epochs and trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return epoch
    study.tell(trial, curve[-1])
    return None


CURVE = st.lists(st.floats(0, 1), min_size=EPOCHS, max_size=EPOCHS).map(lambda values: list(accumulate(values, max)))


@pytest.mark.slow
@settings(max_examples=30)
@given(st.sampled_from(["asha", "median", "hyperband"]), st.integers(0, 5), st.lists(CURVE, min_size=5, max_size=9))
def test_to_ask_after_the_deciding_epochs_is_to_ask_after_every_one(
    scheduler: Scheduler, grace: int, curves: list[list[float]]
) -> None:
    sweep = chosen_by(scheduler, 2, grace)
    deciding = list(deciding_epochs(sweep, EPOCHS))
    assert ended(curves, sweep, deciding) == ended(curves, sweep, range(1, EPOCHS + 1))


def test_the_epochs_of_a_decision() -> None:
    assert list(deciding_epochs(chosen_by("asha", 4, 3), 30)) == [3, 9, 27]
    assert list(deciding_epochs(chosen_by("asha", 4, 30), 30)) == []
    assert list(deciding_epochs(chosen_by("median", 4, 28), 30)) == [28, 29, 30]
    assert list(deciding_epochs(chosen_by("none", 4, 3), 30)) == []
    assert list(deciding_epochs(chosen_by("pbt", 4, 3), 3)) == [1, 2, 3]


@pytest.mark.parametrize("scheduler", ["asha", "median", "hyperband"])
def test_startup_trials_are_spared_and_judge_the_others(scheduler: Scheduler) -> None:
    ended = ended_at(scheduler, [0.4, 0.5, 0.6, 0.3, *[0.1] * 8])
    assert ended[:4] == [None] * 4
    late = [epoch for epoch in ended[4:] if epoch is not None]
    assert len(late) >= 4
    assert min(late) == 3


def test_rungs_of_successive_halving() -> None:
    # Of the seven at the first rung, a third, which is two, go on.
    assert ended_at("asha", [0.1] * 4 + [0.9, 0.5, 0.4])[4:] == [None, None, 3]
    assert ended_at("asha", [0.1, 0.2, 0.9, 0.9, 0.9, 0.3])[5] == 3


def test_the_median_of_finished_trials() -> None:
    assert ended_at("median", [0.1, 0.2, 0.3, 0.4, 0.24, 0.26]) == [None] * 4 + [3, None]


@pytest.mark.parametrize("scheduler", ["none", "pbt"])
def test_no_pruner(scheduler: Scheduler) -> None:
    assert make_pruner(SweepSettings(scheduler=scheduler), 60) is None


def test_nobody_is_ended_before_the_last_epoch_of_short_trainings() -> None:
    assert make_pruner(SweepSettings(grace_epochs=5), 5) is None
    assert make_pruner(SweepSettings(grace_epochs=5), 6) is not None


def test_a_trial_that_is_not_a_number_is_ended() -> None:
    assert ended_at("asha", [0.1] * 4 + [float("nan")])[4] == 3
