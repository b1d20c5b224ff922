"""``dclf perturb`` as a job: what is scored decides which nodes must see what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jsonargparse import Namespace

from cluster.jobs.node_check import Needs
from dclf.data.storage import absolute
from tune.analysis.perturbation.files import OUT
from tune.analysis.perturbation.settings import PerturbationSettings
from tune.commands.job_words import JobCommand, run_places, study_job, with_values
from tune.commands.perturb_config import read
from tune.commands.perturb_target import Kind, named_on_disk
from tune.commands.request import config_files
from tune.commands.sweep_options import STUDIES
from tune.config.sweep_settings import SweepSettings
from tune.study.folder import StudyFolder


def perturb_job(
    arguments: Sequence[str], options: Namespace, tests: PerturbationSettings, overrides: Mapping[str, str], study: str
) -> JobCommand:
    """The job of a command line.

    Args:
        arguments: of the command.
        options: its own options.
        tests: what every model has to go through.
        overrides: keys of the configuration that are set.
        study: name for the study that a configuration is trained in, where the command line leaves it unnamed.
    """
    storage, out = absolute(overrides.get(STUDIES, SweepSettings().storage)), absolute(options.out or OUT)
    # The job decides again, where it may see other studies and knows the runs.
    likely: Kind = next(named_on_disk(options.what, storage), "run")
    kind: Kind = options.kind or likely
    if kind == "config":
        line = read(options, tests, {**overrides, STUDIES: storage})
        line.require_sound()
        return study_job("perturb", with_values(arguments, {"out": out}), line, study, config_files(options.what))
    places = {STUDIES: storage, "out": out}
    return _of_run(arguments, options, places) if kind == "run" else _of_study(arguments, options.what, places)


def _of_run(arguments: Sequence[str], options: Namespace, places: Mapping[str, str]) -> JobCommand:
    shards, uri = run_places(options.shards, options.uri)
    words = ("perturb", *with_values(arguments, {**places, **shards, **uri}, {STUDIES: "--storage"}))
    needs = Needs(tuple(shards.values()), {"out": places["out"]}, everywhere=False)
    return JobCommand(words, "", needs, uri.get("uri", ""), run=options.what, again=words)


def _of_study(arguments: Sequence[str], name: str, places: Mapping[str, str]) -> JobCommand:
    config = StudyFolder.open(places[STUDIES], name).definition.base
    words = ("perturb", *with_values(arguments, places, {STUDIES: "--storage"}))
    needs = Needs((absolute(config.data.shards),), {STUDIES: places[STUDIES]})
    return JobCommand(words, name, needs, config.track.uri, again=words)
