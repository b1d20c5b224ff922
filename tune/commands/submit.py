"""``dclf submit``: run a command as a job of a Ray cluster.

dclf submit [--address URL] [--name JOB] [--detach] -- COMMAND ...
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser

from tune.commands.job_options import add_endpoint_options, address_option, endpoint_of
from tune.commands.next_steps import print_next
from tune.commands.options import command_parser, listed
from tune.commands.spelling import DEBUG, without_debug
from tune.config.yaml_files import ConfigError
from tune.tracking.facts import git_state, user_name

if TYPE_CHECKING:
    from cluster.jobs.endpoint import Endpoint
    from cluster.jobs.install import Installation
    from tune.commands.job_words import JobCommand

EXAMPLES = """\
examples:
  dclf submit -- sweep iemocap --data.shards shards/iemocap --trials 50 --name gammas
  dclf submit --address http://10.0.0.5:8265 -- ablate my.yaml --storage /shared/studies
  dclf submit --detach -- resume gammas
  dclf submit --install constraints.txt -- train iemocap    on nodes with Ray and Python alone

Takes train, sweep, ablate, grid, study, leaderboard, reproduce, perturb, evaluate, resume and report. Without
--address the job goes to RAY_API_SERVER_ADDRESS or RAY_ADDRESS where that is a URL, then to the local cluster of dclf
cluster up. The token comes from RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token; for the local cluster it is
known.

The folder you are in goes along without data, results and environments. Relative places of shards, studies and
checkpoints are meant from here, and every node must see them: the job tries that on each before its command runs.
Modules in the folder are found by class paths, as in --model.name mymodels:Mine; packages of your own must be installed
on the nodes. Those of the local cluster also have this shell's PYTHONPATH.
The output is followed to the end, and the exit code is the job's. Ctrl-C asks whether to stop the job or to leave it.
"""
_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def main(argv: Sequence[str]) -> int:
    """Submit as the command line says, and follow the job, and return the exit code."""
    split = argv.index("--") if "--" in argv else len(argv)
    # Ahead of the parser, which would take a command without -- for unknown options.
    if split >= len(argv) - 1 and not {"-h", "--help"}.intersection(argv):
        raise ConfigError(["submit: must have a command after --, as in dclf submit -- sweep iemocap --trials 50"])
    options = build_parser().parse_args(argv[:split])
    # Imported here: help does not wait for them.
    from cluster.jobs.client import entrypoint, open_jobs  # noqa: PLC0415
    from cluster.jobs.install import installation  # noqa: PLC0415
    from cluster.jobs.versions import own_versions, require_same_versions  # noqa: PLC0415
    from cluster.temporary import TemporaryFolder  # noqa: PLC0415
    from tune.commands.jobs import follow_job  # noqa: PLC0415

    endpoint = endpoint_of(options)
    words, debug = without_debug(argv[split + 1 :])
    name, command = _named_job(options.name, words)
    environment = tracking_environment(endpoint, command) | python_path(endpoint)
    install = installation(Path(options.install)) if options.install else None
    require_same_versions(endpoint, installs=install is not None)
    with TemporaryFolder("job") as folder, open_jobs(endpoint) as jobs:
        jobs.require_free(name)
        package = _packed(command, folder, options.exclude, install)
        words, version = [*_beside(Path.cwd(), command), *([DEBUG] if debug else [])], own_versions()["dclf"]
        facts = _facts(name, words, command, version)
        jobs.submit(name, entrypoint(words, version), package, environment, facts, install)
        print(f"dclf: job {name} is on the cluster at {endpoint.url}", file=sys.stderr, flush=True)
        if options.detach:
            print(name)
            place = address_option(options)
            print_next(options, f"dclf logs {name} -f{place}", f"dclf stop {name}{place}")
            return 0
        return follow_job(jobs, name)


def build_parser() -> ArgumentParser:
    """Return a parser with the options of the command."""
    parser = command_parser("dclf submit", "Run a command as a job of a Ray cluster.", EXAMPLES)
    parser.usage = "dclf submit [options] -- COMMAND ..."
    add_endpoint_options(parser)
    parser.add_argument("--name", default="", help="of the job; made from the study's where absent")
    parser.add_argument("--detach", action="store_true", help="print the job's name and do not follow it")
    parser.add_argument(
        "--install",
        metavar="FILE",
        default="",
        help="constraints file; nodes that lack dclf and its packages install them for this job alone",
    )
    parser.add_argument("--exclude", metavar="A,B", default="", help="patterns of files that need not go along")
    return parser


def tracking_environment(endpoint: Endpoint, command: JobCommand) -> dict[str, str]:
    """Environment variables that give the job the MLflow server; empty if the cluster or the command sets it.

    User and password never go along: everybody who may list jobs can read a job's environment.

    Raises:
        ConfigError: the address holds them.
    """
    from tune.tracking.redact import without_secrets  # noqa: PLC0415

    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if endpoint.local or command.tracking or not uri.startswith(("http://", "https://")):
        return {}
    if without_secrets(uri) != uri:
        problem = (
            "MLFLOW_TRACKING_URI: must not hold a user or password, which everybody on the cluster could read; set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment of the cluster's nodes"
        )
        raise ConfigError([problem])
    if any(os.environ.get(name) for name in _SECRETS):
        print("dclf: MLflow's password stays here; the cluster's nodes need it in their environment", file=sys.stderr)
    return {"MLFLOW_TRACKING_URI": uri}


def python_path(endpoint: Endpoint) -> dict[str, str]:
    """Return PYTHONPATH for a job of the local cluster, whose nodes are this machine."""
    places = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    if not endpoint.local or not places:
        return {}
    return {"PYTHONPATH": os.pathsep.join(str(Path(place).absolute()) for place in places)}


def _named_job(own_name: str, words: Sequence[str]) -> tuple[str, JobCommand]:
    """Return the job's name and its command; a study without a name gets the job's."""
    from cluster.jobs.client import new_name, require_name  # noqa: PLC0415
    from tune.commands.job_command import read_job_command  # noqa: PLC0415

    if own_name:
        require_name(own_name)
    name = own_name or new_name(words[0] if words[0].isalpha() else "job")
    command = read_job_command(words, study=name)
    return (name if own_name or not command.study or command.study == name else new_name(command.study)), command


def _packed(command: JobCommand, scratch: Path, without: str, install: Installation | None) -> Path:
    """Pack the working folder without the command's outputs."""
    from cluster.jobs.packing import pack  # noqa: PLC0415

    here = Path.cwd()
    places = [os.path.relpath(place, here) for place in command.needs.places if Path(place).is_relative_to(here)]
    beside = {install.file: install.constraints} if install else {}
    package = pack(here, scratch / "job.zip", needed=command.files, exclude=[*listed(without), *places], beside=beside)
    print(f"dclf: {package.files} files, {package.size / (1 << 20):.1f} MiB go along", file=sys.stderr, flush=True)
    return package.path


def _beside(here: Path, command: JobCommand) -> list[str]:
    """The command's words with its files as they lie in the package."""
    inside = {str(file): os.path.relpath(file, here) for file in command.files}
    return [inside.get(word, word) for word in command.words]


def _facts(name: str, words: Sequence[str], command: JobCommand, version: str) -> dict[str, str]:
    facts = {"name": name, "user": user_name(), "commit": _commit(), "study": command.study, "dclf": version}
    again = {"again": shlex.join(command.again)}
    return {key: value for key, value in (facts | again).items() if value} | {"command": shlex.join(["dclf", *words])}


def _commit() -> str:
    """The commit of the folder, with ``+`` where files differ from it; empty where there is none."""
    commit, dirty = git_state(Path.cwd())
    return f"{commit}+" if dirty else commit
