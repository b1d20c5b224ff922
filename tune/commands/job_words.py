"""A command that is to run as a job, with the places of its data and results made absolute.

A job works in a copy of the folder it was submitted from, which is deleted with it. A relative place would be in that
copy; so all places of data and results are made absolute, as seen from the folder of submission.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cluster.jobs.node_check import Needs
from dclf.config import Config
from dclf.data.storage import absolute
from tune.commands.sweep_options import STUDIES, CommandLine
from tune.tracking.address import resolve_tracking_uri

SHARDS, CHECKPOINTS = "data.shards", "train.storage"


@dataclass(frozen=True)
class JobCommand:
    """A command that is to run as a job.

    Attributes:
        words: with absolute places and, where it makes a study, with that study's name.
        study: the name of its study; empty where it has none, or several.
        needs: what the nodes must be able to do.
        tracking: the tracking URI it was given; empty where the cluster's environment decides. May hold a password.
        files: configuration files that it reads.
        run: id or name of the run that it goes on with or scores; what that needs is known to the tracking store.
        again: words of a job that goes on with it where it is cut short; empty where there is none.
        tracks: whether it reads or writes runs.
    """

    words: tuple[str, ...]
    study: str
    needs: Needs
    tracking: str = field(default="", repr=False)
    files: tuple[Path, ...] = ()
    run: str = ""
    again: tuple[str, ...] = ()
    tracks: bool = True


def with_values(
    arguments: Sequence[str], values: Mapping[str, str], short: Mapping[str, str] | None = None
) -> list[str]:
    """The arguments with these values, whatever was there for them before, at their end.

    Args:
        arguments: of a command.
        values: option without dashes -> value.
        short: option -> the other word for it, with dashes.
    """
    replaced = {f"--{key}" for key in values} | {word for key, word in (short or {}).items() if key in values}
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        option, equals, _ = word.partition("=")
        if option not in replaced:
            rest.append(word)
        elif not equals:
            next(words, None)
    return [*rest, *(part for key, value in values.items() for part in (f"--{key}", value))]


def absolute_database(uri: str) -> str:
    """A relative SQLite file is a place as well; any other URI, and none at all, as it is."""
    return resolve_tracking_uri(uri) if uri.startswith("sqlite") else uri


def study_job(
    command: str,
    arguments: Sequence[str],
    line: CommandLine,
    study: str,
    files: tuple[Path, ...] = (),
    *,
    shards: str = "",
) -> JobCommand:
    """The job of a command that makes a study.

    Args:
        command: its name.
        arguments: of it.
        line: what they say.
        study: name of the study where they say none.
        files: configuration files that they name.
        shards: the command's short option for the shards; empty for none.
    """
    config = line.config
    places = study_places(config, line.settings.storage)
    study = line.options.name or study
    name = {"name": study} if study else {}
    values = places | tracking_place(config) | optuna_place(line.settings.optuna) | name
    return JobCommand(
        (command, *with_values(arguments, values, {STUDIES: "--storage", **({SHARDS: shards} if shards else {})})),
        study,
        Needs((places[SHARDS],), {STUDIES: places[STUDIES]}),
        absolute_database(config.track.uri),
        files,
        again=("resume", study, "--storage", places[STUDIES]) if study else (),
    )


def study_places(config: Config, storage: str) -> dict[str, str]:
    """Keys of a study's shards and of its folder -> where they lie."""
    return {SHARDS: absolute(config.data.shards), STUDIES: absolute(storage)}


def tracking_place(config: Config) -> dict[str, str]:
    """The key of the tracking store -> its file, where it is one."""
    uri = config.track.uri
    return {"track.uri": absolute_database(uri)} if uri.startswith("sqlite") else {}


def optuna_place(url: str) -> dict[str, str]:
    """The key of Optuna's database -> its file, where it is one."""
    return {"sweep.optuna": absolute_database(url)} if url.startswith("sqlite") else {}


def run_places(shards: str | None, uri: str) -> tuple[dict[str, str], dict[str, str]]:
    """Options of a command that scores a run -> other shards than the run's, and its tracking store, where given."""
    return ({"shards": absolute(shards)} if shards else {}), ({"uri": absolute_database(uri)} if uri else {})
