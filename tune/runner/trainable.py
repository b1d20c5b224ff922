"""What Ray Tune runs for a trial: a step is an epoch or a few, in an actor that keeps its data from trial to trial."""

from __future__ import annotations

import json
import math
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from cluster.failures import NoRoomError, is_lasting
from cluster.plan import PlanError
from cluster.storage import StorageError
from dclf.config import Config
from dclf.data import read_shards
from dclf.errors import first_line
from dclf.training.checkpoint import STATE_FILE
from dclf.training.reports import EpochReport
from dclf.training.source import Source
from tune.config.overrides import apply
from tune.runner.adapters import METRIC
from tune.study.disk import disk_trouble, says_full
from tune.study.history import write_history
from tune.study.scores import scores_after
from tune.study.training_files import TrainingFiles

if TYPE_CHECKING:
    from dclf.training.run_cache import RunCache
    from tune.runner.training import Training


@dataclass(frozen=True, kw_only=True)
class TrialJob:
    """What all trials of a study share.

    Attributes:
        config: base configuration.
        folder: of the study; a URI where it lies at one.
        objectives: names of ``scores_after`` whose values after the last epoch are a trial's result.
        workers: Ray Train workers of a trial; 0 trains in the trial's own process.
        source: the dialogues, for trials in their own process.
        checkpoint_s: seconds that a step lasts at least; it is kept, and the driver hears of it, when it ends.
        decisions: epochs that end a step too: after them it is decided whether and how the trial goes on.
    """

    config: dict[str, Any]
    folder: str
    objectives: tuple[str, ...]
    workers: int
    source: Source | None
    checkpoint_s: float
    decisions: tuple[int, ...]


class StudyTrial(tune.Trainable):
    """A trial: its configuration is ``number``, ``params`` and ``seeds``, the trainings still to do.

    A step's result has ``number``, ``seed``, ``reports`` (JSON), ``curve`` (the first objective at the best epoch, as
    of each report), ``values``, NaN where they are not known yet, ``seed_finished`` and ``finished``; or ``number``,
    ``error``, ``finished`` and, where that is no fault of the trial, ``disk_full`` or ``no_room``.
    """

    def setup(self, config: dict[str, Any], job: TrialJob | None = None) -> None:
        """Take up the first trial of this actor."""
        self._training: Training | None = None
        self._files: TrainingFiles | None = None
        self._start: Path | None = None
        self._cache: RunCache | None = None
        assert job is not None, "tune.with_parameters brings it"
        self._job = job
        self._base = Config.from_dict(job.config)
        self._shards = read_shards(job.config["data"]["shards"], verify=False)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up another trial; Ray Tune's name for it."""
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch, and further ones for ``checkpoint_s`` unless one is to be decided on."""
        try:
            return self._step()
        except Exception as error:
            failure = failure_of(error, self._job.folder)
            if failure is None:
                raise
            return {"number": self._number, **failure, METRIC: math.nan, "finished": True, "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Copy the training's state for another trial of the population."""
        assert self._files is not None, "a trial is saved after an epoch"
        shutil.copy2(self._files.local / STATE_FILE, checkpoint_dir)

    def load_checkpoint(self, checkpoint_dir: str) -> None:  # type: ignore[override]
        """Start from another trial's state, under this trial's configuration."""
        self._start = Path(checkpoint_dir)
        self._training = self._new_training(self._seeds[0])
        self._start = None
        # The epochs in that state were trained and reported by the other trial: this one reports those that follow.
        self._reported = len(self._training.history)

    def cleanup(self) -> None:
        """Leave nothing behind; Ray Tune's name for it."""
        self._put_away()

    def _put_away(self) -> None:
        if self._files is not None:
            self._files.close()
        self._files = None

    def _begin(self, config: dict[str, Any]) -> None:
        self._number: int = config["number"]
        self._params: dict[str, Any] = config["params"]
        self._seeds: list[int] = list(config["seeds"])
        self._training, self._start = None, None
        self._put_away()
        self._reported = 0

    def _step(self) -> dict[str, Any]:
        seed = self._seeds[0]
        if self._training is None:
            self._training = self._new_training(seed)
        training = self._training
        if not training.finished:
            self._train(training)
        history = training.history
        new = history[min(self._reported, len(history) - 1) :]
        scores = [scores_after(history, report.epoch) for report in new]
        values = [scores[-1][name] for name in self._job.objectives]
        result = {
            "number": self._number,
            "seed": seed,
            "reports": json.dumps([report.to_dict() for report in new]),
            "curve": [score[self._job.objectives[0]] for score in scores],
            "values": values,
            METRIC: values[0],
            "seed_finished": training.finished,
        }
        self._reported = len(history)
        if training.finished:
            self._close_seed(history)
        return {**result, "finished": not self._seeds, "done": not self._seeds}

    def _train(self, training: Training) -> None:
        """Train the epochs of a step and keep them."""
        end = time.monotonic() + self._job.checkpoint_s
        while True:
            training.epoch()
            decided = training.history[-1].epoch in self._job.decisions
            if training.finished or decided or time.monotonic() >= end:
                break
        training.keep()

    def _close_seed(self, history: Any) -> None:
        assert self._files is not None, "a training has its files"
        write_history(self._files.local, history)
        self._files.keep(epochs_only=True)
        self._put_away()
        self._seeds = self._seeds[1:]
        self._training = None
        self._reported = 0

    def _new_training(self, seed: int) -> Training:
        # Imported here: the driver, which imports this module too, can do without torch and the models.
        from dclf.training.run_cache import RunCache  # noqa: PLC0415
        from tune.runner.training import OwnTraining  # noqa: PLC0415

        config = apply(self._base, {**self._params, "train.seed": seed})
        self._put_away()
        files = self._files = TrainingFiles(self._job.folder, self._number, seed)
        if self._job.source is None:
            from tune.runner.ray_training import RayTraining  # noqa: PLC0415 - brings Ray Train

            config = replace(config, train=replace(config.train, workers=self._job.workers))
            return RayTraining(config, files)
        if self._cache is None:
            self._cache = RunCache(self._job.source, self._shards.info)
        return OwnTraining(config, self._job.source, self._shards, files, cache=self._cache, start=self._start)


def failure_of(error: Exception, folder: str) -> dict[str, Any] | None:
    """What a step's result says of an error after which the trial cannot go on; None where another attempt may.

    Args:
        error: what the step met.
        folder: of the study.
    """
    if isinstance(error, StorageError):
        return {"error": str(error), "disk_full": True}
    # torch does not say that it was the disk.
    if says_full(error) or disk_trouble(folder) is not None:
        return {"error": "no space left on device", "disk_full": True}
    # There was room when the study was planned: a node is away.
    if isinstance(error, PlanError | NoRoomError):
        return {"error": first_line(error), "no_room": True}
    reason = reason_of(error)
    return None if reason is None else {"error": reason}


def reason_of(error: Exception) -> str | None:
    """Why a trial cannot go on, in one line; None for what another attempt may cure, such as a lost worker."""
    text = first_line(error)
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error) or "out of memory" in str(error):
        return f"out of memory ({text}); give the trials a smaller batch or model, or fewer of them at a time"
    return text if is_lasting(error) else None


def reports_of(result: dict[str, Any]) -> list[EpochReport]:
    """The epochs in a step's result."""
    return [EpochReport(**report) for report in json.loads(result["reports"])]
