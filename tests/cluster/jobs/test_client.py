import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.jobs.client import ENTRY, Job, entrypoint, new_name, require_name
from cluster.jobs.endpoint import JobError


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_words_stay_words_whatever_is_in_them(words: list[str]) -> None:
    assert shlex.split(entrypoint(words, "1.2")) == [*ENTRY, "--dclf", "1.2", "--", *words]


@pytest.mark.parametrize("name", ["", "../up", "a b", "a;b", "$(id)", "-f", ".hidden", "a/b", "é", "a" * 101, "a\n"])
def test_names_that_could_escape_are_refused(name: str) -> None:
    with pytest.raises(JobError, match="name of a job must have"):
        require_name(name)


def test_made_names_are_sound_and_differ() -> None:
    assert require_name(new_name("x" * 100)) != new_name("x" * 100)


@pytest.mark.parametrize(
    ("state", "code", "expected"),
    [("SUCCEEDED", 0, 0), ("FAILED", 2, 2), ("FAILED", None, 1), ("STOPPED", None, 143), ("STOPPED", 0, 143)],
)
def test_the_exit_code_is_the_commands(state: str, code: int | None, expected: int) -> None:
    job = Job(name="a", state=state, code=code, message="", facts={}, started=None, ended=None)
    assert job.exit_code == expected
