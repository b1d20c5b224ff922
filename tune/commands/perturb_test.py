"""Tests a run, a study, or a study that a configuration trains first, and prints what it came to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from cluster.model_actors import ModelError
from dclf.prose import suggestion
from tune.analysis.perturbation.files import OUT, PAGE
from tune.commands.failures import code_of
from tune.commands.next_steps import print_next, run_line, uri_option
from tune.commands.options import print_json
from tune.commands.perturb_config import read
from tune.commands.perturb_options import read_actors
from tune.commands.show_study import table_lines
from tune.commands.sweep_options import STUDIES, require_local_room
from tune.commands.sweep_results import study_result, sweep_command_line
from tune.config.yaml_files import preset_names
from tune.progress.forms import choose_renderer
from tune.report.facts import study_command
from tune.study.dataset import shards_note
from tune.study.folder import StudyFolder
from tune.study.places import study_names
from tune.tracking.address import resolve_tracking_uri
from tune.tracking.trouble import UnknownRunError

if TYPE_CHECKING:
    from tune.analysis.perturbation.scores import Perturbations
    from tune.analysis.perturbation.settings import PerturbationSettings
    from tune.analysis.perturbation.target import Target
    from tune.commands.perturb_target import Kind
    from tune.studies import Study

_MOST_SHOWN = 5


def _test_run(options: Namespace, settings: PerturbationSettings, overrides: Mapping[str, str]) -> int:
    """Test a run, and return the exit code."""

    def target() -> Target:
        # Imported here: the panel shows the wait for torch and MLflow.
        from tune.perturbations import target_of_run  # noqa: PLC0415

        uri, out = resolve_tracking_uri(options.uri), options.out or OUT
        return target_of_run(uri, options.what, shards=options.shards, out=out, storage=overrides[STUDIES])

    try:
        _test(options, settings, target)
    except UnknownRunError as error:
        # The name may be a mistyped one of a study or a preset.
        storage = overrides[STUDIES]
        names = ", ".join(study_names(storage)[:_MOST_SHOWN])
        hint = suggestion(options.what, preset_names())
        preset = f"\nnor a preset{hint}" if hint else ""
        others = f": {names}" if names else ""
        raise UnknownRunError(f"{error}\nnor is it a study in {storage}{others}{preset}") from None
    return 0


def _test_study(options: Namespace, settings: PerturbationSettings, overrides: Mapping[str, str]) -> int:
    """Test the trainings of a study that is there, and return the exit code."""
    folder = StudyFolder.open(overrides[STUDIES], options.what)
    _test(options, settings, lambda: _study_target(folder, options), folder)
    return 0


def _test_config(options: Namespace, settings: PerturbationSettings, overrides: Mapping[str, str]) -> int:
    """Train base models without and with DCLF, test every training, and return the exit code."""
    study = _train(options, settings, overrides)
    folder = study.folder
    _test(options, settings, lambda: _study_target(folder, options), folder, study_result(study))
    return code_of([folder])


def _train(options: Namespace, settings: PerturbationSettings, overrides: Mapping[str, str]) -> Study:
    """Train base models without and with DCLF.

    Raises:
        ConfigError: with every mistake at once.
        TrialPlanError: this machine has no room for it.
    """
    line = read(options, settings, overrides)
    line.require_sound()
    require_local_room(line)
    renderer = choose_renderer(options.log, quiet=options.quiet, title="dclf sweep")
    try:
        with renderer:
            return sweep_command_line(line, renderer, kind="ablation")
    except BaseException:
        if renderer.study is not None:
            folder = renderer.study.folder
            print(
                f"dclf: cut short; go on with: {study_command('resume', folder)} && {_again(folder)}", file=sys.stderr
            )
        raise


TESTS: Mapping[Kind, Callable[[Namespace, PerturbationSettings, Mapping[str, str]], int]] = {
    "run": _test_run,
    "study": _test_study,
    "config": _test_config,
}


def _study_target(folder: StudyFolder, options: Namespace) -> Target:
    # Imported here: the panel shows the wait for torch.
    from tune.analysis.perturbation.study import StudyTarget  # noqa: PLC0415

    return StudyTarget(folder, options.out or OUT)


def _test(
    options: Namespace,
    settings: PerturbationSettings,
    target_of: Callable[[], Target],
    study: StudyFolder | None = None,
    further: Mapping[str, Any] | None = None,
) -> None:
    """Test a target and print its results.

    Args:
        options: of the command line.
        settings: what every model has to go through.
        target_of: opens the target, while the panel shows the wait.
        study: whose trainings are tested; None for a run.
        further: entries of the JSON output.
    """
    actors, _ = read_actors(options)
    try:
        with choose_renderer(options.log, quiet=options.quiet, title="dclf perturb") as renderer:
            # Imported here: the panel shows the wait for torch and MLflow.
            from tune.report.perturbation_page import run_with_page  # noqa: PLC0415

            target = target_of()
            scores = run_with_page(target, settings, [renderer], actors)
    except (KeyboardInterrupt, SystemExit, ModelError):
        if study is not None:
            print(f"dclf: cut short; what is scored is kept; go on with: {_again(study)}", file=sys.stderr)
        raise
    if options.output == "json" or options.log == "jsonl":
        print_json(_result(target, scores) if study is None else {**(further or {}), **_study_result(target, scores)})
    else:
        print(*_lines(target, scores), *([] if study is None else _study_lines(study)), sep="\n", flush=True)
    if study is not None:
        print_next(options, study_command("report", study), study_command("show", study))
    else:
        where = uri_option(options.uri)
        print_next(options, run_line("runs", uri=where), run_line("ui", uri=where))


def _again(study: StudyFolder) -> str:
    return f"{study_command('perturb', study)} and the same options of the tests"


def _result(target: Target, scores: Perturbations) -> dict[str, Any]:
    (model,) = scores.trainings
    results, _ = model.files
    places = {"page": scores.folder / PAGE, "results": results, "substitutions": target.suite.substitutions}
    data = shards_note(str(target.shards.path))
    return {
        **model.to_dict(),
        **{name: str(place) for name, place in places.items()},
        "data": {"sentence": data.sentence, "warning": data.warning},
    }


def _study_result(target: Target, scores: Perturbations) -> dict[str, Any]:
    additions = {"sentences": target.sentences(scores.split), "page": str(scores.folder / PAGE)}
    return {"perturbations": {**scores.to_dict(), **additions}}


def _lines(target: Target, scores: Perturbations) -> Iterator[str]:
    """Tables, sentences and places for a terminal."""
    for table in target.tables(scores):
        yield from (*table_lines(table), "")
    data = shards_note(str(target.shards.path))
    yield from (data.sentence, *([data.warning] if data.warning else []), "")
    if sentences := target.sentences(scores.split):
        yield from (*sentences, "")
    yield f"page           {scores.folder / PAGE}"
    yield f"results        {scores.folder}"
    yield f"substitutions  {target.suite.substitutions}"


def _study_lines(folder: StudyFolder) -> Iterator[str]:
    """What else there is to do with a study."""
    yield f"report         written with these tables by: {study_command('report', folder)}"
    if unfinished := sum(trial.state in ("waiting", "running") for trial in folder.ledger.trials.values()):
        trials = f"{unfinished} of {len(folder.ledger.trials)} trials"
        yield f"not complete   {trials}, which are not in the tables; go on with: "
        yield f"               {study_command('resume', folder)} && {study_command('perturb', folder)}"
