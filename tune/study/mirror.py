"""The working copy of a study that lies at a URI.

URI/NAME holds ``study.yaml``; ``log/ledger.jsonl``, the ledger as a log of objects; ``files``, reports and results of
perturbation tests; ``trials/7/s0``, the checkpoint of trial 7 with seed 0; ``claims``, the lock. The working copy is a
study's folder as any other, except that large files of checkpoints are marked by an empty file of their size until
somebody needs them.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from dclf.data.storage import FileFacts, Folder
from dclf.whole_files import whole
from tune.config.local_files import alone, cache_folder, require_cache
from tune.study.history import HISTORY_FILE
from tune.study.object_log import ObjectLog

_log = logging.getLogger(__name__)

LEDGER = "ledger.jsonl"
TRIALS = "trials"
"""Folder of what the trials write, here and at the URI."""
FILES = ("perturbations", "report")
"""Folders of files that are uploaded whole."""
ELSEWHERE = ".at-uri"
"""Ends the name of an empty file that stands for one at the URI."""
_AT_A_TIME = 16

Training = tuple[int, int]
"""Trial number and seed."""


def working_copies(storage: str) -> Path:
    """Folder of the working copies of the studies at a URI.

    Raises:
        OSError: this machine can keep none.
    """
    folder = cache_folder() / "studies"
    require_cache(folder, "working copies of studies at a URI")
    return folder / hashlib.sha256(storage.rstrip("/").encode()).hexdigest()[:16]


class Mirror:
    """A study at a URI and its working copy.

    Args:
        storage: URI of the folder of studies.
        name: of the study.

    Attributes:
        local: the working copy.
        remote: the study's folder at the URI.
        log: the ledger.
    """

    def __init__(self, storage: str, name: str) -> None:
        self.local = working_copies(storage) / name
        self.remote = Folder.of(storage).below(name)
        self.log = ObjectLog(self.local / LEDGER, self.remote.below(f"log/{LEDGER}"))
        self._trials_run = False
        self._trainings: dict[int, dict[int, dict[str, FileFacts]]] | None = None
        self._from_bulk: set[Training] = set()

    def pull(self) -> None:
        """Fetch what is newer at the URI: definition, ledger, reports and results, but no checkpoints.

        Raises:
            FileNotFoundError: there is no such study.
            OSError: the store does not answer.
        """
        definition = self.remote.read_bytes("study.yaml")
        self.local.mkdir(parents=True, exist_ok=True)
        with alone(self.local / ".pulling", "bring the working copy of the study up to date"):
            _write(self.local / "study.yaml", definition)
            if aside := self.log.pull():
                _log.warning(
                    f"{self.local / LEDGER}: another machine went on with the study before its end was uploaded; that "
                    f"end is set aside in {aside.name}"
                )
            self._pull_files()

    @contextmanager
    def trials_run(self) -> Iterator[None]:
        """Inside the block do not cache listings of the URI: trials write to it."""
        self._trials_run = True
        try:
            yield
        finally:
            self._trials_run = False

    def push_files(self) -> None:
        """Upload reports and results that are new or have changed."""
        synced = self._synced()
        uploaded: dict[str, list[int]] = {}
        for name, path in self._own_files():
            before, now = synced.get(name), _here(path)
            if before is None or before["here"] != now:
                self.remote.write_bytes(f"files/{name}", path.read_bytes())
                uploaded[name] = now
        # By what is there now the next pull tells these files from those that another machine puts in their place.
        there = self.remote.files("files") if uploaded else {}
        synced |= {name: {"here": here, "there": list(there[name])} for name, here in uploaded.items() if name in there}
        self._keep_synced(synced)

    def training(self, number: int, seed: int) -> Path:
        """Folder of a training in the working copy: its epochs, and marks for whatever else is at the URI."""
        place = self._place((number, seed))
        self._mark(place, self._files_of((number, seed)))
        return place

    def trainings(self, number: int) -> list[Path]:
        """Folders of a trial's trainings that have files at the URI."""
        if self._trials_run:
            seeds = {int(name.split("/")[0][1:]) for name in self.remote.files(f"{TRIALS}/{number}")}
        else:
            seeds = set(self._bulk().get(number, {}))
        return [self.training(number, seed) for seed in sorted(seeds)]

    def fetch(self, number: int, seed: int) -> Path:
        """Folder of a training with all that is at the URI."""
        place = self.training(number, seed)
        folder = self.remote.below(_key((number, seed)))
        for mark in list(place.rglob(f"*{ELSEWHERE}")):
            target = mark.with_name(mark.name.removesuffix(ELSEWHERE))
            _write(target, folder.read_bytes(target.relative_to(place).as_posix()))
            mark.unlink(missing_ok=True)
        return place

    def upload(self, number: int, seed: int) -> None:
        """Bring a training's folder of the working copy to the URI."""
        place = self._place((number, seed))
        for path in sorted(place.rglob("*")):
            if path.is_file() and not path.name.endswith(ELSEWHERE):
                self.remote.write_bytes(
                    f"{_key((number, seed))}/{path.relative_to(place).as_posix()}", path.read_bytes()
                )

    def forget(self, place: Path) -> None:
        """Delete at the URI what was deleted from a training's folder of the working copy."""
        key = place.relative_to(self.local).as_posix()
        if not self.remote.exists(f"{key}/{HISTORY_FILE}") and (place / HISTORY_FILE).exists():
            self.remote.write_bytes(f"{key}/{HISTORY_FILE}", (place / HISTORY_FILE).read_bytes())
        for name in self.remote.files(key):
            if name != HISTORY_FILE and not (place / name).exists() and not _mark_of(place / name).exists():
                self.remote.delete(f"{key}/{name}")

    def _pull_files(self) -> None:
        synced = self._synced()
        for name, facts in self.remote.files("files").items():
            before, path = synced.get(name), self.local / name
            if before is None or before["there"] != list(facts) or not path.exists():
                _write(path, self.remote.read_bytes(f"files/{name}"))
                # What changes on this machine from now on is yet to be uploaded.
                synced[name] = {"here": _here(path), "there": list(facts)}
        self._keep_synced(synced)

    def _own_files(self) -> Iterator[tuple[str, Path]]:
        for folder in FILES:
            for path in sorted((self.local / folder).rglob("*")):
                if path.is_file() and not path.name.startswith("."):
                    yield path.relative_to(self.local).as_posix(), path

    def _synced(self) -> dict[str, dict[str, list[int]]]:
        try:
            synced: dict[str, dict[str, list[int]]] = json.loads((self.local / ".synced").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return synced

    def _keep_synced(self, synced: Mapping[str, object]) -> None:
        _write(self.local / ".synced", json.dumps(synced).encode())

    def _place(self, key: Training) -> Path:
        return self.local / _key(key)

    def _files_of(self, key: Training) -> dict[str, FileFacts]:
        if self._trials_run or key in self._from_bulk:
            return self.remote.files(_key(key))
        self._from_bulk.add(key)
        return self._bulk().get(key[0], {}).get(key[1], {})

    def _bulk(self) -> dict[int, dict[int, dict[str, FileFacts]]]:
        if self._trainings is None:
            self._trainings = self._all_trainings()
        return self._trainings

    def _all_trainings(self) -> dict[int, dict[int, dict[str, FileFacts]]]:
        """What is at the URI, by trial and seed; the epochs of all trainings are fetched at once."""
        trainings: dict[int, dict[int, dict[str, FileFacts]]] = {}
        for path, facts in self.remote.files(TRIALS).items():
            number, seed, name = path.split("/", 2)
            trainings.setdefault(int(number), {}).setdefault(int(seed[1:]), {})[name] = facts
        every = [((number, seed), files) for number, seeds in trainings.items() for seed, files in seeds.items()]
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            list(pool.map(lambda one: self._mark(self._place(one[0]), one[1]), every))
        return trainings

    def _mark(self, place: Path, files: Mapping[str, FileFacts]) -> None:
        """Bring a training's folder up to date: epochs are fetched, other files marked, what is gone is deleted.

        Another process may do the same: what it is writing has a name with a dot, and what it has deleted is gone.
        """
        present = {place / name for name in files}
        for path in [path for path in place.rglob("*") if path.is_file() and not path.name.startswith(".")]:
            if path.with_name(path.name.removesuffix(ELSEWHERE)) not in present:
                path.unlink(missing_ok=True)
        for name, facts in files.items():
            path = place / name
            if _is_current(path, facts):
                continue
            if name == HISTORY_FILE:
                with suppress(FileNotFoundError):
                    _write(path, self.remote.read_bytes(f"{path.relative_to(self.local).as_posix()}"))
            else:
                path.unlink(missing_ok=True)
                _write(_mark_of(path), b"", size=facts.size)


def _here(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _key(training: Training) -> str:
    return f"{TRIALS}/{training[0]}/s{training[1]}"


def _mark_of(path: Path) -> Path:
    return path.with_name(f"{path.name}{ELSEWHERE}")


def _is_current(path: Path, facts: FileFacts) -> bool:
    """Whether a file was fetched after it was last changed at the URI, as far as the clocks agree."""
    try:
        here = path.stat()
    except FileNotFoundError:
        return False
    return here.st_size == facts.size and here.st_mtime_ns >= facts.changed


def _write(path: Path, content: bytes, *, size: int | None = None) -> None:
    """Write a file whole or not at all; an empty one may seem to have a size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as unfinished, unfinished.open("wb") as file:
        file.write(content)
        if size is not None:
            file.truncate(size)
