import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.jobs.endpoint import ConnectionBrokenError, JobError
from cluster.jobs.follow import PREAMBLE, Output, follow, own_output

RAY = f"2026-01-01 INFO job_manager.py:1 -- Runtime env is setting up.\n{PREAMBLE}gammas: exec python -m x\n"
COMMAND = "trial 1\ntrial 2\nbest 62.5\n"


def pieces(text: str, cuts: list[int]) -> list[str]:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(ends)]


@given(st.lists(st.integers(0, 200)), st.lists(st.integers(0, 200)), st.integers(0, 10))
def test_each_character_of_the_command_comes_once(first: list[int], second: list[int], lost_at: int) -> None:
    parts: list[str] = []
    output = Output(parts.append)
    for piece in pieces(RAY + COMMAND, first)[:lost_at]:
        output.feed(piece)
    output.restart()
    for piece in pieces(RAY + COMMAND, second):
        output.feed(piece)
    assert "".join(parts) == COMMAND


def test_rays_own_lines_are_left_out() -> None:
    assert own_output(RAY + COMMAND) == COMMAND
    assert own_output("2026-01-01 ERROR runtime env failed\n") == ""


class Breaking:
    """The jobs of a cluster whose connection breaks, after a further line of the output each time.

    Args:
        lines: what a job writes in all.
        count: how many lines come at the first try.
    """

    def __init__(self, lines: list[str], count: int) -> None:
        self.client = self
        self._lines = lines
        self._count = count

    def get(self, _name: str) -> Any:
        return SimpleNamespace(state="RUNNING")

    async def tail_job_logs(self, _name: str) -> AsyncIterator[str]:
        for line in self._lines[: self._count]:
            yield line
        if self._count < len(self._lines):
            self._count += 1
            raise ConnectionError("reset by peer")

    def wait(self, _name: str, _limit_s: float) -> Any:
        return SimpleNamespace(state="SUCCEEDED")


class Silent(Breaking):
    """Jobs of a head that has lost its power after the first line, and is back at the third look."""

    looks = 0

    def get(self, _name: str) -> Any:
        self.looks += 1
        if self.looks == 2:
            raise ConnectionBrokenError("nobody answers")
        return SimpleNamespace(state="RUNNING")

    async def tail_job_logs(self, _name: str) -> AsyncIterator[str]:
        yield self._lines[0]
        if self.looks < 2:
            await asyncio.Event().wait()
        for line in self._lines[1:]:
            yield line


@pytest.mark.timeout(30)
def test_a_head_that_says_nothing_more_is_asked_whether_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.jobs.follow._PAUSE_S", 0)
    monkeypatch.setattr("cluster.jobs.follow.SILENCE_S", 0.05)
    parts: list[str] = []
    jobs = Silent([RAY, "one\n", "two\n"], 1)
    follow(jobs, "gammas", parts.append)  # type: ignore[arg-type]
    assert "".join(parts) == "one\ntwo\n"
    assert jobs.looks == 3


def test_a_connection_that_breaks_is_given_up_only_where_nothing_new_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.jobs.follow._PAUSE_S", 0)
    parts: list[str] = []
    lines = [RAY, *(f"trial {number}\n" for number in range(30))]
    follow(Breaking(lines, 1), "gammas", parts.append)  # type: ignore[arg-type]
    assert "".join(parts) == "".join(lines[1:])
    with pytest.raises(JobError, match=r"the connection to the job gammas broke \(reset by peer"):
        follow(Breaking([""] * 30, 1), "gammas", parts.append)  # type: ignore[arg-type]
