"""Ray Tune as the engine of a study: its loop, actors and schedulers, with our session behind every decision.

Ray Tune's own snapshots are not used: whatever must outlive a kill is in the ledger and the trials' checkpoints, and a
resumed study is a new ``Tuner`` whose searcher hands out what is left.
"""

from __future__ import annotations

import logging
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from ray import tune
from ray.exceptions import OutOfMemoryError, RayTaskError
from ray.tune.execution.placement_groups import PlacementGroupFactory
from ray.tune.schedulers import TrialScheduler

from cluster.failures import NoRoomError
from cluster.signals import Terminated, termination_signals
from cluster.storage import StorageError
from cluster.waiting import Waiting
from dclf.data.storage import Folder, is_remote
from tune.runner.adapters import METRIC, Interrupt, PruningScheduler, SessionSearcher, TuneCallback
from tune.runner.doctor_files import RAY_FOLDER
from tune.runner.population import population_scheduler
from tune.runner.session import Session, Task, TrialStep
from tune.runner.trainable import StudyTrial, TrialJob, reports_of
from tune.study.disk import disk_trouble, full_disk, says_full
from tune.study.ledger import ENDED

_log = logging.getLogger(__name__)
MAX_FAILURES = 3
"""How often a trial may lose its worker before it is given up."""


class Engine:
    """Runs a session's trials on the cluster this process is connected to.

    Args:
        session: hands out trials.
        job: what they share.
        slots: of one task, as a placement group's bundles.
        concurrency: tasks at a time.
        own_ray: this process has started the Ray that the trials run on, in its own process group.
    """

    def __init__(
        self,
        session: Session,
        job: TrialJob,
        *,
        slots: list[dict[str, float]],
        concurrency: int,
        own_ray: bool,
    ) -> None:
        self._ended_by: BaseException | None = None
        self.last: dict[Task, TrialStep] = {}
        self.pruned: set[Task] = set()
        self.population = session.settings.scheduler == "pbt"
        self._session = session
        self._folder = session.folder.path / RAY_FOLDER
        self._job = job
        self._slots = slots
        self._concurrency = concurrency
        self._own_ray = own_ray
        self._put_back: Counter[Task] = Counter()
        self._waiting = Waiting(f"a {session.settings.task_name} needs {_slots_text(slots)}")

    @property
    def interrupted(self) -> BaseException | None:
        """What ends the work before its time; None so far.

        Ctrl-C, SIGTERM, SIGHUP, a full disk, a listener's error, or another driver.
        """
        return self._ended_by or self._session.folder.lost

    def run(self) -> None:
        """Run trials until the session hands out no more, or somebody interrupts.

        Raises:
            KeyboardInterrupt: the second Ctrl-C.
            StorageError: the study's folder can no longer be written.
            NoRoomError: Ray ended a worker for want of memory, on which Ray Tune gives up as a whole.
        """
        try:
            with self._signals():
                self._waiting.goes_on()
                self._tuner().fit()
                while self._session.has_unfinished and self.interrupted is None:
                    # Lost when there was nothing else to hand out.
                    self._tuner().fit()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - raised again where nobody interrupted
            # What Ray and Ray Tune make of a study that is cut short does not matter.
            if self.interrupted is None:
                raise self._disk_trouble(error) or (_no_memory() if _says_no_memory(error) else error) from None
        finally:
            self._clear()

    def _tuner(self) -> tune.Tuner:
        trainable = tune.with_parameters(StudyTrial, job=self._job)
        return tune.Tuner(
            tune.with_resources(trainable, PlacementGroupFactory(self._slots)),
            tune_config=tune.TuneConfig(
                metric=METRIC,
                mode="min" if self._session.settings.minimizes else "max",
                search_alg=SessionSearcher(self),
                scheduler=self._scheduler(),
                num_samples=-1,
                # A population must be there as a whole; its trials then take turns on the slots.
                max_concurrent_trials=self._session.settings.trials if self.population else self._concurrency,
                reuse_actors=self._job.workers == 0,
                trial_dirname_creator=lambda trial: f"trial-{trial.trial_id}",
            ),
            run_config=tune.RunConfig(
                name=self._folder.name,
                **self._storage(),
                verbose=0,
                # In a notebook Ray Tune's own would take room for a table that it never shows.
                progress_reporter=tune.CLIReporter(),
                callbacks=[TuneCallback(self)],
                stop=Interrupt(self),
                failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
                # The trials keep their own checkpoints; Ray Tune would save once more at a trial's end.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )

    def _storage(self) -> dict[str, Any]:
        """Where Ray Tune works; a population's trials take over one another's checkpoints from there on any machine."""
        if not self._far:
            return {"storage_path": str(self._folder.parent)}
        folder = Folder.of(self._session.folder.address)
        return {"storage_path": folder.root, "storage_filesystem": folder.filesystem}

    @property
    def _far(self) -> bool:
        return self.population and is_remote(self._session.folder.address)

    def _clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._far:
            folder = Folder.of(self._session.folder.address).below(self._folder.name)
            with suppress(OSError):
                folder.filesystem.delete_dir(folder.root)

    def _scheduler(self) -> TrialScheduler:
        if self.population:
            return population_scheduler(self._session.settings, self._session.space)
        return PruningScheduler(self)

    def next(self) -> dict[str, Any] | None:
        """The next task as Ray Tune's configuration of it; None when none shall follow."""
        try:
            return self._next()
        except Exception as error:  # noqa: BLE001 - see _errors_end_the_study
            self._end_by(error)
            return None

    def _next(self) -> dict[str, Any] | None:
        task = self._session.next()
        if task is None:
            return None
        params = self._session.ledger.trials[task.number].params
        return {"number": task.number, "params": dict(params), "seeds": list(task.seeds)}

    def on_values(self, task: Task, params: dict[str, Any]) -> None:
        """Population based training goes on with other values."""
        with self._errors_end_the_study():
            self._session.change_params(task.number, params)

    def on_step(self, task: Task, result: dict[str, Any]) -> bool:
        """Pass a step's result on; whether to end the task early."""
        if "error" in result:
            return False
        step = TrialStep(
            number=task.number,
            seed=result["seed"],
            reports=reports_of(result),
            curve=tuple(result["curve"]),
            values=tuple(result["values"]),
            seed_finished=result["seed_finished"],
        )
        self.last[task] = step
        try:
            return self._session.record_step(step)
        except Exception as error:  # noqa: BLE001 - see _errors_end_the_study
            self._end_by(error)
            return False

    def on_end(self, task: Task, result: dict[str, Any], *, pruned: bool) -> None:
        """A task has ended without losing its worker."""
        with self._errors_end_the_study():
            self._ended(task, result, pruned=pruned)

    def _ended(self, task: Task, result: dict[str, Any], *, pruned: bool) -> None:
        number, last_step = task.number, self.last.pop(task, None)
        if result.get("disk_full"):
            self._cut_short(full_disk(self._session.folder.address, result["error"]))
        elif result.get("no_room"):
            self._cut_short(no_room(number, result["error"]))
        elif "error" in result:
            self._session.fail(number, result["error"])
        elif pruned and last_step is not None:
            self._session.prune(number, last_step)
        else:
            self._session.finish(task)

    def on_loss(self, task: Task, error: BaseException | None, *, failures: int) -> None:
        """A task lost its worker: once too often, or while it was about to take over that of an ended one.

        Ray Tune gives up at once on the latter, where nothing of the task is lost; it is handed out again.
        """
        self.last.pop(task, None)
        if trouble := self._disk_trouble(error):
            self._cut_short(trouble)
            return
        if self._session.ledger.trials[task.number].state in ENDED:
            return  # another of its trainings has failed
        self._put_back[task] += 1
        if failures > MAX_FAILURES or self._put_back[task] > MAX_FAILURES:
            with self._errors_end_the_study():
                self._session.fail(task.number, _why_lost(error))
            return
        _log.warning(f"{self._name(task)}: its worker was lost before it began, another one takes it")
        self._session.put_back(task)

    def on_start(self, task: Task) -> None:
        """A task runs on a worker."""
        with self._errors_end_the_study():
            self._session.start(task)

    def on_round(self, *, live: bool) -> None:
        """Ray Tune has looked after all trials; whether one of them is on a worker."""
        if live:
            self._waiting.goes_on()
        else:
            self._waiting.look()

    def on_recovery(self, task: Task) -> None:
        """A task's worker was lost; another one goes on."""
        if trouble := self._disk_trouble():
            self._cut_short(trouble)
            return
        if self._session.ledger.trials[task.number].state not in ENDED:
            _log.warning(f"{self._name(task)}: its worker was lost, another one goes on from the last epoch")

    def _name(self, task: Task) -> str:
        seed = f", seed {task.seeds[0]}" if self._session.settings.parallel_seeds else ""
        return f"trial {task.number}{seed}"

    def _disk_trouble(self, error: BaseException | None = None) -> StorageError | None:
        """What the study's folder has to do with an error, which may say nothing of it."""
        folder = self._session.folder.address
        return full_disk(folder, error) if says_full(error) else disk_trouble(folder)

    @contextmanager
    def _errors_end_the_study(self) -> Iterator[None]:
        """Ray Tune would take an error of a listener or of the ledger for one of the trial, and recover that."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the study's driver raises it again
            self._end_by(error)

    def _end_by(self, error: Exception) -> None:
        self._cut_short(self._disk_trouble(error) or error)

    def _cut_short(self, error: Exception) -> None:
        """End the study between epochs; trials that run stay unfinished."""
        if self.interrupted is None:
            self._ended_by = error

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first Ctrl-C, SIGTERM or SIGHUP ends the study between epochs; a second Ctrl-C or SIGTERM at once.

        A queue's SIGTERM and a terminal's SIGHUP go to the whole process group and end a Ray of this process's own too,
        in whose trials no epoch comes to an end any more: the first one then ends the study at once.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(number: int, _frame: FrameType | None) -> None:
            if self.interrupted is not None:
                if number == signal.SIGHUP and not isinstance(self.interrupted, KeyboardInterrupt):
                    return  # both the kernel and the shell say that a terminal closes
                raise KeyboardInterrupt
            self._ended_by = interrupt = KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)
            if number != signal.SIGINT and self._own_ray:
                raise interrupt
            _log.info("ending: running trials stop after their current epoch; Ctrl-C again ends at once")

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, *termination_signals())}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _slots_text(slots: list[dict[str, float]]) -> str:
    """Bundles of slots in words; each has to be on one machine."""
    return " and ".join(
        " and ".join(f"{count:g} {name}" for name, count in bundle.items() if count) + " on one machine"
        for bundle in slots
    )


def no_room(number: int, reason: str) -> NoRoomError:
    """The error that ends a study whose trials find no room for their workers any more."""
    return NoRoomError(
        f"the cluster has no room for trial {number} now ({reason}); see that its nodes are up (`ray status`), then "
        "resume: trials go on from their last epoch"
    )


def _no_memory() -> NoRoomError:
    return NoRoomError(
        "a machine ran out of memory, and Ray ended a trial's worker; free memory, then resume: trials go on from "
        "their last epoch. A new study takes less with fewer trials at a time (--concurrency)"
    )


def _says_no_memory(error: BaseException | None) -> bool:
    return isinstance(error, OutOfMemoryError) or "running low on memory" in str(error)


def _why_lost(error: BaseException | None) -> str:
    if _says_no_memory(error):
        return "out of memory: Ray ended its worker; run fewer trials at a time or make them smaller"
    if isinstance(error, RayTaskError):
        cause = error.cause or error
        return f"failed {MAX_FAILURES + 1} times, at last with {type(cause).__name__}: {_first_line(cause)}"
    return f"its worker was lost {MAX_FAILURES + 1} times ({_first_line(error)})"


def _first_line(error: BaseException | None) -> str:
    lines = [line.strip() for line in str(error or "").splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
