"""Reads a command that is to run as a job, or says why it cannot be one and what to do instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module

from dclf.prose import suggestion
from tune.commands.job_words import JobCommand
from tune.commands.request import Request
from tune.commands.spelling import spelled
from tune.config.yaml_files import ConfigError
from tune.tracking.redact import without_secrets

JOBS = {
    "train": "tune.commands.train",
    "sweep": "tune.commands.sweep",
    "ablate": "tune.commands.ablate",
    "grid": "tune.commands.grid",
    "study": "tune.commands.study",
    "leaderboard": "tune.commands.leaderboard",
    "reproduce": "tune.commands.reproduce",
    "perturb": "tune.commands.perturb",
    "evaluate": "tune.commands.evaluate",
    "resume": "tune.commands.resume",
    "report": "tune.commands.report_study",
}
"""Command that can be a job -> its module, whose ``read`` returns a request."""
NOT_IN_A_JOB = ("--address", "--print-config", "--help", "-h")
"""Options that ask for another cluster, or for nothing to be run."""
_DISK = "reads and changes files only: run it where the folder is mounted, with --storage"
_TRACKED = "reads what MLflow has: run it here, with MLFLOW_TRACKING_URI"
ELSEWHERE = {
    "plan": "asks the cluster without running anything on it: dclf plan sweep ... --address HOST:PORT",
    "list": _DISK,
    "runs": _TRACKED,
    "compare": _TRACKED,
    "show": _DISK,
    "doctor": f'{_DISK}, and with the runs\' MLflow server in the environment (eval "$(dclf cluster env)")',
    "gc": _DISK,
    "data": "makes shards out of files of one machine: run it there, into a folder or bucket that all nodes reach",
    "predict": "answers here, about conversations of this machine: run it here, with MLFLOW_TRACKING_URI",
    "ui": "needs a screen: dclf ui --address URL shows the UI of the cluster's MLflow server",
    "dashboard": "shows a study on this machine: run it where the folder is mounted, with --storage",
    "completion": "is about the shell of this machine: run it here",
    "track": "sends what this machine kept: run it here, with MLFLOW_TRACKING_URI",
    "cluster": "is about this machine: run it here",
    **dict.fromkeys(
        ("submit", "jobs", "logs", "stop"), "is about jobs and is none itself: run it here, with --address"
    ),
    "version": "is told by the job itself, which must have this one's",
}
"""Command -> why it is no job, and what to do."""


def read_job_command(words: Sequence[str], study: str = "") -> JobCommand:
    """The job of a command line, see ``read_request`` and ``job_of``."""
    return job_of(read_request(words), study)


def read_request(words: Sequence[str]) -> Request:
    """What a command line asks for, which is to be a job.

    Args:
        words: the command's name and its arguments.

    Raises:
        ConfigError: it is no command for a cluster, or has mistakes; all of them are named.
        SystemExit: an option of the command is wrong.
    """
    name, *arguments = spelled(words) or [""]
    if name not in JOBS:
        why = f"; {name} {ELSEWHERE[name]}" if name in ELSEWHERE else suggestion(name, JOBS)
        raise ConfigError([f"submit: must be followed by -- and one of {', '.join(JOBS)}, is {name!r}{why}"])
    options = [word.partition("=")[0] for word in arguments]
    problems = [f"{option}: has no meaning in a job, leave it out" for option in NOT_IN_A_JOB if option in options]
    if problems := [*problems, *_secret_problems(arguments)]:
        raise ConfigError(problems)
    request: Request = import_module(JOBS[name]).read(arguments)
    return request


def job_of(request: Request, study: str = "") -> JobCommand:
    """The job of a request.

    Args:
        request: from ``read_request``.
        study: name for a study that the command line leaves unnamed.

    Raises:
        ConfigError: a place in it names a password.
        StudyError: it goes on with a study that is not there.
    """
    command = request.job(study)
    if problems := list(_secret_problems(command.words)):  # a place of a configuration file
        raise ConfigError(problems)
    return command


def _secret_problems(words: Sequence[str]) -> Iterator[str]:
    if any(without_secrets(word) != word for word in words):
        yield (
            "submit: an address in a command may hold no user and no password, as everybody on the cluster can read "
            "them; set them in the environment of the cluster's nodes"
        )
