import shlex
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from cluster.jobs.client import ENTRY, Job, Jobs, entrypoint, new_name, require_name
from cluster.jobs.endpoint import ConnectionBrokenError, Endpoint, JobError
from tests.ports import free_ports


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


class Answering:
    """Ray's client of a cluster that gives one answer after the other, errors among them."""

    def __init__(self, *answers: Any) -> None:
        self._answers: Iterator[Any] = iter(answers)

    def get_job_info(self, _name: str) -> Any:
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        facts = {"submission_id": "gammas", "status": answer, "driver_exit_code": 0, "message": "", "metadata": {}}
        return SimpleNamespace(**facts, start_time=None, end_time=None)


BROKEN = requests.exceptions.ConnectionError("HTTPConnectionPool(host='127.0.0.1', port=8265): Max retries exceeded")
ABSENT = RuntimeError("Request failed with status code 404: no such job")


class Reached(Endpoint):
    """A dashboard that answers."""

    def get(self, path: str) -> Any:
        return {"ray_version": path}


def jobs(*answers: Any) -> Jobs:
    return Jobs(Answering(*answers), Reached("http://127.0.0.1:8265", ""))


def test_a_head_without_power_is_asked_within_a_time_limit() -> None:
    [port] = free_ports(1)
    silent = Jobs(Answering(), Endpoint(f"http://127.0.0.1:{port}", ""))
    for ask in (silent.get, silent.logs, silent.stop):
        with pytest.raises(ConnectionBrokenError, match=rf"^the connection to the cluster at http://127.0.0.1:{port} "):
            ask("gammas")


def test_waiting_outlasts_a_connection_that_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.jobs.client._CHECK_S", 0)
    assert jobs("RUNNING", BROKEN, BROKEN, "SUCCEEDED").wait("gammas", 60).state == "SUCCEEDED"
    with pytest.raises(JobError, match="no job named 'gammas'"):
        jobs(BROKEN, ABSENT).wait("gammas", 60)


def test_a_connection_that_stays_broken_is_told_in_words() -> None:
    message = (
        r"^the connection to the cluster at http://127\.0\.0\.1:8265 broke \(ConnectionError\); .*; check the network"
    )
    with pytest.raises(ConnectionBrokenError, match=message):
        jobs(BROKEN).get("gammas")
    with pytest.raises(ConnectionBrokenError, match=message):
        jobs(BROKEN).wait("gammas", 0)
    with pytest.raises(JobError, match="did not do it: disk of the dashboard"):
        jobs(RuntimeError("disk of the dashboard is full")).get("gammas")
