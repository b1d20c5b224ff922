"""Reads a command that is to run as a job: what it needs of the nodes, and the same command with places made absolute.

A job works in a copy of the folder it was submitted from, which is deleted with it. A relative place would be in that
copy; so all places of data and results are made absolute, as seen from the folder of submission.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cluster.jobs.node_check import Needs
from dclf.config import Config
from dclf.data.storage import absolute
from tune.commands.comparison import FLAGS
from tune.commands.options import add_log_options
from tune.commands.overrides import split_overrides
from tune.commands.sweep_options import Asked, read_command_line
from tune.config_files import ConfigError
from tune.tracking.address import resolve_tracking_uri
from tune.tracking.redact import without_secrets

SHARDS, STUDIES, CHECKPOINTS, TRACKING = "data.shards", "sweep.storage", "train.storage", "track.uri"
NOT_IN_A_JOB = ("--address", "--print_config", "--help", "-h")
"""Options that ask for another cluster, or for nothing to be run."""


@dataclass(frozen=True)
class JobCommand:
    """A command that was understood.

    Attributes:
        words: with absolute places and, where it makes a study, with that study's name.
        study: the name of its study; empty for ``train``.
        needs: what every node must be able to do.
        tracking: the tracking URI it was given; empty where the cluster's environment decides. May hold a password.
        files: configuration files that it reads.
    """

    words: tuple[str, ...]
    study: str
    needs: Needs
    tracking: str = field(default="", repr=False)
    files: tuple[Path, ...] = ()


def read_job_command(words: Sequence[str], study: str = "") -> JobCommand:
    """Read a command as it would read itself.

    Args:
        words: the command's name and its arguments.
        study: name for a study that the command leaves unnamed.

    Raises:
        ConfigError: it is no command for a cluster, or has mistakes; all of them are named.
        StudyError: it goes on with a study that is not there.
        SystemExit: an option of the command is wrong.
    """
    name, arguments = (words[0], list(words[1:])) if words else ("", [])
    if name not in READERS:
        raise ConfigError([f"submit: must be followed by -- and one of {', '.join(READERS)}, is {name!r}"])
    _refuse(arguments)
    return READERS[name](arguments, study)


def _refuse(arguments: Sequence[str]) -> None:
    given = [word.partition("=")[0] for word in arguments]
    problems = [f"{option}: has no meaning in a job, leave it out" for option in NOT_IN_A_JOB if option in given]
    if any(without_secrets(word) != word for word in arguments):
        problems.append(
            "submit: an address in a command may hold no user and no password, as everybody on the cluster can read "
            "them; set them in the environment of the cluster's nodes"
        )
    if problems:
        raise ConfigError(problems)


def _train(arguments: list[str], _study: str) -> JobCommand:
    from tune.commands import train  # noqa: PLC0415 - only the command that is read
    from tune.settings import read_config  # noqa: PLC0415

    rest, overrides, mistakes = split_overrides(arguments, train.FLAGS, train.VALUED)
    options = train.parser(with_keys=False).parse_args(rest)
    config, problems = read_config(options.config, overrides, values=options.resume is None)
    if found := [*mistakes, *problems]:
        raise ConfigError(found)
    if options.resume is not None:
        return JobCommand(("train", *_placed(arguments, _tracking(config))), "", Needs(), _resolved(config))
    places = {SHARDS: absolute(config.data.shards), CHECKPOINTS: absolute(config.train.storage)}
    needs = Needs((places[SHARDS],), {CHECKPOINTS: places[CHECKPOINTS]})
    placed = _placed(arguments, places | _tracking(config))
    return JobCommand(("train", *placed), "", needs, _resolved(config), _files(options.config))


def _sweep(arguments: list[str], study: str) -> JobCommand:
    from tune.commands import sweep  # noqa: PLC0415 - as above

    asked = read_command_line(arguments, sweep.parser(), sweep.FLAGS, sweep.VALUED)
    asked.require_sound()
    return _of_study("sweep", arguments, asked, study, asked.options.config)


def _ablate(arguments: list[str], study: str) -> JobCommand:
    from tune.commands import ablate  # noqa: PLC0415 - as above

    made = ablate.parser("dclf ablate")
    add_log_options(made)
    asked = ablate.read(arguments, made, FLAGS)
    return _of_study("ablate", arguments, asked, study, asked.options.config)


def _grid(arguments: list[str], study: str) -> JobCommand:
    from tune.commands import grid  # noqa: PLC0415 - as above

    made = grid.parser("dclf grid")
    add_log_options(made)
    asked = grid.read(arguments, made, FLAGS)
    return _of_study("grid", arguments, asked, study, asked.options.config)


def _study_file(arguments: list[str], study: str) -> JobCommand:
    from tune.commands import study as command  # noqa: PLC0415 - as above

    made = command.parser("dclf study")
    add_log_options(made)
    asked, _ = command.read(arguments, made, FLAGS)
    return _of_study("study", arguments, asked, study, asked.options.study)


def _resume(arguments: list[str], _study: str) -> JobCommand:
    from tune.commands import resume  # noqa: PLC0415 - as above
    from tune.study.folder import StudyFolder  # noqa: PLC0415

    options = resume.parser().parse_args(arguments)
    storage = absolute(options.storage)
    placed = ("resume", *_placed(arguments, {"storage": storage}))
    if not Path(storage).is_dir():  # seen by the cluster alone: the job looks into it
        return JobCommand(placed, options.name, Needs(storages={"storage": storage}))
    config = StudyFolder.open(storage, options.name).definition.base
    needs = Needs((absolute(config.data.shards),), {"storage": storage})
    return JobCommand(placed, options.name, needs, config.track.uri)


READERS: Mapping[str, Callable[[list[str], str], JobCommand]] = {
    "sweep": _sweep,
    "study": _study_file,
    "ablate": _ablate,
    "grid": _grid,
    "train": _train,
    "resume": _resume,
}


def _of_study(name: str, arguments: list[str], asked: Asked, study: str, file: str | None) -> JobCommand:
    config = asked.config
    places = {SHARDS: absolute(config.data.shards), STUDIES: absolute(asked.settings.storage)}
    study = asked.options.name or study
    named = {"name": study} if study else {}
    needs = Needs((places[SHARDS],), {STUDIES: places[STUDIES]})
    placed = _placed(arguments, places | _tracking(config) | named, {STUDIES: "--storage"})
    return JobCommand((name, *placed), study, needs, _resolved(config), _files(file))


def _tracking(config: Config) -> dict[str, str]:
    """A relative SQLite file is a place as well."""
    uri = config.track.uri
    return {TRACKING: resolve_tracking_uri(uri)} if uri.startswith("sqlite:") else {}


def _resolved(config: Config) -> str:
    return _tracking(config).get(TRACKING, config.track.uri)


def _placed(arguments: Sequence[str], values: Mapping[str, str], short: Mapping[str, str] | None = None) -> list[str]:
    """The arguments with these values, whatever was there for them before, at their end."""
    replaced = {f"--{key}" for key in values} | {word for key, word in (short or {}).items() if key in values}
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        option, equals, _ = word.partition("=")
        if option not in replaced:
            kept.append(word)
        elif not equals:
            next(words, None)
    return [*kept, *(part for key, value in values.items() for part in (f"--{key}", value))]


def _files(config: str | None) -> tuple[Path, ...]:
    return (Path(config),) if config and Path(config).is_file() else ()
