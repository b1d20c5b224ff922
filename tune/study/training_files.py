"""The checkpoint and the epochs of one training, in the study's folder or behind a URI.

Behind a URI the training works in a folder of its own on whatever machine it runs, and what it must not lose is
uploaded before the driver hears of it: the state first, whole or not at all, then the list of epochs. What is at the
URI holds: a training that goes on begins by fetching it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from cluster.storage import StorageError
from cluster.temporary import TemporaryFolder
from dclf.data.storage import Folder, absolute, is_remote, parent_and_name, place_below, trouble_with
from dclf.training.checkpoint import STATE_FILE
from tune.study.history import HISTORY_FILE

PATIENCE_S = 600.0
"""How long a training waits for a store that does not answer before it gives up."""
_PAUSES_S = (1.0, 2.0, 5.0)


def training_address(study: str, number: int, seed: int) -> str:
    """Folder or URI of one training of a study at a folder or URI."""
    return place_below(study, f"trials/{number}/s{seed}")


class TrainingFiles:
    """Where one training keeps what it must not lose.

    Args:
        study: the study's folder, or the URI of it.
        number: of the trial.
        seed: ``train.seed`` of the training.

    Attributes:
        local: folder that the training works in.
        address: the folder or the URI that keeps it.
    """

    def __init__(self, study: str, number: int, seed: int) -> None:
        self.address = training_address(study, number, seed)
        self._own = TemporaryFolder(f"trial-{number}") if is_remote(study) else None
        self.local = Path(self.address) if self._own is None else self._own.path

    @property
    def storage(self) -> str:
        """Where Ray Train keeps the run: the parent of ``address``."""
        return parent_and_name(self.address)[0]

    @property
    def name(self) -> str:
        """Ray Train's name of the run: the folder in ``storage``."""
        return parent_and_name(self.address)[1]

    def fetch(self) -> None:
        """Begin with what is kept.

        Raises:
            StorageError: the store has not answered for ``PATIENCE_S``.
        """
        if self._own is not None:
            patiently(self.address, lambda: self._fetch(Folder.of(self.address)))

    def keep(self, *, epochs_only: bool = False) -> None:
        """Keep state and epochs; done when this returns.

        Args:
            epochs_only: the state is as it was.

        Raises:
            StorageError: the store has not answered for ``PATIENCE_S``.
        """
        if self._own is not None:
            names = (HISTORY_FILE,) if epochs_only else (STATE_FILE, HISTORY_FILE)
            patiently(self.address, lambda: self._keep(Folder.of(self.address), names))

    def close(self) -> None:
        """Leave nothing on this machine that is kept elsewhere."""
        if self._own is not None:
            self._own.close()

    def _fetch(self, folder: Folder) -> None:
        for name in (STATE_FILE, HISTORY_FILE):
            try:
                content = folder.read_bytes(name)
            except FileNotFoundError:
                continue
            (self.local / name).write_bytes(content)

    def _keep(self, folder: Folder, names: Iterable[str]) -> None:
        for name in names:
            if (self.local / name).exists():
                folder.write_bytes(name, (self.local / name).read_bytes())


def patiently(
    place: str, work: Callable[[], None], *, patience: float = PATIENCE_S, tell: Callable[[str], None] | None = None
) -> None:
    """Do something with a store, and again while it does not answer.

    Args:
        place: URI for messages.
        work: may be done more than once.
        patience: seconds until the store is given up.
        tell: hears of the first failure.

    Raises:
        StorageError: the store has not answered for so long.
        ValueError: nobody serves the address.
    """
    end, attempt = time.monotonic() + patience, 0
    while True:
        try:
            return work()
        except Exception as error:
            # Stores that fsspec opens raise errors of their own. An address that nobody serves stays so.
            if isinstance(error, ValueError) and not isinstance(error, pa.ArrowException):
                raise
            remaining = end - time.monotonic()
            if remaining <= 0:
                raise StorageError(f"{place}: {trouble_with(error)}, for {patience:.0f} s") from error
            if tell is not None and not attempt:
                tell(f"{place}: {trouble_with(error)}; trying again for {remaining:.0f} s")
            time.sleep(min(remaining, _PAUSES_S[min(attempt, len(_PAUSES_S) - 1)]))
            attempt += 1


@contextmanager
def at_hand(address: str) -> Iterator[Path]:
    """A folder's files on this machine: the folder itself, or a copy of what is at a URI while it is used."""
    if not is_remote(address):
        yield Path(absolute(address))
        return
    with TemporaryFolder("copy") as copy:
        folder, place = Folder.of(address), copy / parent_and_name(address)[1]
        for name in folder.files():
            target = place / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(folder.read_bytes(name))
        yield place


@contextmanager
def written_to(address: str) -> Iterator[Path]:
    """A folder to write into: the folder itself, or one whose files are uploaded to a URI in the end, in that order."""
    if not is_remote(address):
        yield Path(address)
        return
    with TemporaryFolder("copy") as copy:
        yield copy
        folder = Folder.of(address)
        written = sorted((path for path in copy.rglob("*") if path.is_file()), key=lambda p: p.stat().st_mtime_ns)
        for path in written:
            folder.write_bytes(path.relative_to(copy).as_posix(), path.read_bytes())
