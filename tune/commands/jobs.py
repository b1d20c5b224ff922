"""``dclf jobs``, ``dclf logs`` and ``dclf stop``: the jobs of a Ray cluster."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser

from dclf.prose import local_minute
from tune.analysis.table import aligned
from tune.commands.job_options import add_endpoint_options, address_option, endpoint_of
from tune.commands.next_steps import print_next
from tune.commands.options import add_output_option, command_parser, print_json
from tune.commands.streams import is_unread

if TYPE_CHECKING:
    from cluster.jobs.client import Job, Jobs

HEAD = ("job", "state", "study", "user", "commit", "started", "minutes", "command")
COMMIT, COMMAND = 8, 60
"""Characters of a commit and of a command that the table shows."""
STOP_WORD = "s"


def main(argv: Sequence[str]) -> int:
    """List the jobs, and return the exit code."""
    from cluster.jobs.client import open_jobs  # noqa: PLC0415 - help does not wait for it

    parser = _parser("jobs", "The jobs of a Ray cluster, the latest first.")
    add_output_option(parser)
    options = parser.parse_args(argv)
    endpoint = endpoint_of(options)
    with open_jobs(endpoint) as jobs:
        all_jobs = jobs.all()
    if options.output == "json":
        print_json({"address": endpoint.url, "jobs": [asdict(job) for job in all_jobs]})
    elif all_jobs:
        print(*aligned([HEAD, *(_row(job) for job in all_jobs)], right=(HEAD.index("minutes"),)), sep="\n")
        print_next(options, f"dclf logs {all_jobs[0].name} -f{address_option(options)}")
    else:
        print(f"no jobs on the cluster at {endpoint.url}; dclf submit starts one")
    return 0


def logs_main(argv: Sequence[str]) -> int:
    """Show what a job wrote; the exit code, which is the job's where it is followed."""
    from cluster.jobs.client import open_jobs  # noqa: PLC0415
    from cluster.jobs.follow import own_output  # noqa: PLC0415

    parser = _parser("logs", "What a job of a Ray cluster has written.")
    parser.add_argument("job", help="its name, as dclf jobs lists it")
    parser.add_argument("-f", "--follow", action="store_true", help="go on to its end, and exit with its code")
    options = parser.parse_args(argv)
    with open_jobs(endpoint_of(options)) as jobs:
        job = jobs.get(options.job)
        if options.follow:
            return follow_job(jobs, job.name)
        text = own_output(jobs.logs(job.name))
        print(text or job.message, end="" if text else "\n")
    return 0


def stop_main(argv: Sequence[str]) -> int:
    """Stop a job; the exit code is 0 where it has ended."""
    from cluster.jobs.client import open_jobs  # noqa: PLC0415

    parser = _parser("stop", "Ask a job of a Ray cluster to stop; it has a minute to close its runs.")
    parser.add_argument("job", help="its name, as dclf jobs lists it")
    options = parser.parse_args(argv)
    with open_jobs(endpoint_of(options)) as jobs:
        jobs.get(options.job)
        return _stopped(jobs, options.job)


def follow_job(jobs: Jobs, name: str) -> int:
    """Show the output of a job until it ends; its exit code.

    Ctrl-C asks on a terminal whether to stop the job. Elsewhere, or on any other answer, the job goes on.
    """
    from cluster.jobs.follow import follow  # noqa: PLC0415

    try:
        job = follow(jobs, name, _show)
    except KeyboardInterrupt:
        if _wants_stop(name):
            return _stopped(jobs, name)
        print(f"dclf: the job goes on; dclf logs {name} -f follows it, dclf stop {name} stops it", file=sys.stderr)
        if sys.stdin.isatty():
            return 0
        raise
    _tell_end(job)
    return job.exit_code


def _show(text: str) -> None:
    """Print what the job wrote; whoever follows it ends when nobody reads that any more, and the job goes on."""
    sys.stdout.write(text)
    sys.stdout.flush()
    if is_unread(sys.stdout):
        raise SystemExit(128 + signal.SIGPIPE)


def _wants_stop(name: str) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"\ndclf: stop the job {name}, or detach from it? [s/D] ", end="", file=sys.stderr, flush=True)
    try:
        return input().strip().lower().startswith(STOP_WORD)
    except (EOFError, KeyboardInterrupt):
        return False


def _stopped(jobs: Jobs, name: str) -> int:
    job = jobs.stop(name)
    _tell_end(job)
    again = job.facts.get("again")
    if job.state == "STOPPED" and again:
        print(f"dclf: go on with: dclf submit -- {again}", file=sys.stderr)
    return 0 if job.ended is not None else 1


def _tell_end(job: Job) -> None:
    """Ray's own message matters only where the command never ran."""
    why = f": {job.message}" if job.state == "FAILED" and job.code is None else ""
    print(f"dclf: job {job.name} {job.state.lower()}{why}", file=sys.stderr, flush=True)


def _parser(name: str, description: str) -> ArgumentParser:
    parser = command_parser(f"dclf {name}", description)
    add_endpoint_options(parser)
    return parser


def _row(job: Job) -> tuple[str, ...]:
    facts = job.facts
    commit = facts.get("commit", "")
    command = facts.get("command", "")
    return (
        job.name,
        job.state.lower(),
        facts.get("study", "–"),
        facts.get("user", "–"),
        commit[:COMMIT] + ("+" if commit.endswith("+") else "") or "–",
        _time(job.started),
        _minutes(job),
        command if len(command) <= COMMAND else f"{command[: COMMAND - 1]}…",
    )


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else local_minute(datetime.fromtimestamp(seconds).astimezone())


def _minutes(job: Job) -> str:
    if job.started is None:
        return "–"
    end = job.ended if job.ended is not None else datetime.now().astimezone().timestamp()
    return f"{(end - job.started) / 60:.1f}"
