"""Everything a report says, gathered once; HTML, Markdown and LaTeX only differ in dress."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tune.analysis.comparison.board_tables import beside_board, whole_board
from tune.analysis.comparison.number_text import few_seeds_warning, seeds_text
from tune.analysis.comparison.study import comparison_lines, comparison_note, study_tables
from tune.analysis.comparison.variants import is_comparison
from tune.analysis.statistics import FEWEST, paired
from tune.analysis.table import Table
from tune.config.sweep_settings import SweepSettings
from tune.progress.texts import progress_text
from tune.report.tables import (
    budget_table,
    comparison_table,
    ended_early_table,
    front_table,
    score_text,
    searched_table,
    top_table,
)
from tune.study.dataset import DatasetNote, dataset_note
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.progress import Progress, progress_of
from tune.study.ranking import base_trial, best_trial, pick_rule, sealed_values
from tune.study.scores import Score, scores_of, value_text
from tune.study.trial_table import seed_values

TOP = 10


@dataclass(frozen=True, kw_only=True)
class ReportFacts:
    """What a report says, in plain text that is not escaped yet.

    Attributes:
        title: of the report.
        data: which data it ran on.
        standing: one sentence on how far the study is.
        result: sentences on the best trial, and its gain over the base configuration; of a comparison, on every
            variant.
        warnings: what a reader must know before quoting a number.
        searched: base configuration, space, versions as a table.
        budget: what was asked for and what happened.
        compares: whether every configuration is reported and none is chosen.
        tables: name of a file -> table with test scores of a comparison; empty for a search.
        board: of a leaderboard all columns in one table; None for any other study.
        comparison: best against base; without rows where no trial is complete, None for a comparison.
        top: the best trials; None for a comparison.
        front: the Pareto front; None with one objective.
        ended_early: reasons of failed and pruned trials; None where there are none.
        commands: how to go on: what for -> command line.
    """

    title: str
    data: DatasetNote
    standing: str
    result: tuple[str, ...]
    warnings: tuple[str, ...]
    searched: Table
    budget: Table
    compares: bool
    tables: Mapping[str, Table]
    board: Table | None
    comparison: Table | None
    top: Table | None
    front: Table | None
    ended_early: Table | None
    commands: tuple[tuple[str, str], ...]

    @property
    def page_tables(self) -> list[Table]:
        """The tables beside ``board``."""
        return [*self.tables.values()] if self.board is None else beside_board(self.tables)


def report_facts(folder: StudyFolder, best_file: str) -> ReportFacts:
    """Gather what the study came to.

    Args:
        folder: the study.
        best_file: path of the best configuration, for the command that trains it.
    """
    progress, data = progress_of(folder), dataset_note(folder.definition)
    several = len(scores_of(folder.definition)) > 1
    compares = is_comparison(folder.definition)
    return ReportFacts(
        title=_title(folder, data),
        data=data,
        standing=standing_text(progress),
        result=tuple(result_lines(folder)),
        warnings=tuple(_warnings(folder, data, progress)),
        searched=searched_table(folder),
        budget=budget_table(folder, progress),
        compares=compares,
        tables=study_tables(folder),
        board=whole_board(folder),
        comparison=None if compares else comparison_table(folder),
        top=None if compares else top_table(folder, top_title(folder), TOP),
        front=front_table(folder) if several and not compares else None,
        ended_early=ended_early_table(folder),
        commands=tuple(next_commands(folder, progress, best_file)),
    )


def top_title(folder: StudyFolder) -> str:
    """Over the trials with the best first objective, which with several are another order than the front's."""
    scores, title = scores_of(folder.definition), f"Best trials of study {folder.definition.name}"
    return title if len(scores) == 1 else f"{title} by {scores[0].label}"


def _title(folder: StudyFolder, data: DatasetNote) -> str:
    """Return the title, with the paper's table and the question where a study file names them."""
    plan = folder.definition.plan
    question = ": ".join(str(plan[key]) for key in ("paper", "title") if plan.get(key))
    study = f"study {folder.definition.name} on {data.name}"
    return f"{question}, {study}" if question else f"S{study[1:]}"


def standing_text(progress: Progress) -> str:
    """One sentence on how far the study is."""
    others = [f"{count} {word}" for word, count in progress.in_words.items()]
    counts = f": {', '.join(others)}" if others else ""
    worker = f", {progress.worker} works on it" if progress.worker else ""
    why = f" ({progress.stopped})" if progress.standing == "finished" else ""
    standing = "not started" if progress.standing == "new" else progress.standing
    return f"{standing.capitalize()}{why}{worker}; {progress_text(progress)} ended{counts}."


def next_commands(folder: StudyFolder, progress: Progress, best_file: str = "") -> Iterator[tuple[str, str]]:
    """Return purpose -> command line.

    Args:
        folder: the study.
        progress: where it stands.
        best_file: path of the best configuration; empty where no report has written it yet.
    """
    if progress.standing in ("interrupted", "new"):
        yield "go on with it", study_command("resume", folder)
    if best_file and best_trial(folder) is not None and not is_comparison(folder.definition):
        yield "train the best configuration and score it once on the test split", f"dclf train {shlex.quote(best_file)}"
    if best_file:
        yield "look at it again", study_command("show", folder)
    what = "its report" if is_comparison(folder.definition) else "its report and its best configuration"
    verb = "renew this report" if best_file else f"write {what}"
    yield verb, study_command("report", folder)


def study_command(verb: str, folder: StudyFolder) -> str:
    """Return a command line for a study, such as ``dclf resume NAME``."""
    return f"dclf {verb} {shlex.quote(folder.definition.name)}{storage_option(folder)}"


def storage_option(folder: StudyFolder) -> str:
    """The option that finds the study; empty where its storage is the default."""
    usual = folder.storage == str(Path(SweepSettings.storage).absolute())
    return "" if usual else f" --storage {shlex.quote(folder.storage)}"


def result_lines(folder: StudyFolder) -> Iterator[str]:
    """Sentences on the best trial, and its gain over the base configuration; of a comparison, on every variant."""
    if is_comparison(folder.definition):
        yield from comparison_lines(folder)
        return
    best, base, scores = best_trial(folder), base_trial(folder), scores_of(folder.definition)
    if best is None:
        yield "No trial is complete yet."
        return
    yield f"Best is trial {best.number}: {_values(scores, best)}."
    if rule := pick_rule(scores):
        yield f"Picked: {rule}."
    tested = [(score, sealed_values(folder, best, score.name)) for score in scores]
    if texts := [f"{_on_test(score)} {score.mean_text(values)}{_percent(score)}" for score, values in tested if values]:
        yield f"The sealed test split, scored once: {', '.join(texts)}."
    if base is None:
        yield "The base configuration itself was not tried, so there is no gain to state."
    elif base.number == best.number:
        yield f"This is the base configuration itself{': no trial was better' if len(scores) == 1 else ''}."
    elif base.state != "complete":
        yield f"The base configuration's own trial ({base.number}) is {base.state}, so there is no gain to state."
    else:
        yield f"The base configuration (trial {base.number}) has {_values(scores, base)}: {_gains(scores, best, base)}."
        yield from _certainty(scores, best, base)
        yield from _test_gain(folder, best, base)


def _values(scores: Sequence[Score], trial: TrialRecord) -> str:
    """``validation WF1 68.42 %, validation WF1 under EICS 60.11 %``."""
    return ", ".join(
        f"{score.label} {score_text(score, place, trial)}{_percent(score)}" for place, score in enumerate(scores)
    )


def _gains(scores: Sequence[Score], best: TrialRecord, base: TrialRecord) -> str:
    """``a gain of 0.42 points`` or a loss; with several objectives one gain after the other, in their order."""
    gains = [score.gain(*values) for score, *values in zip(scores, best.values, base.values, strict=False)]
    unit = _points(scores[0])
    if len(gains) == 1:
        return f"{_change(gains[0])}{unit}"
    return f"gains of {' and '.join(f'{gain:.2f}' for gain in gains)}{unit}"


def _change(gain: float) -> str:
    return f"a {'loss' if gain < 0 else 'gain'} of {abs(gain):.2f}"


def _certainty(scores: Sequence[Score], best: TrialRecord, base: TrialRecord) -> Iterator[str]:
    """The interval of each gain over the seeds that both have, where these are enough, and whether it holds zero."""
    for place, score in enumerate(scores):
        values, base_values = seed_values(best, place), seed_values(base, place)
        if not values.keys() & base_values.keys():
            continue
        test = paired(values, base_values)
        if not test.tested:
            continue
        test = test if score.direction == "maximize" else test.reversed
        span = f"[{score.scale * test.low:+.2f}, {score.scale * test.high:+.2f}]{_points(score)}"
        zero = test.low <= 0 <= test.high
        what = "the gain" if len(scores) == 1 else f"the gain in {score.label}"
        remark = "which holds zero: no gain is shown" if zero else "the choice among many trials not allowed for"
        yield f"Over {seeds_text(test.count)} {what} has the 95 % interval {span}, {remark}."


def _percent(score: Score) -> str:
    return " %" if score.is_share else ""


def _points(score: Score) -> str:
    return " points" if score.is_share else ""


def _on_test(score: Score) -> str:
    return score.label.replace("validation", "test")


def _test_gain(folder: StudyFolder, best: TrialRecord, base: TrialRecord) -> Iterator[str]:
    """The sentence on the gain on the test split, where both were scored there."""
    first = scores_of(folder.definition)[0]
    values, base_values = sealed_values(folder, best, first.name), sealed_values(folder, base, first.name)
    if values and base_values:
        gain = first.gain(math.fsum(values) / len(values), math.fsum(base_values) / len(base_values))
        yield (
            f"On the test split it has {first.mean_text(base_values)}{_percent(first)}: "
            f"{_change(gain)}{_points(first)}."
        )


def best_note(folder: StudyFolder) -> str:
    """The best trial so far, or a comparison's variants, as Markdown for the page of the study's run."""
    if is_comparison(folder.definition):
        return comparison_note(folder)
    best = best_trial(folder)
    rows = [] if best is None else [f"| {key} | {value_text(value)} |" for key, value in best.params.items()]
    head = ["| key | best value |", "|---|---|"] if rows else []
    return "\n".join([" ".join(result_lines(folder)), "", *head, *rows])


def _warnings(folder: StudyFolder, data: DatasetNote, progress: Progress) -> Iterator[str]:
    if data.warning:
        yield data.warning
    if progress.standing != "finished":
        yield "The study is not finished; the numbers below will change."
    if is_comparison(folder.definition):
        yield (
            "Every variant is scored once on the test split, at its best epoch on validation; none is chosen by its "
            "test score."
        )
        if warning := few_seeds_warning(folder.definition.sweep.seeds):
            yield warning
        return
    if progress.counts["complete"] > 1:
        yield (
            f"All scores are of the validation split, and the best of {progress.counts['complete']} complete trials is "
            "optimistic there. No choice was made on the test split."
        )
    if (seeds := folder.definition.sweep.seeds) < FEWEST:
        count = seeds_text(seeds).capitalize()
        yield f"{count} per trial: differences of the size of the deviation over seeds mean nothing."
