"""Follow what a job writes, to its end, over a connection that may break."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from cluster.jobs.client import ENDED, Job, Jobs
from cluster.jobs.endpoint import JobError

PREAMBLE = "Running entrypoint for job "
"""Ray's last line before those of the command."""
END_LIMIT_S = 30.0
"""How long the state of a job may lag behind the end of its output."""
_RETRIES = 10
"""How often the connection may break before anything new has come."""
_PAUSE_S = 1.0
SILENCE_S = 30.0
"""After so many seconds without output the cluster is asked whether it is there: a dead machine closes nothing."""


class Output:
    """Passes on what the command itself wrote, each character once.

    Args:
        write: takes text as it comes.

    Attributes:
        seen: characters that have come, Ray's own lines included.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._buffer = ""
        self._past_preamble = False
        self.seen = 0
        self._again = 0

    def restart(self) -> None:
        """The cluster will send everything from the beginning again."""
        self._again = self.seen

    def feed(self, text: str) -> None:
        """Take the next piece."""
        repeated = min(self._again, len(text))
        self._again -= repeated
        fresh = text[repeated:]
        self.seen += len(fresh)
        if self._past_preamble:
            self._write(fresh)
            return
        self._buffer += fresh
        _, preamble, rest = self._buffer.partition(PREAMBLE)
        _, ended, rest = rest.partition("\n")
        if preamble and ended:
            self._past_preamble = True
            self._write(rest)


def follow(jobs: Jobs, name: str, write: Callable[[str], None]) -> Job:
    """Pass on the output of a job from its beginning until it has ended.

    Args:
        jobs: of the cluster.
        name: of the job.
        write: takes text as it comes.

    Returns:
        The job, ended.

    Raises:
        JobError: the connection broke and could not be had again.
        KeyboardInterrupt: the job goes on.
    """
    output, failures = Output(write), 0
    while True:
        characters = output.seen
        try:
            asyncio.run(_tail(jobs, name, output))
            break
        except (RuntimeError, OSError) as error:
            failures = failures + 1 if output.seen == characters else 1
            if failures > _RETRIES:
                raise JobError(f"the connection to the job {name} broke ({error}); dclf logs {name} -f") from error
            time.sleep(_PAUSE_S)
            output.restart()
    job = jobs.wait(name, END_LIMIT_S)
    if job.state not in ENDED:
        raise JobError(f"the output of the job {name} ended, but not the job; look again with: dclf logs {name} -f")
    return job


def own_output(text: str) -> str:
    """What the command wrote, of all that is in a job's log."""
    parts: list[str] = []
    Output(parts.append).feed(text)
    return "".join(parts)


async def _tail(jobs: Jobs, name: str, output: Output) -> None:
    from aiohttp import ClientError  # noqa: PLC0415 - Ray's job client has loaded it

    await asyncio.to_thread(jobs.get, name)
    pieces = aiter(jobs.client.tail_job_logs(name))
    try:
        while True:
            coming = asyncio.create_task(_next(pieces))
            while not (await asyncio.wait({coming}, timeout=SILENCE_S))[0]:
                await asyncio.to_thread(_require_running, jobs, name)
            if (piece := coming.result()) is None:
                return
            output.feed(piece)
    except ClientError as error:
        raise ConnectionError(str(error)) from error


async def _next(pieces: AsyncIterator[str]) -> str | None:
    return await anext(pieces, None)


def _require_running(jobs: Jobs, name: str) -> None:
    """Raise OSError if the cluster is unreachable, or if the log stream stopped although the job has ended."""
    if jobs.get(name).state in ENDED:
        raise ConnectionError("the job has ended, and the end of its output does not come")
