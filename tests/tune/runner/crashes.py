"""Drivers that die at a write: the n-th line, file, record or request of a study is the last thing that they begin."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from dclf.config import Config
from tests.tune.disk_waits import without_disk_waits
from tests.tune.runner.sessions import Driver, report, score
from tests.tune.tracking.samples import CARD
from tune.config.typed_values import class_parser
from tune.runner.recorder import StudyRecorder
from tune.runner.replay import send_unsent
from tune.study.folder import StudyFolder
from tune.study.history import read_history, write_history
from tune.tracking.store import Store, connect

WRITES = ("create_", "log_", "set_", "delete_", "restore_", "update_")
"""How the methods of MLflow's client that write begin."""


class Countdown:
    """Ends this process, and whatever it started, at the n-th write; threads of it write too.

    Args:
        writes: n; None for never.
    """

    def __init__(self, writes: int | None) -> None:
        self.count = 0
        self._last = writes
        self._lock = threading.Lock()

    def tick(self) -> None:
        """A write begins."""
        with self._lock:
            self.count += 1
            if self.count == self._last:
                for child in psutil.Process().children():
                    child.kill()
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, folder: Path) -> None:
        """Count every file below a folder that is opened to be written, and every one that is given its name."""

        def hear(event: str, details: tuple[Any, ...]) -> None:
            if event == "open":
                path, mode, flags = details
                writes = any(sign in mode for sign in "wxa+") if mode else (flags or 0) & (os.O_WRONLY | os.O_RDWR)
                counts = writes and str(path).startswith(str(folder))
            else:
                counts = event == "os.rename" and str(details[1]).startswith(str(folder))
            if counts:
                self.tick()

        sys.addaudithook(hear)


@dataclass
class CountedClient:
    """MLflow's client, whose requests that write are counted before they are sent."""

    client: Any
    countdown: Countdown

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)
        if not name.startswith(WRITES):
            return method

        def request(*arguments: Any, **options: Any) -> Any:
            self.countdown.tick()
            return method(*arguments, **options)

        return request


class Epochs(MutableMapping[tuple[int, int], int]):
    """(trial, seed) -> finished epochs, kept in the training's folder before the driver hears of them."""

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder

    def __getitem__(self, key: tuple[int, int]) -> int:
        if not (history := read_history(self._folder.checkpoint(*key))):
            raise KeyError(key)
        return len(history)

    def __setitem__(self, key: tuple[int, int], epochs: int) -> None:
        params = self._folder.ledger.trials[key[0]].params
        planned = self._folder.definition.base.train.epochs
        values = [score(params, key[1], number) for number in range(1, planned + 1)]
        reports = [report(number, values, planned) for number in range(1, epochs + 1)]
        write_history(self._folder.checkpoint(*key), reports)

    def __delitem__(self, key: tuple[int, int]) -> None:
        raise NotImplementedError("no training is taken back")

    def __iter__(self) -> Iterator[tuple[int, int]]:
        numbers = ((number, place) for number in self._folder.ledger.trials for place in self._folder.trainings(number))
        return ((number, int(place.name[1:])) for number, place in numbers)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def work(folder: StudyFolder, store: Store) -> None:
    """All that a driver does on a study but training: bring its records in order, and work to its end."""
    with folder.locked():
        send_unsent(folder, store)
        recorder = StudyRecorder(store, folder)
        recorder.open(CARD)
        Driver(folder, recorder, trained=Epochs(folder), slots=folder.definition.sweep.tasks_per_trial).work()
        recorder.close("FINISHED", "finished")


def die_at(writes: int, storage: Path, name: str, uri: str) -> None:
    """Work on a study and be killed at a write; the process ends by itself where the work takes fewer."""
    with without_disk_waits():
        countdown, store = Countdown(writes), connect(uri, "dclf")
        countdown.watch(storage / name)
        work(StudyFolder.open(storage, name), replace(store, client=CountedClient(store.client, countdown)))


# A driver's first look at a configuration makes this parser, which takes as long as all the rest of it: made here, it
# is there in the process that drivers are copies of.
class_parser(Config)


class Crashes:
    """Drivers in processes of their own, which are copies of one that has imported everything."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__, "mlflow.store.tracking.sqlalchemy_store", "mlflow.client"])

    def drive(self, writes: int, storage: Path, name: str, uri: str) -> bool:
        """Whether a driver was killed at this write; False where it came to its end before."""
        process = self._context.Process(target=die_at, args=(writes, storage, name, uri))
        process.start()
        process.join(60)
        assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
        return process.exitcode != 0
