"""Ray Tune's extension points, each passing on to the engine what it hears."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Protocol

from ray import cloudpickle
from ray.tune import Callback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from tune.runner.session import Task

METRIC = "objective"
"""Key of a step's result that Ray Tune looks at."""
_FAILURE = re.compile(r"^Failure # \d+ \(occurred at .*\)$", re.MULTILINE)
"""What Ray Tune writes above the text of each of a trial's errors."""


class TrialDriver(Protocol):
    """What the adapters call; ``tune.runner.engine.Engine``."""

    pruned: set[Task]
    population: bool

    @property
    def interrupted(self) -> BaseException | None:
        """What ends the work before its time; None so far."""

    def next(self) -> dict[str, Any] | None:
        """The next task as Ray Tune's configuration of it, see ``task_of``."""

    def on_step(self, task: Task, result: dict[str, Any]) -> bool:
        """A task finished a step; whether to end it early."""

    def on_values(self, task: Task, params: dict[str, Any]) -> None:
        """A trial's present values."""

    def on_start(self, task: Task) -> None:
        """A task runs."""

    def on_round(self, *, live: bool) -> None:
        """Whether any trial is on a worker, asked ten times a second."""

    def on_recovery(self, task: Task) -> None:
        """A task goes on with another worker."""

    def on_end(self, task: Task, result: dict[str, Any], *, pruned: bool) -> None:
        """A task ended by itself or was pruned."""

    def on_loss(self, task: Task, error: BaseException | None, *, failures: int) -> None:
        """Ray Tune gives a task up whose worker was lost, after so many failures."""


def task_of(trial: Any) -> Task:
    """What a trial of Ray Tune runs."""
    return Task(number=trial.config["number"], seeds=tuple(trial.config["seeds"]))


class _Live:
    """Base of what Ray Tune pickles, for a restoring that we do not use: the copies have no engine."""

    _engine: TrialDriver

    def __getstate__(self) -> dict[str, Any]:
        return {}


class SessionSearcher(_Live, Searcher):
    """Asks for tasks, each of which is a trial to Ray Tune."""

    def __init__(self, engine: TrialDriver) -> None:
        super().__init__(metric=METRIC, mode="max")
        self._engine = engine

    def suggest(self, trial_id: str) -> Any:  # noqa: ARG002 - Ray Tune's interface
        """The next task, or the word that there is none."""
        config = self._engine.next()
        return Searcher.FINISHED if config is None else config

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Do nothing: the listener hears of it."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the ledger has it."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: the ledger has it."""


class PruningScheduler(_Live, FIFOScheduler):
    """Ends a trial where the engine says so."""

    def __init__(self, engine: TrialDriver) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._engine = engine

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ARG002
        """Go on or stop, after a step that was not the trial's last."""
        task = task_of(trial)
        if not self._engine.on_step(task, result):
            return TrialScheduler.CONTINUE
        self._engine.pruned.add(task)
        return TrialScheduler.STOP


class TuneCallback(_Live, Callback):
    """Hears how trials start and end."""

    def __init__(self, engine: TrialDriver) -> None:
        self._engine = engine

    def on_step_end(self, iteration: int, trials: Any, **info: Any) -> None:  # noqa: ARG002
        """Ray Tune has looked after all trials; it waits for lost nodes without a word."""
        self._engine.on_round(live=any(trial.status == "RUNNING" for trial in reversed(trials)))

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:  # noqa: ARG002
        """A worker has taken up the trial."""
        self._engine.on_start(task_of(trial))

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002
        trials: Any,  # noqa: ARG002
        trial: Any,
        result: dict[str, Any],
        **info: Any,  # noqa: ARG002
    ) -> None:
        """A step is done; Ray Tune does not ask our scheduler about a trial's last one, and of a population none."""
        task = task_of(trial)
        if self._engine.population:
            self._engine.on_values(task, trial.config["params"])
        if self._engine.population or result["finished"]:
            self._engine.on_step(task, result)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:  # noqa: ARG002
        """The trial has ended, by itself or early."""
        task = task_of(trial)
        self._engine.on_end(task, trial.last_result, pruned=task in self._engine.pruned)

    def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:  # noqa: ARG002
        """The trial's worker was lost and will be replaced."""
        self._engine.on_recovery(task_of(trial))

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:  # noqa: ARG002
        """The trial's worker was lost once too often, or before the trial had begun on it."""
        error = last_error(trial.error_file, trial.pickled_error_file)
        self._engine.on_loss(task_of(trial), error, failures=trial.run_metadata.num_failures)


def last_error(text_file: str | None, pickle_file: str | None) -> BaseException | None:
    """The latest of a trial's errors, from the files that Ray Tune writes beside this process.

    Every failure adds its text to the one; what a task raised or an actor died of is in the other as it was, until the
    next such failure.
    """
    if text_file is None or not Path(text_file).exists():
        return None
    text = _FAILURE.split(Path(text_file).read_text(encoding="utf-8", errors="replace"))[-1].strip()
    if pickle_file is not None and Path(pickle_file).exists():
        raised: BaseException = cloudpickle.loads(Path(pickle_file).read_bytes())
        if str(raised).strip() == text:
            return raised
    return RuntimeError(text)


class Interrupt(_Live, Stopper):
    """Ends everything once somebody interrupted."""

    def __init__(self, engine: TrialDriver) -> None:
        self._engine = engine

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002 - Ray Tune's interface
        """Never ends a single trial."""
        return False

    def stop_all(self) -> bool:
        """Whether somebody interrupted."""
        return self._engine.interrupted is not None
