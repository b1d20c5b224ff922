"""What a job runs on the head node: every node is tried, then the command is run as anywhere else.

python -m tune.commands.job_entry --dclf VERSION -- COMMAND ...
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tune.commands.spelling import without_debug
from tune.commands.streams import open_streams
from tune.progress.log_messages import message_to_stderr

if TYPE_CHECKING:
    from cluster.jobs.node_check import Needs
    from tune.commands.job_words import JobCommand


def run(argv: Sequence[str]) -> int:
    """Check, then run the command; its exit code, or 1 where a node cannot do its part.

    Args:
        argv: ``--dclf``, the submitting client's version, ``--``, and the command with its arguments.
    """
    message_to_stderr("the job has started; trying every node")
    # Imported here: whoever follows the job is told at once that it runs.
    from cluster.signals import termination_raises  # noqa: PLC0415
    from tune.commands.main import EXPECTED, FAILED, INTERRUPTED, exit_code  # noqa: PLC0415
    from tune.config.yaml_files import ConfigError  # noqa: PLC0415
    from tune.tracking.manners import mlflow_settings  # noqa: PLC0415

    _, version, _, *words = argv
    words, debug = without_debug(words)
    try:
        with mlflow_settings(), termination_raises():
            return _run(version, words, debug=debug)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as request:
        return request.code if isinstance(request.code, int) else FAILED
    except EXPECTED as error:
        if debug:
            traceback.print_exc()
        for problem in error.problems if isinstance(error, ConfigError) else str(error).splitlines():
            message_to_stderr(f"error: {problem}")
        return exit_code(error)


def _run(version: str, words: Sequence[str], *, debug: bool) -> int:
    from cluster.jobs.node_check import check_nodes  # noqa: PLC0415 - as above
    from cluster.session import ray_session  # noqa: PLC0415
    from tune.commands.job_command import job_of, read_request  # noqa: PLC0415
    from tune.commands.main import run_command  # noqa: PLC0415

    _require_version(version)
    request = read_request(words)
    command = job_of(request)
    if command.tracks:
        _require_lasting_runs(command)
    needs = needs_of_run(command) if command.run else command.needs
    here = Path.cwd()
    with ray_session(verbose="--verbose" in words) if needs.everywhere else nullcontext():
        names = check_nodes(needs)
        # Nodes of one machine share the folder of packages, and each unpacks this one anew when it first needs it.
        os.chdir(here)
        message_to_stderr(f"every node is ready: {', '.join(names)}" if names else "the head node is ready")
        return run_command(request.run, debug=debug)


def _require_version(client: str) -> None:
    from cluster.jobs.versions import BRING, mismatches, own_versions  # noqa: PLC0415 - as above

    if differing := list(mismatches({"dclf": client}, own_versions())):
        raise ValueError(
            f"the client must have the version of the cluster, has {differing[0]}; submit from an environment with the "
            f"cluster's version, or rebuild the cluster with the client's; {BRING}"
        )


def needs_of_run(command: JobCommand) -> Needs:
    """What a run needs that the command goes on with or scores.

    Raises:
        ConfigError: its places are relative, and the folder that they are meant from is not known here.
    """
    from cluster.jobs.node_check import Needs  # noqa: PLC0415 - as above
    from dclf.config import Config  # noqa: PLC0415
    from dclf.data.storage import absolute  # noqa: PLC0415
    from tune.config.yaml_files import ConfigError  # noqa: PLC0415
    from tune.tracking.find import find_run  # noqa: PLC0415
    from tune.tracking.store import resolve_tracking_uri  # noqa: PLC0415

    record = find_run(resolve_tracking_uri(command.tracking), command.run)
    config = Config.from_dict(record.config)
    places = {"data.shards": config.data.shards, "train.storage": config.train.storage}
    if command.needs.shards:
        del places["data.shards"]
    if relative := [f"{key} {place}" for key, place in places.items() if absolute(place) != place]:
        problem = (
            f"run {record.name} ({record.run_id}): its places must be absolute for a job, are {', '.join(relative)}, "
            "meant from the folder that it was trained in; run the command there instead of submitting it"
        )
        raise ConfigError([problem])
    if not command.needs.everywhere:
        return command.needs if command.needs.shards else replace(command.needs, shards=(config.data.shards,))
    return Needs((config.data.shards,), {"train.storage": config.train.storage})


def _require_lasting_runs(command: JobCommand) -> None:
    """Refuse an SQLite file in the job's own folder, with which its runs would be deleted."""
    from tune.config.yaml_files import ConfigError  # noqa: PLC0415 - as above
    from tune.tracking.store import resolve_tracking_uri, sqlite_path  # noqa: PLC0415

    path = sqlite_path(resolve_tracking_uri(command.tracking))
    if path is not None and path.is_relative_to(Path.cwd()):
        problem = (
            "track.uri: must name the MLflow server where the cluster's nodes have no MLFLOW_TRACKING_URI, is empty; "
            "give --track.uri http://HOST:PORT (--uri to evaluate and perturb), or start the nodes with "
            "MLFLOW_TRACKING_URI and, where the server asks for them, MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD"
        )
        raise ConfigError([problem])


if __name__ == "__main__":
    open_streams()
    sys.exit(run(sys.argv[1:]))
