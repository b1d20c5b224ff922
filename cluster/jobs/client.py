"""Submit, list, watch and stop jobs through Ray's Jobs API."""

from __future__ import annotations

import logging
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, cast

from cluster.jobs.endpoint import ConnectionBrokenError, Endpoint, JobError, JobUsageError, as_address
from cluster.jobs.install import Installation

ENTRY = ("exec", "python", "-m", "tune.commands.job_entry")
"""What the head node runs; the shell between becomes the command itself, so that signals reach it."""
STOP_WAIT_S = 60
"""How long a job may take to close its runs after it was asked to stop; Ray's own 3 s are too short for that."""
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LABEL = 60
_CHECK_S = 0.2
_TALKATIVE = ("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk")
"""They tell of every package sent and every connection closed."""
_ABSENT = "status code 404"
_STOPPED_CODE = 143
"""As a shell has it for a command that SIGTERM ended."""


@dataclass(frozen=True)
class Job:
    """A job as the cluster knows it.

    Attributes:
        name: its submission id.
        state: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
        code: exit code of its command; None while it runs, or where it never started.
        message: Ray's, of its state.
        facts: what was kept at its submission: user, commit, command, study.
        started: seconds since the epoch; None before.
        ended: likewise.
    """

    name: str
    state: str
    code: int | None
    message: str
    facts: Mapping[str, str]
    started: float | None
    ended: float | None

    @property
    def exit_code(self) -> int:
        """What a command that waits for it should exit with."""
        if self.state == "SUCCEEDED":
            return 0
        return _STOPPED_CODE if self.state == "STOPPED" else self.code or 1


def require_name(name: str) -> str:
    """Return a job's name, which is safe in a path and in a shell.

    Raises:
        JobError: it has other characters.
    """
    if not _NAME.fullmatch(name):
        raise JobUsageError(
            "the name of a job must have up to 100 letters, digits, dots, dashes and underscores, and begin with a "
            f"letter or digit, is {name!r}"
        )
    return name


def new_name(label: str) -> str:
    """Return a name that no job has yet: the label, the time and a random end."""
    return require_name(f"{label[:_LABEL]}-{datetime.now().astimezone():%m%d-%H%M%S}-{token_hex(2)}")


def entrypoint(words: Sequence[str], version: str) -> str:
    """Return the line that the head node's shell runs; every word is quoted for it."""
    return shlex.join([*ENTRY, "--dclf", version, "--", *words])


class Jobs:
    """The jobs of a cluster; made by ``open_jobs``."""

    def __init__(self, client: Any, endpoint: Endpoint) -> None:
        self.client = client
        self._endpoint = endpoint

    def require_free(self, name: str) -> None:
        """Refuse a name that a job has.

        Raises:
            JobError: one has.
        """
        if any(job.name == name for job in self.all()):
            raise JobUsageError(
                f"--name: a job named {name} is on the cluster already; choose another, or leave it out"
            )

    def submit(
        self,
        name: str,
        line: str,
        package: Path,
        environment: Mapping[str, str],
        facts: Mapping[str, str],
        installation: Installation | None = None,
    ) -> None:
        """Send a package and start a job in it.

        Args:
            name: a free one.
            line: from ``entrypoint``.
            package: zip file of the folder it works in.
            environment: variables of its processes. Everybody who may list jobs can read them: no secrets.
            facts: what to keep of it, as readable as the environment.
            installation: what the nodes are to install for it; they have everything where None.

        Raises:
            JobError: the cluster does not take it.
        """
        variables = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S), **environment}
        runtime = {"working_dir": str(package), "env_vars": variables}
        if installation is not None:
            runtime |= installation.runtime_environment()
        with _explained(self._endpoint):
            self.client.submit_job(entrypoint=line, submission_id=name, runtime_env=runtime, metadata=dict(facts))

    def all(self) -> list[Job]:
        """Every submitted job, the latest first."""
        with _explained(self._endpoint):
            details = [item for item in self.client.list_jobs() if item.submission_id]
        return sorted((_job(item) for item in details), key=lambda job: -(job.started or float("inf")))

    def get(self, name: str) -> Job:
        """A job.

        Raises:
            ConnectionBrokenError: the cluster cannot be reached at this moment.
            JobError: there is none of this name.
        """
        require_name(name)
        self._require_answer()
        try:
            with _explained(self._endpoint):
                details = self.client.get_job_info(name)
        except JobError as error:
            if _ABSENT not in str(error):
                raise
            details = None
        if details is None or not details.submission_id:  # Ray also knows programs that nobody submitted
            raise JobUsageError(
                f"no job named {name!r} is on the cluster at {self._endpoint.url}; `dclf jobs` lists them"
            )
        return _job(details)

    def logs(self, name: str) -> str:
        """All that a job has written so far, with Ray's own lines before it."""
        self._require_answer()
        with _explained(self._endpoint):
            return str(self.client.get_job_logs(name))

    def _require_answer(self) -> None:
        """Ask within a time limit, which Ray's own client does not have."""
        try:
            self._endpoint.get("/api/version")
        except ConnectionBrokenError as error:
            raise _broken(self._endpoint, error.__cause__ or error) from error

    def stop(self, name: str) -> Job:
        """Ask a job to stop, and wait until it has; it has a minute to close its runs. One that has ended stays so."""
        if self.get(name).state not in ENDED:
            with _explained(self._endpoint):
                self.client.stop_job(name)
        return self.wait(name, STOP_WAIT_S + 30)

    def wait(self, name: str, limit_s: float) -> Job:
        """Wait up to ``limit_s`` seconds for the job to end and return it; connection errors are tolerated until then.

        Raises:
            ConnectionBrokenError: the connection is still broken when the time is over.
            JobError: there is no such job.
        """
        limit = time.monotonic() + limit_s
        while True:
            try:
                job = self.get(name)
                if job.state in ENDED or time.monotonic() >= limit:
                    return job
            except ConnectionBrokenError:
                if time.monotonic() >= limit:
                    raise
            time.sleep(_CHECK_S)


@contextmanager
def open_jobs(endpoint: Endpoint) -> Iterator[Jobs]:
    """The jobs of a cluster that answers and takes the token.

    Raises:
        JobError: it does not.
    """
    endpoint.get("/api/jobs/")  # bounded in time, which Ray's own client is not
    with as_address(endpoint):
        from ray.job_submission import JobSubmissionClient  # noqa: PLC0415 - two seconds that a refusal need not wait

        for module in _TALKATIVE:
            logging.getLogger(module).setLevel(logging.WARNING)
        headers = {"Authorization": f"Bearer {endpoint.token}"} if endpoint.token else {}
        with _explained(endpoint):
            client = JobSubmissionClient(endpoint.url, headers=headers)
        yield Jobs(client, endpoint)


@contextmanager
def _explained(endpoint: Endpoint) -> Iterator[None]:
    """Ray's client raises RuntimeError for what the cluster answers, and the errors of requests as they are."""
    from requests import RequestException  # noqa: PLC0415 - Ray's job client has loaded it

    try:
        yield
    except RequestException as error:
        raise _broken(endpoint, error) from error
    except (RuntimeError, OSError) as error:
        raise JobError(f"the cluster at {endpoint.url} did not do it: {error}") from error


def _broken(endpoint: Endpoint, cause: BaseException) -> ConnectionBrokenError:
    return ConnectionBrokenError(
        f"the connection to the cluster at {endpoint.url} broke ({type(cause).__name__}); jobs that run go on; check "
        "the network and that the cluster is up, then try again (`dclf jobs` lists them)"
    )


def _job(item: Any) -> Job:
    return Job(
        name=str(item.submission_id),
        state=str(item.status.value if hasattr(item.status, "value") else item.status),
        code=cast("int | None", item.driver_exit_code),
        message=str(item.message or ""),
        facts=dict(item.metadata or {}),
        started=_seconds(item.start_time),
        ended=_seconds(item.end_time),
    )


def _seconds(milliseconds: int | None) -> float | None:
    return milliseconds / 1000 if milliseconds else None
