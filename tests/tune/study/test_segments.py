"""Files that grow in a store whose objects cannot."""

import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dclf.data.storage import Folder
from tune.study.segments import MERGED, Segment, SegmentedFile, chain

TURNS = itertools.count(1)
LINE_NUMBERS = itertools.count(1)
LINES = st.lists(st.text("ab", max_size=5), min_size=1, max_size=4)


class Machine:
    """A driver's machine with a copy of its own."""

    def __init__(self, folder: Path, name: str, merged: int = 3) -> None:
        self.file = folder / name / "ledger.jsonl"
        self.file.parent.mkdir(parents=True)
        self.remote = Folder.of(folder / "store")
        self.log = SegmentedFile(self.file, self.remote, merged)
        self.turn = 0

    def take(self) -> Path | None:
        aside = self.log.pull(self.remote.files())
        self.turn = next(TURNS)
        return aside

    def write(self, *lines: str) -> bytes:
        # No two lines of a ledger are the same.
        text = "".join(f"{next(LINE_NUMBERS)} {line}\n" for line in lines).encode()
        with self.file.open("ab") as file:
            file.write(text)
        return text

    def push(self) -> None:
        self.log.push(self.turn)

    @property
    def content(self) -> bytes:
        return self.file.read_bytes() if self.file.exists() else b""


def fresh(folder: Path) -> bytes:
    """What a machine that has never seen the study reads."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        reader = Machine(folder, Path(name).name + "/copy")
        reader.take()
        return reader.content


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 2), LINES, st.booleans()), max_size=12))
def test_drivers_that_follow_one_another_lose_nothing_that_was_uploaded(
    turns: Sequence[tuple[int, list[str], bool]],
) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        machines = [Machine(folder, str(number)) for number in range(3)]
        expected, unsent = b"", {0: b"", 1: b"", 2: b""}
        for number, lines, uploads in turns:
            machine = machines[number]
            aside = machine.take()
            known = unsent[number]
            if aside is None:
                assert machine.content == expected + known
            else:
                assert aside.read_bytes() == known
                known = b""
            known += machine.write(*lines)
            if uploads:
                machine.push()
                expected, known = expected + known, b""
            unsent[number] = known
            assert fresh(folder) == expected


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), LINES), max_size=25), st.integers(0, 20))
def test_what_a_driver_uploads_behind_its_successor_s_back_has_no_part(
    writes: Sequence[tuple[bool, list[str]]], overtaken: int
) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        first, second = Machine(folder, "first"), Machine(folder, "second")
        first.take()
        for _, lines in writes[:overtaken]:
            first.write(*lines)
            first.push()
        before = first.content
        second.take()
        taken = second.write("here I am")
        second.push()
        for stale, lines in writes[overtaken:]:
            machine = first if stale else second
            machine.write(*lines)
            machine.push()
        assert second.content.startswith(before + taken)
        assert fresh(folder) == second.content
        written = first.content
        aside = first.take()
        assert first.content == second.content
        # What it had written since is not lost without a trace.
        assert written == before or (aside is not None and written.endswith(aside.read_bytes()))


def test_a_line_that_is_not_ended_waits(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "one")
    machine.take()
    whole = machine.write("whole")
    with machine.file.open("ab") as file:
        file.write(b"torn")
    machine.push()
    assert fresh(tmp_path) == whole
    assert machine.log.unsent == 0


def test_many_appends_are_few_objects(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "one", MERGED)
    machine.take()
    for number in range(4 * MERGED + 3):
        machine.write(f"line {number}")
        machine.push()
    # The first, four merged ones, and the last two.
    assert len(machine.remote.files()) == 1 + 4 + 2
    assert fresh(tmp_path) == machine.content


def test_another_turn_begins_with_the_whole_file(tmp_path: Path) -> None:
    first, second = Machine(tmp_path, "first"), Machine(tmp_path, "second")
    first.take()
    for number in range(5):
        first.write(f"line {number}")
        first.push()
    second.take()
    second.write("here I am")
    second.push()
    assert [Segment.of(name) for name in second.remote.files()] == [Segment(0, len(second.content), second.turn)]


def test_segments_that_were_merged_and_not_yet_deleted_do_not_matter() -> None:
    parts = [Segment(number, number + 1, 1) for number in range(5)]
    assert chain([*parts, Segment(1, 4, 1)]) == [parts[0], Segment(1, 4, 1), parts[4]]
    assert chain([*parts, Segment(0, 4, 2), Segment(4, 6, 2)]) == [Segment(0, 4, 2), Segment(4, 6, 2)]
    assert chain([Segment(4, 5, 1)]) == []


def test_a_name_comes_back_as_it_was() -> None:
    segment = Segment(12, 345, 6)
    assert Segment.of(segment.name) == segment
    assert Segment.of(".probe-1") is None
