from collections.abc import AsyncIterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.jobs.endpoint import JobError
from cluster.jobs.follow import PREAMBLE, Output, follow, own_output

RAY = f"2026-01-01 INFO job_manager.py:1 -- Runtime env is setting up.\n{PREAMBLE}gammas: exec python -m x\n"
COMMAND = "trial 1\ntrial 2\nbest 62.5\n"


def pieces(text: str, cuts: list[int]) -> list[str]:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(ends)]


@given(st.lists(st.integers(0, 200)), st.lists(st.integers(0, 200)), st.integers(0, 10))
def test_each_character_of_the_command_comes_once(first: list[int], second: list[int], lost_at: int) -> None:
    shown: list[str] = []
    output = Output(shown.append)
    for piece in pieces(RAY + COMMAND, first)[:lost_at]:
        output.feed(piece)
    output.restart()
    for piece in pieces(RAY + COMMAND, second):
        output.feed(piece)
    assert "".join(shown) == COMMAND


def test_rays_own_lines_are_left_out() -> None:
    assert own_output(RAY + COMMAND) == COMMAND
    assert own_output("2026-01-01 ERROR runtime env failed\n") == ""


class Breaking:
    """The jobs of a cluster whose connection breaks, after a further line of the output each time.

    Args:
        lines: what a job writes in all.
        shown: how many lines come at the first try.
    """

    def __init__(self, lines: list[str], shown: int) -> None:
        self.client = self
        self._lines = lines
        self._shown = shown

    async def tail_job_logs(self, _name: str) -> AsyncIterator[str]:
        for line in self._lines[: self._shown]:
            yield line
        if self._shown < len(self._lines):
            self._shown += 1
            raise ConnectionError("reset by peer")

    def wait(self, _name: str, _limit_s: float) -> Any:
        return SimpleNamespace(state="SUCCEEDED")


def test_a_connection_that_breaks_is_given_up_only_where_nothing_new_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.jobs.follow._PAUSE_S", 0)
    shown: list[str] = []
    lines = [RAY, *(f"trial {number}\n" for number in range(30))]
    follow(Breaking(lines, 1), "gammas", shown.append)  # type: ignore[arg-type]
    assert "".join(shown) == "".join(lines[1:])
    with pytest.raises(JobError, match=r"the connection to the job gammas broke \(reset by peer"):
        follow(Breaking([""] * 30, 1), "gammas", shown.append)  # type: ignore[arg-type]
