from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cluster.jobs.follow import PREAMBLE, Output, own_output

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
