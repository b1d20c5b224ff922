"""A file that grows in a store whose objects cannot: whatever fails in between, nobody misses a line."""

import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dclf.data.storage import FileFacts, Folder
from tune.study.object_log import APPENDS, LogObject, ObjectLog, chain

MACHINES = range(3)
REQUESTS = st.integers(0, 6)


class KilledError(Exception):
    """A process ended between two requests."""


class Interruption:
    """Something that happens before one of the next requests to a store."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Nothing happens any more."""
        self._due: dict[int, Callable[[], None]] = {}
        self._count = 0

    def before(self, request: int, action: Callable[[], None]) -> None:
        """Do this once before the request of this number, counted from now on."""
        self._due[self._count + request] = action

    def request(self) -> None:
        """A request is made, or has arrived."""
        with self._lock:
            action = self._due.pop(self._count, None)
            self._count += 1
        if action is not None:
            action()


@dataclass(frozen=True)
class Interrupted(Folder):
    """A folder whose requests may be interrupted."""

    interruption: Interruption

    @classmethod
    def at(cls, place: Path, interruption: Interruption) -> "Interrupted":
        """The folder at a place."""
        opened = Folder.of(place)
        return cls(opened.filesystem, opened.root, opened.address, interruption)

    def files(self, name: str = "") -> dict[str, FileFacts]:
        self.interruption.request()
        return super().files(name)

    def read_bytes(self, name: str) -> bytes:
        self.interruption.request()
        return super().read_bytes(name)

    def write_bytes(self, name: str, content: bytes) -> None:
        self.interruption.request()
        super().write_bytes(name, content)
        self.interruption.request()  # it has arrived, and nobody hears of that

    def delete(self, name: str) -> None:
        self.interruption.request()
        super().delete(name)


def killed() -> None:
    raise KilledError


class Machine:
    """A machine with a copy of its own, and the driver on it."""

    def __init__(self, folder: Path, name: str, appends: int = 3) -> None:
        self.store = folder / "store"
        self.file = folder / name / "ledger.jsonl"
        self.file.parent.mkdir(parents=True)
        self._appends = appends
        self.interruption = Interruption()
        self.restart()

    def restart(self) -> None:
        """A new process: nothing is known but what is on the disk."""
        self.interruption.clear()
        self.log = ObjectLog(self.file, Interrupted.at(self.store, self.interruption), self._appends)

    def append(self, *lines: str) -> None:
        with self.file.open("ab") as file:
            file.write("".join(f"{line}\n" for line in lines).encode())

    @property
    def lines(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []

    @property
    def aside(self) -> list[str]:
        return [line for path in self.file.parent.glob("*.overtaken-*") for line in path.read_text().splitlines()]


def fresh(store: Path) -> list[str]:
    """What a machine reads that has never seen the study."""
    with tempfile.TemporaryDirectory() as name:
        reader = Machine(Path(name), "copy")
        ObjectLog(reader.file, Folder.of(store)).pull()
        return reader.lines


class Drivers(RuleBasedStateMachine):
    """Drivers on several machines, one after the other, any of which may be killed or only thought lost."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.machines = [Machine(self.folder, str(number)) for number in MACHINES]
        self.store = self.machines[0].store
        self.written: list[list[str]] = [[] for _ in MACHINES]
        self.uploaded: list[str] = []  # what drivers were told to have arrived while the study was theirs
        self.overtaken: set[str] = set()  # what drivers have uploaded that were thought lost
        self.driver: int | None = None
        self.lost: set[int] = set()
        self.turn = self.count = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(number=st.sampled_from(MACHINES), kill=st.none() | REQUESTS, stale=st.none() | REQUESTS)
    def take_over(self, number: int, kill: int | None, stale: int | None) -> None:
        machine = self.machines[number]
        if self.driver is not None:
            self.lost.add(self.driver)
        self.driver = None
        self.lost.discard(number)
        machine.restart()
        if stale is not None and self.lost:
            machine.interruption.before(stale, lambda: self.drive_on(min(self.lost)))
        if kill is not None:
            machine.interruption.before(kill, killed)
        self.turn += 1
        try:
            machine.log.pull()
            machine.log.begin(self.turn)
        except KilledError:
            machine.restart()
            return
        machine.interruption.clear()
        self.driver = number
        self.uploaded = machine.lines
        self.overtaken -= set(machine.lines)

    @precondition(lambda self: self.driver is not None)
    @rule(lines=st.integers(1, 3), kill=st.none() | REQUESTS)
    def drive(self, lines: int, kill: int | None) -> None:
        number = self.driver
        assert number is not None
        machine = self.machines[number]
        self.write(number, lines)
        if kill is not None:
            machine.interruption.before(kill, killed)
        try:
            machine.log.push()
        except KilledError:
            machine.restart()
            self.driver = None
            return
        machine.interruption.clear()
        self.uploaded = machine.lines

    @precondition(lambda self: self.driver is not None)
    @rule(failing=REQUESTS)
    def drive_while_the_store_fails(self, failing: int) -> None:
        """The driver lives on, and does not know whether its upload has arrived."""
        assert self.driver is not None
        machine = self.machines[self.driver]
        self.write(self.driver, 1)
        machine.interruption.before(failing, killed)
        try:
            machine.log.push()
        except KilledError:
            machine.interruption.clear()
            self.write(self.driver, 1)
            machine.log.push()
        machine.interruption.clear()
        self.uploaded = machine.lines

    @precondition(lambda self: self.lost)
    @rule(data=st.data())
    def thought_lost(self, data: st.DataObject) -> None:
        self.drive_on(data.draw(st.sampled_from(sorted(self.lost))))

    def drive_on(self, number: int) -> None:
        """A driver that was thought lost goes on uploading."""
        before = set(self.machines[number].lines)
        self.write(number, 1)
        self.machines[number].log.push()
        self.overtaken |= set(self.machines[number].lines) - before

    @rule(number=st.sampled_from(MACHINES), at=REQUESTS, lines=st.integers(0, 3))
    def read(self, number: int, at: int, lines: int) -> None:
        """A reader on any machine, also on the driver's, while a driver goes on or another takes over."""
        interruption = Interruption()
        interruption.before(at, lambda: self.go_on(lines))
        before = list(self.uploaded)
        ObjectLog(self.machines[number].file, Interrupted.at(self.store, interruption)).pull()
        assert self.machines[number].lines[: len(before)] == before

    def go_on(self, lines: int) -> None:
        if self.driver is None or not lines:
            self.take_over(self.count % len(MACHINES), None, None)
        else:
            self.drive(lines, None)

    def write(self, number: int, lines: int) -> None:
        new = [f"line {self.count + line} of {number}" for line in range(lines)]
        self.count += lines
        self.machines[number].append(*new)
        self.written[number] += new

    @invariant()
    def whoever_has_never_seen_the_study_reads_what_was_uploaded(self) -> None:
        lines = fresh(self.store)
        assert lines[: len(self.uploaded)] == self.uploaded
        assert len(set(lines)) == len(lines)
        if self.driver is not None:
            assert lines == self.uploaded
            assert not self.overtaken & set(lines)

    @invariant()
    def nothing_that_was_written_is_gone(self) -> None:
        for machine, written in zip(self.machines, self.written, strict=True):
            assert set(written) <= {*machine.lines, *machine.aside}


Drivers.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestDrivers = Drivers.TestCase


def test_a_line_that_is_not_ended_waits(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "one")
    machine.log.begin(1)
    machine.append("whole")
    with machine.file.open("ab") as file:
        file.write(b"torn")
    assert machine.log.push() == len("whole\n")
    assert fresh(machine.store) == ["whole"]
    assert machine.log.unsent == 0


def test_many_appends_are_few_objects(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "one", APPENDS)
    machine.log.begin(1)
    for number in range(2 * APPENDS + 5):
        machine.append(f"line {number}")
        machine.log.push()
    assert len(Folder.of(machine.store).files()) == 1 + 3
    assert fresh(machine.store) == machine.lines


def test_a_new_driver_leaves_nothing_of_earlier_ones(tmp_path: Path) -> None:
    first, second = Machine(tmp_path, "first"), Machine(tmp_path, "second")
    first.log.begin(7)
    for number in range(5):
        first.append(f"line {number}")
        first.log.push()
    second.log.pull()
    assert second.log.turn == 7
    second.log.begin(8)
    assert list(Folder.of(second.store).files()) == ["0000000000008-000000-whole"]
    assert fresh(second.store) == second.lines == first.lines


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    driver, reader = Machine(tmp_path, "driver", APPENDS), Machine(tmp_path, "reader", APPENDS)
    driver.log.begin(1)
    reader.log.pull()
    for number in range(20):
        driver.append(f"line {number}")
        driver.log.push()
        reader.restart()
        reader.interruption.before(2, lambda: pytest.fail("more than a listing and an object"))
        reader.log.pull()
        assert reader.lines == driver.lines


def test_a_study_begun_by_an_earlier_version_goes_on(tmp_path: Path) -> None:
    """Objects were named by first byte, the byte behind the last, and turn; merged ones stood beside their parts."""
    machine = Machine(tmp_path, "one")
    store = Folder.of(machine.store)
    for start, end, turn, content in (
        (0, 2, 1700000000000, b"a\n"),
        (2, 4, 1700000000000, b"x\n"),
        (0, 4, 1800000000000, b"a\nb\n"),
        (4, 6, 1800000000000, b"c\n"),
        (4, 8, 1800000000000, b"c\nd\n"),
        (8, 10, 1800000000000, b"e\n"),
    ):
        store.write_bytes(f"{start:012}-{end:012}-{turn:013}", content)
    machine.log.pull()
    assert machine.lines == ["a", "b", "c", "d", "e"]
    assert machine.log.turn == 1800000000000
    machine.log.begin(machine.log.turn + 1)
    machine.append("f")
    machine.log.push()
    assert fresh(machine.store) == ["a", "b", "c", "d", "e", "f"]
    assert sorted(store.files()) == ["1800000000001-000000-whole", "1800000000001-000001"]


def test_the_file_ends_before_the_first_number_that_is_missing() -> None:
    names = [LogObject.numbered(5, number, whole=number == 2).name for number in (1, 2, 3, 5)]
    assert [entry.name for entry in chain(["unrelated", *names])] == names[1:3]
    assert chain([names[0], names[2]]) == []
