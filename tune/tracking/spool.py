"""Writes that could not be sent, kept on disk: what waits for ``dclf track send`` after a run.

A spool is a folder ``unsent-<run id>`` with ``writes.jsonl`` - a first line that names the store and the run, then one
write per line - and ``files``, copies of the artifacts that the writes speak of. It goes when everything was sent.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from dclf.errors import UsageError
from dclf.whole_files import whole
from tune.config.moved_folders import relocated
from tune.tracking.store import open_client
from tune.tracking.trouble import TrackingError, cause_of, may_pass
from tune.tracking.writes import FILES, Sender, Write

FILE_NAME = "writes.jsonl"
_COPIES = "files"
"""Folder beside it with copies of artifacts."""


class SpoolError(UsageError, TrackingError):
    """A file that was named is no spool of a run."""


@dataclass(frozen=True)
class Address:
    """Which run a spool belongs to.

    Attributes:
        uri: the store, without user name and password.
        run_id: the run.
        experiment_id: its experiment.
        folder: of the spool when it was written; empty in those of earlier versions.
    """

    uri: str
    run_id: str
    experiment_id: str
    folder: str = field(default="", compare=False)

    def moved_to(self, folder: Path) -> Address:
        """The same for a spool that lies elsewhere now, with its store where that was moved along."""
        uri = relocated(self.uri, Path(self.folder), folder) if self.folder else self.uri
        return replace(self, uri=uri, folder=str(folder))


class Spool:
    """The folder of one run's unsent writes; nothing is created before it is needed."""

    def __init__(self, parent: Path, address: Address) -> None:
        self.folder = (parent / _folder_name(address.run_id)).absolute()
        self.path = self.folder / FILE_NAME
        self._address = replace(address, folder=str(self.folder))

    def new_file(self, name: str) -> Path:
        """Where to put a file of this name that a write needs; nothing is there yet."""
        files = self.folder / _COPIES
        files.mkdir(parents=True, exist_ok=True)
        number = sum(1 for _ in files.iterdir())
        target = files / f"{number:04d}" / name
        target.parent.mkdir()
        return target

    def write(self, writes: Iterable[Write]) -> None:
        """Make the file hold exactly these writes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(asdict(self._address)), *(write.to_json() for write in writes)]
        with whole(self.path) as unfinished:
            unfinished.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def append(self, write: Write) -> None:
        """Add one write to the file."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(write.to_json() + "\n")

    def forget_writes(self) -> None:
        """Remove the file: everything in it was sent."""
        self.path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder with the artifacts' copies."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _folder_name(run_id: str) -> str:
    return f"unsent-{run_id}"


def read_spool(path: Path) -> tuple[Address, list[Write]]:
    """The run and the writes of a spool file; a last line cut short by a kill is left out.

    Raises:
        SpoolError: the file is absent or something else.
    """
    try:
        first, *lines = path.read_text(encoding="utf-8").splitlines()
        address = Address(**json.loads(first))
    except (OSError, ValueError, TypeError) as error:
        raise SpoolError(
            f"{path}: must be a {FILE_NAME} that a run left because MLflow did not answer; cannot be read as one "
            f"({error})"
        ) from None
    folder = path.absolute().parent
    writes = _whole_writes(path, lines)
    return address.moved_to(folder), [_moved(write, address.folder, folder) for write in writes]


def _moved(write: Write, old: str, new: Path) -> Write:
    """A write with the files that it speaks of where they lie now."""
    files = {key: relocated(write.body[key], Path(old), new) for key in FILES.get(write.kind, ())} if old else {}
    return Write(write.kind, {**write.body, **files})


def _whole_writes(path: Path, lines: list[str]) -> Iterable[Write]:
    for number, line in enumerate(lines, start=2):
        try:
            yield Write.from_json(line)
        except (ValueError, KeyError) as error:
            if number <= len(lines):
                raise TrackingError(f"{path}, line {number}: is not a write ({error}); restore the file") from None


@dataclass(frozen=True)
class SpoolResult:
    """What came of a spool.

    Attributes:
        run_id: its run.
        writes: how many writes the store has taken.
        refusals: why it did not take others, one line each.
    """

    run_id: str
    writes: int
    refusals: list[str]

    def __str__(self) -> str:
        refusals = "".join(f"\n  refused: {problem}" for problem in self.refusals)
        return f"{self.run_id} ({self.writes} records){refusals}"


def send_spool(path: Path | str, uri: str = "") -> SpoolResult:
    """Send what a run could not, in order, and remove it; safe to repeat when it fails half way.

    Copies of artifacts go with it where it lies in the folder that the run made. Elsewhere only the file goes: somebody
    may have put it among their own.

    Args:
        path: the ``writes.jsonl`` that the run named, or its folder.
        uri: another address of the same store, such as one with a password; empty for the recorded one.

    Raises:
        TrackingError: the file cannot be read, or the store does not answer; the file stays then.
    """
    file = Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)
    address, writes = read_spool(file)
    send = Sender(open_client(uri or address.uri), address.run_id, address.experiment_id)
    problems = [problem for write in writes if (problem := _refusal(send, write, file))]
    file.unlink()
    folder = file.absolute().parent
    if folder.name == _folder_name(address.run_id):
        shutil.rmtree(folder / _COPIES, ignore_errors=True)
        with suppress(OSError):  # it holds something else
            folder.rmdir()
    return SpoolResult(address.run_id, len(writes) - len(problems), problems)


def _refusal(send: Sender, write: Write, file: Path) -> str | None:
    try:
        send(write)
    except Exception as error:  # noqa: BLE001 - MLflow raises what its backends raise
        if may_pass(error):
            raise TrackingError(
                f"MLflow stopped answering ({cause_of(error)}); nothing is lost, {file} stays: send it again later"
            ) from None
        return f"{write.kind}: {cause_of(error)}"
    return None
