"""What each command that can be a job needs of the nodes, read as the command reads itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.jobs.node_check import Needs
from dclf.config import Config
from dclf.data.storage import absolute
from tune.commands.comparison import FLAGS
from tune.commands.job_words import JobCommand, absolute_database, placed
from tune.commands.options import add_log_options, listed
from tune.commands.overrides import split_overrides
from tune.commands.sweep_options import Asked, options_and_overrides, read_command_line
from tune.config.yaml_files import ConfigError

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from tune.commands.perturb_target import Kind

SHARDS, STUDIES, CHECKPOINTS, TRACKING = "data.shards", "sweep.storage", "train.storage", "track.uri"
OPTUNA = "sweep.optuna"


def _train(arguments: list[str], _study: str) -> JobCommand:
    from tune.commands import train  # noqa: PLC0415 - only the command that is read
    from tune.config.settings import read_config  # noqa: PLC0415

    rest, overrides, mistakes = split_overrides(arguments, train.FLAGS, train.VALUED)
    options = train.parser(with_keys=False).parse_args(rest)
    config, problems = read_config(options.config, overrides, values=options.resume is None)
    if found := [*mistakes, *problems]:
        raise ConfigError(found)
    if options.resume is not None:
        words = ("train", *placed(arguments, _tracking(config)))
        return JobCommand(words, "", Needs(), _tracked(config), run=options.resume, again=words)
    places = {SHARDS: absolute(config.data.shards), CHECKPOINTS: absolute(config.train.storage)}
    needs = Needs((places[SHARDS],), {CHECKPOINTS: places[CHECKPOINTS]})
    words = ("train", *placed(arguments, places | _tracking(config)))
    return JobCommand(words, "", needs, _tracked(config), _files(options.config))


def _sweep(arguments: list[str], study: str) -> JobCommand:
    from tune.commands import sweep  # noqa: PLC0415 - as above

    asked = read_command_line(arguments, sweep.parser(), sweep.FLAGS, sweep.VALUED)
    asked.require_sound()
    return _of_study("sweep", arguments, asked, study, _files(asked.options.config))


def _ablate(arguments: list[str], study: str) -> JobCommand:
    from tune.commands import ablate  # noqa: PLC0415 - as above

    made = ablate.parser("dclf ablate")
    add_log_options(made)
    asked = ablate.read(arguments, made, FLAGS)
    return _of_study("ablate", arguments, asked, study, _files(asked.options.config))


def _grid(arguments: list[str], study: str) -> JobCommand:
    from tune.commands import grid  # noqa: PLC0415 - as above

    made = grid.parser("dclf grid")
    add_log_options(made)
    asked = grid.read(arguments, made, FLAGS)
    return _of_study("grid", arguments, asked, study, _files(asked.options.config))


def _study_file(arguments: list[str], study: str) -> JobCommand:
    from tune.commands import study as command  # noqa: PLC0415 - as above

    made = command.parser("dclf study")
    add_log_options(made)
    asked, _ = command.read(arguments, made, FLAGS)
    return _of_study("study", arguments, asked, study, _study_files(asked.options.study))


def _resume(arguments: list[str], _study: str) -> JobCommand:
    from tune.commands import resume  # noqa: PLC0415 - as above
    from tune.study.folder import StudyFolder  # noqa: PLC0415

    options = resume.parser().parse_args(arguments)
    storage = absolute(options.storage)
    words = ("resume", *placed(arguments, {"storage": storage}))
    if not Path(storage).is_dir():  # seen by the cluster alone: the job looks into it
        return JobCommand(words, options.name, Needs(storages={"storage": storage}), again=words)
    config = StudyFolder.open(storage, options.name).definition.base
    needs = Needs((absolute(config.data.shards),), {"storage": storage})
    return JobCommand(words, options.name, needs, config.track.uri, again=words)


def _reproduce(arguments: list[str], _study: str) -> JobCommand:
    from tune.commands import reproduce  # noqa: PLC0415 - as above
    from tune.runner.reproduction_plan import planned_studies  # noqa: PLC0415

    options, overrides = reproduce.read(arguments)
    only = listed(options.only)
    planned = next(iter(planned_studies(options.dataset, overrides, only=only, seeds=options.seeds).values()))
    places = _study_places(planned.config, planned.settings.storage)
    out = {"out": absolute(options.out)} if options.out else {}
    optuna = _optuna(planned.settings.optuna)
    short = {SHARDS: reproduce.SHARDS, STUDIES: "--storage"}
    words = ("reproduce", *placed(arguments, places | _tracking(planned.config) | optuna | out, short))
    needs = Needs((places[SHARDS],), {STUDIES: places[STUDIES]})
    return JobCommand(words, "", needs, _tracked(planned.config), again=words)


def _perturb(arguments: list[str], study: str) -> JobCommand:
    from tune.analysis.perturbation.files import OUT  # noqa: PLC0415
    from tune.commands import perturb  # noqa: PLC0415 - as above
    from tune.commands.perturb_target import named_on_disk  # noqa: PLC0415
    from tune.config.sweep_settings import SweepSettings  # noqa: PLC0415

    options, overrides, mistakes = options_and_overrides(arguments, perturb.parser(), perturb.FLAGS, perturb.VALUED)
    _, problems = perturb.read_settings(options)
    if found := [*mistakes, *problems]:
        raise ConfigError(found)
    storage = absolute(overrides.get(STUDIES, SweepSettings().storage))
    # The job decides again, where it may see other studies and knows the runs.
    likely: Kind = next(named_on_disk(options.what, storage), "run")
    kind: Kind = options.kind or likely
    out = absolute(options.out or OUT)
    return _PERTURB[kind](arguments, options, overrides | {STUDIES: storage, "out": out}, study)


def _perturb_run(arguments: list[str], options: Namespace, values: Mapping[str, str], _study: str) -> JobCommand:
    shards = {"shards": absolute(options.shards)} if options.shards else {}
    uri = {"uri": absolute_database(options.uri)} if options.uri else {}
    places = {STUDIES: values[STUDIES], "out": values["out"], **shards, **uri}
    words = ("perturb", *placed(arguments, places, {STUDIES: "--storage"}))
    needs = Needs(tuple(shards.values()), {"out": values["out"]}, everywhere=False)
    return JobCommand(words, "", needs, uri.get("uri", ""), run=options.what, again=words)


def _perturb_study(arguments: list[str], options: Namespace, values: Mapping[str, str], _study: str) -> JobCommand:
    from tune.study.folder import StudyFolder  # noqa: PLC0415 - as above

    config = StudyFolder.open(values[STUDIES], options.what).definition.base
    places = {STUDIES: values[STUDIES], "out": values["out"]}
    words = ("perturb", *placed(arguments, places, {STUDIES: "--storage"}))
    needs = Needs((absolute(config.data.shards),), {STUDIES: values[STUDIES]})
    return JobCommand(words, options.what, needs, config.track.uri, again=words)


def _perturb_config(arguments: list[str], options: Namespace, values: Mapping[str, str], study: str) -> JobCommand:
    from tune.commands import perturb_config  # noqa: PLC0415 - as above

    overrides = {key: value for key, value in values.items() if key != "out"}
    asked = perturb_config.read(options, overrides)
    asked.require_sound()
    placed_out = placed(arguments, {"out": values["out"]})
    return _of_study("perturb", placed_out, asked, study, _files(options.what))


_PERTURB: Mapping[Kind, Callable[[list[str], Namespace, Mapping[str, str], str], JobCommand]] = {
    "run": _perturb_run,
    "study": _perturb_study,
    "config": _perturb_config,
}


def _evaluate(arguments: list[str], _study: str) -> JobCommand:
    from tune.commands import evaluate  # noqa: PLC0415 - as above

    options = evaluate.parser().parse_args(arguments)
    shards = {"shards": absolute(options.shards)} if options.shards else {}
    uri = {"uri": absolute_database(options.uri)} if options.uri else {}
    needs = Needs(tuple(shards.values()), everywhere=False)
    return JobCommand(("evaluate", *placed(arguments, shards | uri)), "", needs, uri.get("uri", ""), run=options.run)


def _report(arguments: list[str], _study: str) -> JobCommand:
    from tune.commands import report_study  # noqa: PLC0415 - as above

    options = report_study.parser().parse_args(arguments)
    storage = {"storage": absolute(options.storage)}
    out = {"out": absolute(options.out)} if options.out else {}
    needs = Needs(storages=storage | out, everywhere=False)
    return JobCommand(("report", *placed(arguments, storage | out)), options.name, needs, tracks=False)


READERS: Mapping[str, Callable[[list[str], str], JobCommand]] = {
    "train": _train,
    "sweep": _sweep,
    "ablate": _ablate,
    "grid": _grid,
    "study": _study_file,
    "reproduce": _reproduce,
    "perturb": _perturb,
    "evaluate": _evaluate,
    "resume": _resume,
    "report": _report,
}
"""Command -> what reads it."""


def _of_study(name: str, arguments: list[str], asked: Asked, study: str, files: tuple[Path, ...]) -> JobCommand:
    config = asked.config
    places = _study_places(config, asked.settings.storage)
    study = asked.options.name or study
    named = {"name": study} if study else {}
    needs = Needs((places[SHARDS],), {STUDIES: places[STUDIES]})
    values = places | _tracking(config) | _optuna(asked.settings.optuna) | named
    again = ("resume", study, "--storage", places[STUDIES]) if study else ()
    words = placed(arguments, values, {STUDIES: "--storage"})
    return JobCommand((name, *words), study, needs, _tracked(config), files, again=again)


def _study_places(config: Config, storage: str) -> dict[str, str]:
    return {SHARDS: absolute(config.data.shards), STUDIES: absolute(storage)}


def _tracking(config: Config) -> dict[str, str]:
    uri = config.track.uri
    return {TRACKING: absolute_database(uri)} if uri.startswith("sqlite") else {}


def _tracked(config: Config) -> str:
    return absolute_database(config.track.uri)


def _optuna(url: str) -> dict[str, str]:
    return {OPTUNA: absolute_database(url)} if url.startswith("sqlite") else {}


def _files(config: str | None) -> tuple[Path, ...]:
    return (Path(config),) if config and Path(config).is_file() else ()


def _study_files(study: str) -> tuple[Path, ...]:
    """A study file, and the configurations beside it that it names."""
    from tune.config.study_files import read_study_file  # noqa: PLC0415 - as above

    if not Path(study).is_file():  # one of the paper's
        return ()
    described = read_study_file(study)
    named = [described.base, *(sets for sets in described.models.values() if isinstance(sets, str))]
    beside = (Path(study).parent / name for name in named)
    return (Path(study), *(path for path in beside if path.is_file()))
