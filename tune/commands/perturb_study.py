"""``dclf perturb STUDY`` and ``dclf perturb CONFIG``: every training of a comparison, which CONFIG trains first."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from cluster.model_actors import ModelError
from cluster.model_plan import ActorSettings
from tune.commands.options import print_json
from tune.commands.perturb_views import choose_perturbation_view
from tune.commands.show_study import table_lines
from tune.commands.study_views import choose_study_view
from tune.commands.sweep_options import Asked, require_local_room
from tune.commands.sweep_results import resume_command, study_result
from tune.comparisons import SEEDS, ablation
from tune.config_files import ConfigError
from tune.search.settings import SweepSettings
from tune.study.folder import StudyFolder

if TYPE_CHECKING:
    from tune.perturbed.kept import StudyPerturbations
    from tune.perturbed.settings import PerturbationSettings
    from tune.sweeps import Study


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
    asked = _asked(options, overrides)
    asked.require_sound()
    require_local_room(asked)
    study = _train(asked)
    found = _perturb(study.folder, options, settings)
    _print(study.folder, found, options, study_result(study))
    return 0


def _asked(options: Namespace, overrides: Mapping[str, str]) -> Asked:
    # Imported here, so that help does not wait for Optuna.
    from tune.search.checks import sweep_problems  # noqa: PLC0415
    from tune.search.read import read_sweep  # noqa: PLC0415

    config, common, problems = read_sweep(options.what, overrides, values=False)
    models = [name.strip() for name in options.models.split(",") if name.strip()]
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
            then = perturb_command(view.folder)
            print(f"dclf: cut short; go on with: {resume_command(view.folder)} && {then}", file=sys.stderr)
        raise


def perturb_command(folder: StudyFolder) -> str:
    """What tests a study's trainings."""
    return _command("perturb", folder)


def _command(name: str, folder: StudyFolder) -> str:
    storage = folder.path.parent
    elsewhere = storage != Path(SweepSettings().storage).absolute()
    return f"dclf {name} {folder.definition.name}" + (f" --storage {shlex.quote(str(storage))}" if elsewhere else "")


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
            from tune.perturbed.study import OUT, perturb_study  # noqa: PLC0415

            return perturb_study(folder, settings, out=options.out or OUT, view=view, actors=actors)
    except (KeyboardInterrupt, SystemExit, ModelError):
        again = f"{perturb_command(folder)} and the same options"
        print(f"dclf: cut short; what is scored is kept; go on with: {again}", file=sys.stderr)
        raise


def _print(folder: StudyFolder, found: StudyPerturbations, options: Namespace, further: Mapping[str, Any]) -> None:
    from tune.perturbed.study_tables import perturbation_sentences  # noqa: PLC0415 - help does not wait

    if options.output == "json" or options.log == "jsonl":
        sentences = perturbation_sentences(folder, found.split)
        print_json({**further, "perturbations": {**found.to_dict(), "sentences": sentences}})
        return
    print(*_lines(folder, found), sep="\n", flush=True)


def _lines(folder: StudyFolder, found: StudyPerturbations) -> Iterator[str]:
    """Tables, sentences and places for a terminal."""
    from tune.perturbed.study_tables import (  # noqa: PLC0415 - help does not wait
        damage_table,
        perturbation_sentences,
        perturbation_table,
    )
    from tune.report.dataset import dataset_note  # noqa: PLC0415

    for table in (perturbation_table(folder, found.split), damage_table(folder, found.split)):
        if table is not None:
            yield from (*table_lines(table), "")
    data = dataset_note(folder.definition)
    yield from (data.sentence, *([data.warning] if data.warning else []), "")
    yield from (*perturbation_sentences(folder, found.split), "")
    yield f"results        {found.folder}"
    yield f"report         written with these tables by: {_command('report', folder)}"
    if left := _unfinished(folder):
        yield f"not complete   {left} of {len(folder.ledger.trials)} trials, which are not in the tables; go on with: "
        yield f"               {resume_command(folder)} && {perturb_command(folder)}"


def _unfinished(folder: StudyFolder) -> int:
    return sum(trial.state in ("waiting", "running") for trial in folder.ledger.trials.values())
