"""Prints what a study came to, for people or as one line of JSON, and says how to go on with one that was cut short."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from tune.analysis.comparison.study import comparison_facts, comparison_lines, study_tables
from tune.analysis.comparison.variants import is_comparison
from tune.commands.failures import code_of
from tune.commands.next_steps import after_study, print_next
from tune.commands.options import print_json
from tune.commands.show_study import table_lines
from tune.progress.forms import choose_renderer
from tune.progress.renderer import Renderer
from tune.report.facts import study_command
from tune.study.dataset import dataset_note
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.ranking import base_scores, base_trial, pick_rule, sealed_values, winner_scores
from tune.study.scores import Score, scores_of, short_names, value_text

if TYPE_CHECKING:
    from tune.commands.sweep_options import CommandLine
    from tune.studies import Study

NAME_WIDTH = 11


def run_command_line(line: CommandLine, **study: Any) -> int:
    """Run the study of a sound command line, and print what it came to, and return the exit code.

    Args:
        line: the command line.
        study: what else ``tune.sweeps.sweep`` shall know of it, such as its ``kind``.
    """
    return run_study(lambda renderer: sweep_command_line(line, renderer, **study), line.options)


def sweep_command_line(line: CommandLine, renderer: Renderer, **study: Any) -> Study:
    """Train the study of a sound command line, and return it.

    Args:
        line: the command line.
        renderer: shows how it goes.
        study: what else ``tune.sweeps.sweep`` shall know of it.
    """
    # Imported here: help and mistakes do not wait for Ray and MLflow, and the panel shows the wait.
    with renderer.importing():
        from tune.sweeps import sweep  # noqa: PLC0415

    options = line.options
    return sweep(
        line.config,
        line.settings,
        name=options.name,
        listeners=[renderer],
        verbose=options.verbose,
        address=options.address,
        **study,
    )


def run_study(work: Callable[[Renderer], Study], options: Namespace) -> int:
    """Work on a study and print what it came to, and return the exit code.

    It is 1 where no trial is complete, and where more than half of them failed.

    However it is cut short, once the study exists stderr says how to go on.

    Args:
        work: is handed the renderer, as a listener.
        options: those on the command's output.
    """
    renderer = choose_renderer(options.log, quiet=options.quiet, title="dclf sweep")
    try:
        with renderer:
            study = work(renderer)
    except BaseException:
        if renderer.study is not None:
            print(f"dclf: cut short; go on with: {study_command('resume', renderer.study.folder)}", file=sys.stderr)
        raise
    print_study(study, as_json=options.output == "json" or options.log == "jsonl")
    failed = code_of([study.folder])
    _print_next(study, options)
    return failed if study.best else 1


def _print_next(study: Study, options: Namespace) -> None:
    if not study.best:
        print_next(options, study_command("show", study.folder), study_command("doctor", study.folder))
        return
    best = None if study.report is None else study.report.with_name("best.yaml")
    there = best is not None and best.exists() and not is_comparison(study.folder.definition)
    print_next(options, *after_study(study.folder, str(best) if there else ""))


def study_result(study: Study) -> dict[str, Any]:
    """A study as JSON has it: ids, places, counts, and a search's best trial with its values in [0, 1]."""
    folder, best = study.folder, study.best
    names = [score.name for score in scores_of(folder.definition)]
    winner = None
    if best is not None and not is_comparison(folder.definition):
        values = dict(zip(names, best.values, strict=False))
        winner = {
            "trial": best.number,
            "values": values,
            "params": dict(best.params),
            "test": winner_scores(folder),
            "base_test": base_scores(folder),
        }
    return {
        "study": folder.definition.name,
        "folder": str(folder.path),
        "trials": dict(_counts(folder)),
        "best": winner,
        **comparison_facts(folder),
        "report": None if study.report is None else str(study.report),
        "run_id": study.run_id,
        "tracking_uri": study.tracking_uri,
    }


def print_study(study: Study, *, as_json: bool) -> None:
    """The best trial, its parameters, and where the rest is; the best value of the first objective comes last.

    Of a comparison its tables and sentences.
    """
    if as_json:
        print_json(study_result(study))
        return
    folder, best = study.folder, study.best
    counts = ", ".join(f"{count} {state}" for state, count in _counts(folder).items())
    _print("study", f"{folder.definition.name} ({counts or 'no trials'})")
    _print("tracked at", f"{study.tracking_uri}, run {study.run_id}")
    if study.report is not None:
        _print("report", str(study.report))
    if best is None:
        compares = is_comparison(folder.definition)
        print(f"no trial is complete, so there is {'nothing to compare' if compares else 'no best one'}", flush=True)
        return
    if is_comparison(folder.definition):
        _print_variants(folder)
        return
    _print("best trial", str(best.number))
    scores = scores_of(folder.definition)
    if rule := pick_rule(scores):
        _print("picked", rule)
    names = short_names(list(best.params))
    for key, value in best.params.items():
        _print("", f"{names[key]} {value_text(value)}")
    _print_test(folder, best, scores[0])
    for score, value in list(zip(scores, best.values, strict=False))[::-1]:
        print(f"best {score.label} {score.number(value)}", flush=True)


def _print_test(folder: StudyFolder, best: TrialRecord, score: Score) -> None:
    """What the winner has on the sealed test split, and the base configuration beside it, where they were scored."""
    if not (values := sealed_values(folder, best, score.name)):
        return
    base = base_trial(folder)
    base_values = [] if base is None or base.number == best.number else sealed_values(folder, base, score.name)
    beside = f" (base configuration {score.mean_text(base_values)})" if base_values else ""
    _print(score.label.replace("validation", "test"), f"{score.mean_text(values)}{beside}")


def _print_variants(folder: StudyFolder) -> None:
    """The tables of a comparison, the data, and what is to be said of the variants."""
    for table in study_tables(folder).values():
        print("", *table_lines(table), sep="\n")
    data = dataset_note(folder.definition)
    print("", data.sentence, *([data.warning] if data.warning else []), sep="\n")
    print("", *comparison_lines(folder), sep="\n", flush=True)


def _print(name: str, text: str) -> None:
    print(f"{name:<{NAME_WIDTH}} {text}")


def _counts(folder: StudyFolder) -> Counter[str]:
    return Counter(trial.state for trial in folder.ledger.trials.values())
