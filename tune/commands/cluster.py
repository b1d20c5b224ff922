"""``dclf cluster``: a local cluster of real Ray nodes and an MLflow server, for trying."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from tune.analysis.table import aligned
from tune.commands.dispatch import Command, dispatch
from tune.commands.next_steps import print_next
from tune.commands.options import add_output_option, command_parser, print_json
from tune.config.yaml_files import ConfigError
from tune.progress.log_messages import message_to_stderr

if TYPE_CHECKING:
    from cluster.local.state import LocalCluster
    from cluster.local.status import Status

GROUP = {
    "up": Command("start Ray nodes and an MLflow server on this machine", "tune.commands.cluster:up_main"),
    "status": Command("addresses, nodes and whether they answer", "tune.commands.cluster:status_main"),
    "env": Command("shell commands that let other programs in", "tune.commands.cluster:env_main"),
    "down": Command("end them; runs and artifacts stay", "tune.commands.cluster:down_main"),
    "manifest": Command("a file that starts a cluster elsewhere", "tune.commands.cluster:manifest_main"),
}
EXAMPLES = """\
examples:
  dclf cluster up
  dclf cluster up --nodes 3 --cpus 1
  dclf cluster status
  eval "$(dclf cluster env)"      # commands of this shell then work on it
  dclf cluster down
  dclf cluster manifest kuberay --out raycluster.yaml
"""
MANIFEST_EXAMPLES = """\
examples:
  dclf cluster manifest --list
  dclf cluster manifest compose
  dclf cluster manifest slurm --out study.sh

The first lines of each file say what to change in it. Images and versions in it are those of this dclf.
"""
UP_EXAMPLES = """\
examples:
  dclf cluster up --nodes 3 --cpus 1
  dclf cluster up --mlflow-backend postgresql://me@localhost/runs    # password in PGPASSWORD or ~/.pgpass
  dclf cluster up --host 192.168.1.20                                # reachable from other machines
"""
HELP = {
    "nodes": "Ray nodes, the head among them",
    "cpus": "CPU slots of each node",
    "host": "IP address of this machine to listen on",
    "ray_port": "0 takes the first free one from 6379 on",
    "dashboard_port": "0 takes the first free one from 8265 on",
    "mlflow_port": "0 takes the first free one from 5000 on",
    "mlflow_backend": "database for the runs; MLFLOW_BACKEND_STORE_URI, then an SQLite file, where absent",
    "artifacts": "folder or URI for artifacts; in the cluster's folder where absent",
}


def main(argv: Sequence[str]) -> int:
    """Run the command of the group that the first argument names, and return the exit code."""
    return dispatch(
        "dclf cluster", "A local cluster, for trying what runs on a real one.", GROUP, argv, epilog=EXAMPLES
    )


def up_main(argv: Sequence[str]) -> int:
    """Start it and say where it is, and return the exit code."""
    from cluster.local.options import Options, without_password  # noqa: PLC0415
    from cluster.local.start import up  # noqa: PLC0415
    from cluster.local.state import load_cluster  # noqa: PLC0415

    parser = _parser("up", "Start Ray nodes and an MLflow server on this machine.", UP_EXAMPLES)
    for option in fields(Options):
        flag, default = f"--{option.name.replace('_', '-')}", option.default
        parser.add_argument(flag, type=type(default), default=default, help=HELP[option.name])
    add_output_option(parser)
    arguments = parser.parse_args(argv)
    words = {option.name: getattr(arguments, option.name) for option in fields(Options)}
    options = Options(**words | {"mlflow_backend": without_password(arguments.mlflow_backend)})
    before = load_cluster(arguments.folder)
    cluster = up(options, arguments.folder)
    if before is not None and before.mark == cluster.mark:
        message_to_stderr(
            f"a local cluster is up already, since {cluster.started}; options of this command change nothing of it"
        )
    _warn_of_exposure(cluster)
    return _show(cluster, arguments.output)


def status_main(argv: Sequence[str]) -> int:
    """Say how it is; the exit code is 0 where everything of it works."""
    from cluster.local.state import ClusterError, load_cluster  # noqa: PLC0415

    parser = _parser("status", "Show the addresses and nodes of the local cluster.")
    add_output_option(parser)
    arguments = parser.parse_args(argv)
    cluster = load_cluster(arguments.folder)
    if cluster is None:
        raise ClusterError(f"{arguments.folder}: no local cluster is up there; start one with `dclf cluster up`")
    return _show(cluster, arguments.output)


def env_main(argv: Sequence[str]) -> int:
    """Print what a shell needs to let its programs in, without a secret, and return the exit code."""
    from cluster.local.state import running_cluster  # noqa: PLC0415

    parser = _parser("env", 'Print shell commands that let programs in: eval "$(dclf cluster env)".')
    print(*shell_lines(running_cluster(parser.parse_args(argv).folder)), sep="\n")
    return 0


def shell_lines(cluster: LocalCluster) -> list[str]:
    """Commands for a POSIX shell that set ``environment()`` and RAY_ADDRESS; secrets are read from their files."""
    from cluster.local.state import PASSWORD, TOKEN  # noqa: PLC0415

    files = {"RAY_AUTH_TOKEN": TOKEN, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    values = {**cluster.environment(), "RAY_ADDRESS": cluster.ray_address}
    words = {key: shlex.quote(value) for key, value in values.items()}
    for key in files.keys() & values.keys():
        words[key] = f'"$(cat {shlex.quote(str(cluster.folder / files[key]))})"'
    return [f"export {key}={word}" for key, word in sorted(words.items())]


def down_main(argv: Sequence[str]) -> int:
    """End it; the exit code. That none is up is no error."""
    from cluster.local.stop import RAY_LOGS, down  # noqa: PLC0415

    arguments = _parser("down", "End the local cluster and the jobs on it; runs and artifacts stay.").parse_args(argv)
    cluster = down(arguments.folder)
    if cluster is None:
        print(f"no local cluster is up in {arguments.folder}")
        return 0
    print(f"the local cluster of {cluster.started} is down; logs are in {cluster.folder / RAY_LOGS.parent}")
    return 0


def manifest_main(argv: Sequence[str]) -> int:
    """Print or write a manifest, or list them, and return the exit code."""
    from cluster.manifests import FILES, SUMMARIES, manifest  # noqa: PLC0415

    parser = command_parser("dclf cluster manifest", "A file that starts a cluster elsewhere.", MANIFEST_EXAMPLES)
    parser.usage = "dclf cluster manifest NAME [--out FILE]\n       dclf cluster manifest --list"
    parser.add_argument("name", nargs="?", choices=tuple(FILES), help="which one; --list says what they are")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--out", default="", help="a new file; printed where absent")
    arguments = parser.parse_args(argv)
    if arguments.list == bool(arguments.name):
        raise ConfigError(["manifest: must be given either a name or --list"])
    if arguments.list:
        print(*aligned([(name, FILES[name], SUMMARIES[name]) for name in FILES]), sep="\n")
    elif arguments.out:
        _write_new(Path(arguments.out), manifest(arguments.name))
        message_to_stderr(f"wrote {arguments.out}; its first lines say what to change")
    else:
        print(manifest(arguments.name), end="")
    return 0


def _write_new(path: Path, text: str) -> None:
    """Write a new file, a script as an executable one."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError([f"--out: {path} is there already; give another name, or delete it first"]) from error
    except OSError as error:
        raise ConfigError([f"--out: must be a file that can be written, is {path} ({error.strerror})"]) from error
    if text.startswith("#!"):
        path.chmod(0o755)


def _parser(name: str, description: str, epilog: str = "") -> ArgumentParser:
    from cluster.local.state import FOLDER  # noqa: PLC0415

    parser = command_parser(f"dclf cluster {name}", description, epilog)
    parser.add_argument("--folder", default=str(FOLDER), help="of the cluster: state, logs, runs, artifacts")
    return parser


def _show(cluster: LocalCluster, output: str) -> int:
    from cluster.local.state import FOLDER  # noqa: PLC0415
    from cluster.local.status import status_of_cluster  # noqa: PLC0415

    status = status_of_cluster(cluster)
    if output == "json":
        print_json(_facts(cluster, status))
    else:
        print(*_lines(cluster, status), sep="\n", flush=True)
    if status.whole:
        place = "" if cluster.folder == FOLDER.absolute() else f" --folder {shlex.quote(str(cluster.folder))}"
        print_next({"output": output}, f'eval "$(dclf cluster env{place})"', f"dclf cluster down{place}")
    if not status.whole:
        message_to_stderr("not everything of it works; `dclf cluster down`, then `dclf cluster up` starts it afresh")
    return 0 if status.whole else 1


def _facts(cluster: LocalCluster, status: Status) -> dict[str, Any]:
    addresses = {"ray": cluster.ray_address, "jobs": cluster.jobs_address, "mlflow": cluster.mlflow_uri}
    return {"folder": cluster.folder, "addresses": addresses, "versions": cluster.versions, **asdict(status)}


def _lines(cluster: LocalCluster, status: Status) -> list[str]:
    from cluster.local.state import ADMIN, PASSWORD, TOKEN  # noqa: PLC0415

    folder = cluster.folder
    return [
        f"Ray        {cluster.ray_address}",
        f"dashboard  {cluster.jobs_address}  {_answering(status.dashboard)}; its token is in {folder / TOKEN}",
        f"MLflow     {cluster.mlflow_uri}  {_answering(status.mlflow)}; user {ADMIN}, password in {folder / PASSWORD}",
        *(f"{node.name:<10} {node.cpus} CPUs, {node.state}, process {node.pid}" for node in status.nodes),
    ]


def _answering(well: bool) -> str:
    return "answers" if well else "DOES NOT ANSWER"


def _warn_of_exposure(cluster: LocalCluster) -> None:
    from cluster.local.state import LOOPBACK  # noqa: PLC0415

    if cluster.host != LOOPBACK:
        message_to_stderr(
            f"warning: Ray and MLflow listen on {cluster.host}, for everyone who reaches that address; token and "
            "password are asked for, but travel unencrypted"
        )
