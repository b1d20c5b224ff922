"""``dclf perturb STUDY`` and ``dclf perturb CONFIG``: every training of a comparison, which CONFIG trains first."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from cluster.model_actors import ModelError
from cluster.model_plan import ActorSettings
from tune.commands.failures import code_of
from tune.commands.options import listed, print_json
from tune.commands.show_study import table_lines
from tune.commands.sweep_options import Asked, require_local_room
from tune.commands.sweep_results import study_result
from tune.commands.view_choice import choose_perturbation_view, choose_study_view
from tune.comparisons import SEEDS, ablation
from tune.config.yaml_files import ConfigError
from tune.report.facts import study_command
from tune.study.folder import StudyFolder

if TYPE_CHECKING:
    from tune.analysis.perturbation.kept import StudyPerturbations
    from tune.analysis.perturbation.settings import PerturbationSettings
    from tune.studies import Study


def perturb_named(options: Namespace, settings: PerturbationSettings, storage: str) -> int:
    """Test the trainings of a study that is there; the exit code."""
    folder = StudyFolder.open(storage, options.what)
    found = _perturb(folder, options, settings)
    _print(folder, found, options, {})
    return 0


def perturb_config(options: Namespace, settings: PerturbationSettings, overrides: Mapping[str, str]) -> int:
    """Train base models without and with DCLF, then test every training; the exit code.

    Raises:
        ConfigError: with every mistake at once.
        TrialPlanError: this machine has no room for it.
    """
    asked = read(options, overrides)
    asked.require_sound()
    require_local_room(asked)
    study = _train(asked)
    found = _perturb(study.folder, options, settings)
    _print(study.folder, found, options, study_result(study))
    return code_of([study.folder])


def read(options: Namespace, overrides: Mapping[str, str]) -> Asked:
    """What is to be trained first, with everything that is wrong about it."""
    # Imported here, so that help does not wait for Optuna.
    from tune.search.checks import sweep_problems  # noqa: PLC0415
    from tune.search.read import read_sweep  # noqa: PLC0415

    config, common, problems = read_sweep(options.what, overrides, values=False)
    models = listed(options.models)
    seeds = SEEDS if options.seeds is None else options.seeds
    settings = ablation(models=models, parts=["base"], seeds=seeds, settings=common)
    known = problems or [*config.problems(), *sweep_problems(settings, config)]
    return Asked(options, config, settings, known)


def _train(asked: Asked) -> Study:
    options = asked.options
    view = choose_study_view(options.log, quiet=options.quiet)
    try:
        with view:
            # Imported here: the view shows the wait for Ray and MLflow.
            from tune.sweeps import sweep  # noqa: PLC0415

            return sweep(
                asked.config,
                asked.settings,
                name=options.name,
                view=view,
                verbose=options.verbose,
                address=options.address,
                kind="ablation",
            )
    except BaseException:
        if view.folder is not None:
            then = study_command("perturb", view.folder)
            print(f"dclf: cut short; go on with: {study_command('resume', view.folder)} && {then}", file=sys.stderr)
        raise


def _perturb(folder: StudyFolder, options: Namespace, settings: PerturbationSettings) -> StudyPerturbations:
    actors = ActorSettings(
        address=options.address, at_a_time=options.at_a_time, gpus=options.gpus_per_model, verbose=options.verbose
    )
    if problems := actors.problems():
        names = {"gpus:": "gpus-per-model:", "at_a_time:": "at-a-time:"}
        raise ConfigError([f"--{names[problem.split()[0]]} {problem.partition(' ')[2]}" for problem in problems])
    try:
        with choose_perturbation_view(options.log, quiet=options.quiet) as view:
            # Imported here: the view shows the wait for torch, Ray and MLflow.
            from tune.analysis.perturbation.study import OUT, perturb_study  # noqa: PLC0415

            return perturb_study(folder, settings, out=options.out or OUT, view=view, actors=actors)
    except (KeyboardInterrupt, SystemExit, ModelError):
        again = f"{study_command('perturb', folder)} and the same options"
        print(f"dclf: cut short; what is scored is kept; go on with: {again}", file=sys.stderr)
        raise


def _print(folder: StudyFolder, found: StudyPerturbations, options: Namespace, further: Mapping[str, Any]) -> None:
    from tune.analysis.perturbation.study_tables import perturbation_sentences  # noqa: PLC0415 - help does not wait

    if options.output == "json" or options.log == "jsonl":
        sentences = perturbation_sentences(folder, found.split)
        print_json({**further, "perturbations": {**found.to_dict(), "sentences": sentences}})
        return
    print(*_lines(folder, found), sep="\n", flush=True)


def _lines(folder: StudyFolder, found: StudyPerturbations) -> Iterator[str]:
    """Tables, sentences and places for a terminal."""
    from tune.analysis.perturbation.study_tables import (  # noqa: PLC0415 - help does not wait
        damage_table,
        perturbation_sentences,
        perturbation_table,
    )
    from tune.study.dataset import dataset_note  # noqa: PLC0415

    for table in (perturbation_table(folder, found.split), damage_table(folder, found.split)):
        if table is not None:
            yield from (*table_lines(table), "")
    data = dataset_note(folder.definition)
    yield from (data.sentence, *([data.warning] if data.warning else []), "")
    yield from (*perturbation_sentences(folder, found.split), "")
    yield f"results        {found.folder}"
    yield f"report         written with these tables by: {study_command('report', folder)}"
    if left := _unfinished(folder):
        yield f"not complete   {left} of {len(folder.ledger.trials)} trials, which are not in the tables; go on with: "
        yield f"               {study_command('resume', folder)} && {study_command('perturb', folder)}"


def _unfinished(folder: StudyFolder) -> int:
    return sum(trial.state in ("waiting", "running") for trial in folder.ledger.trials.values())
