"""The tables of a report: text cells, rounded as papers do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dclf.prose import join_words
from dclf.training.reports import EpochReport
from tune.analysis.table import Table
from tune.config.durations import duration_text
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.progress import Progress, failures, numbers_text, open_trainings, pruned
from tune.study.ranking import base_trial, best_trial, pareto, pick_rule, sealed_values, top_trials, value_at
from tune.study.scores import Score, scores_of, short_names, value_text
from tune.study.trial_table import param_keys, seed_values, trial_seconds

MOST_REASONS, MOST_IN_FRONT = 20, 25
MARK = "mark"
"""Head of the column that says which rows are the best and the base; pages set such rows off."""
_ENDS = {"failed": "failed", "pruned": "were pruned"}


def score_text(score: Score, place: int, trial: TrialRecord) -> str:
    """A trial's value of the objective at this place, with the deviation over its seeds."""
    if place >= len(trial.values):
        return "–"
    return score.text(list(seed_values(trial, place).values()), trial.values[place])


def trials_table(folder: StudyFolder, trials: Sequence[TrialRecord], title: str) -> Table:
    """Trials with their objectives and parameters."""
    scores, names = scores_of(folder.definition), short_names(param_keys(folder))
    rows = [
        (
            str(trial.number),
            *(score_text(score, place, trial) for place, score in enumerate(scores)),
            *(_param(trial, key) for key in names),
            str(sum(run.epochs for run in trial.runs.values())),
            duration_text(trial_seconds(trial)),
        )
        for trial in trials
    ]
    labels = (score.unit_label for score in scores)
    # A search over train.epochs has a column of that name.
    head = ("trial", *labels, *names.values(), "epochs run", "time")
    return Table(title=title, head=head, rows=tuple(rows), numeric=0)


def top_table(folder: StudyFolder, title: str, count: int) -> Table:
    """The trials with the best first objective; the best or picked one and the base configuration's are marked."""
    trials, best, base = top_trials(folder, count), best_trial(folder), base_trial(folder)
    word = "best" if len(scores_of(folder.definition)) == 1 else "picked"
    return _marked(trials_table(folder, trials, title), [", ".join(_roles(one, best, base, word)) for one in trials])


def front_table(folder: StudyFolder) -> Table:
    """The Pareto front, of a large one those with the best first objective; picked and base trial are marked.

    The base configuration's own trial comes last where it is not on the front.
    """
    trials, best, base = pareto(folder), best_trial(folder), base_trial(folder)
    subset = trials[:MOST_IN_FRONT]
    subset += [trial for trial in trials[MOST_IN_FRONT:] if trial == best]
    beside = [base] if base is not None and base.state == "complete" and base not in subset else []
    cut = f", the first {MOST_IN_FRONT} of {len(trials)}" if len(trials) > MOST_IN_FRONT else ""
    table = trials_table(folder, [*subset, *beside], f"Pareto front of study {folder.definition.name}{cut}")
    marks = [_marks(trial, best, base, on_front=trial in trials) for trial in [*subset, *beside]]
    note = f"Picked: {pick_rule(scores_of(folder.definition))}." if best is not None else ""
    return replace(_marked(table, marks), note=note)


def _marked(table: Table, marks: Sequence[str]) -> Table:
    """The table with the trials' roles behind their numbers."""
    rows = tuple((row[0], mark, *row[1:]) for row, mark in zip(table.rows, marks, strict=True))
    return replace(table, head=(table.head[0], MARK, *table.head[1:]), rows=rows)


def _marks(trial: TrialRecord, best: TrialRecord | None, base: TrialRecord | None, *, on_front: bool) -> str:
    marks = _roles(trial, best, base, "picked")
    return ", ".join(marks if on_front else [*marks, "not on the front"])


def _roles(trial: TrialRecord, best: TrialRecord | None, base: TrialRecord | None, word: str) -> list[str]:
    return [*([word] if trial == best else []), *(["base"] if trial == base else [])]


def _param(trial: TrialRecord, key: str) -> str:
    return value_text(trial.params[key]) if key in trial.params else "–"


def searched_table(folder: StudyFolder) -> Table:
    """Data, base model, versions, and every parameter with its domain and base value."""
    definition = folder.definition
    base = definition.base
    rows = [
        ("data", base.data.shards or "no path"),
        ("data hash", definition.shards_sha256 or "not recorded"),
        ("base model", f"{base.model.name} ({'causal' if base.model.causal else 'bidirectional'})"),
        ("created", definition.created or "not recorded"),
        ("versions", ", ".join(f"{name} {version}" for name, version in definition.versions.items()) or "not recorded"),
    ]
    rows += [(key, _domain(definition.space.get(key), value_at(definition.config, key))) for key in param_keys(folder)]
    title = "What was compared" if definition.sweep.test == "all" else "What was searched"
    return Table(title=title, head=("what", "value"), rows=tuple(rows))


def _domain(domain: Mapping[str, Any] | None, base: Any) -> str:
    """A parameter's domain in words, and the base configuration's value."""
    own = "its default" if base is None else value_text(base)
    return f"{'not in the space' if domain is None else domain_text(domain)}; base configuration: {own}"


def domain_text(domain: Mapping[str, Any]) -> str:
    """``0.01 to 1, logarithmic`` or ``bank, batch``, and when it is asked for."""
    if "choices" in domain:
        parts = [", ".join(map(value_text, domain["choices"]))]
    else:
        parts = [f"{value_text(domain['low'])} to {value_text(domain['high'])}"]
        parts += [f"in steps of {value_text(domain['step'])}"] if domain.get("step") else []
        parts += ["logarithmic"] if domain.get("log") else []
    conditions = " and ".join(f"{key} is {_any_of(allowed)}" for key, allowed in domain.get("when", {}).items())
    return ", ".join(parts) + (f"; only where {conditions}" if conditions else "")


def _any_of(allowed: Any) -> str:
    """``dag_erc or mm_dfn``; a condition has one value or a list of them."""
    return join_words([value_text(one) for one in (allowed if isinstance(allowed, list | tuple) else [allowed])], "or")


def budget_table(folder: StudyFolder, progress: Progress) -> Table:
    """What was asked for, and what it came to."""
    sweep, trials = folder.definition.sweep, folder.ledger.trials.values()
    plan = [
        ("trials planned", str(sweep.trials) if sweep.trials else "as many as the time allows"),
        ("time", sweep.time or "no limit"),
        ("sampler, scheduler", f"{sweep.sampler}, {sweep.scheduler}"),
        ("seeds per trial", str(sweep.seeds)),
        *([("knew the trials of", ", ".join(sweep.warm_start))] if sweep.warm_start else []),
    ]
    counts = [(f"trials {word}", str(count)) for word, count in progress.in_words.items()]
    running = open_trainings(folder)
    spent = math.fsum(seconds for seconds in map(trial_seconds, trials) if not math.isnan(seconds))
    epochs = sum(run.epochs for trial in trials for run in trial.runs.values()) + sum(map(len, running.values()))
    times = [
        # In a comparison it would count what trainings waited for one another.
        *([] if sweep.parallel_seeds else [("time of trials that ended", duration_text(spent))]),
        ("time of the sweep", duration_text(folder.ledger.worked_s)),
    ]
    rows = (*plan, *counts, ("epochs", f"{epochs:,}"), *times)
    return Table(title="Budget, and what happened", head=("what", "value"), rows=rows)


def running_table(folder: StudyFolder, progress: Progress) -> Table:
    """Trainings that have begun and not ended, and how far each is; without rows where there are none."""
    rows = tuple(
        (str(number), str(seed), *_last_epoch(epochs)) for (number, seed), epochs in open_trainings(folder).items()
    )
    title = f"Trainings {progress.word_for_running}"
    head = ("trial", "seed", "epoch", "validation WF1 (%)", "best (%)", "time of the last epoch")
    return Table(title=title, head=head, rows=rows, numeric=0)


def _last_epoch(epochs: Sequence[EpochReport]) -> tuple[str, ...]:
    if not epochs:
        return ("–",) * 4
    last = epochs[-1]
    scores = (f"{100 * score:.2f}" for score in (last.validation["wf1"], last.best_wf1))
    return (f"{last.epoch} of {last.epochs}", *scores, duration_text(last.seconds))


def comparison_table(folder: StudyFolder) -> Table:
    """The best trial beside the base configuration; without rows where no trial is complete."""
    best, base, scores = best_trial(folder), base_trial(folder), scores_of(folder.definition)
    title = f"Best and base configuration of study {folder.definition.name}"
    if best is None:
        return Table(title=title, head=("setting", "base", "best"), rows=())
    base_number = "–" if base is None else str(base.number)
    rows = [("trial", base_number, str(best.number))]
    for place, score in enumerate(scores):
        own = "–" if base is None else score_text(score, place, base)
        rows.append((score.unit_label, own, score_text(score, place, best)))
    for score in scores:
        if values := sealed_values(folder, best, score.name):
            label = score.unit_label.replace("validation", "test")
            own_values = [] if base is None else sealed_values(folder, base, score.name)
            rows.append((label, score.mean_text(own_values) if own_values else "–", score.mean_text(values)))
    sections = folder.definition.config
    rows += [(key, _own(value_at(sections, key)), _param(best, key)) for key in param_keys(folder)]
    return Table(title=title, head=("setting", "base", "best"), rows=tuple(rows))


def _own(value: Any) -> str:
    return "default" if value is None else value_text(value)


def ended_early_table(folder: StudyFolder) -> Table | None:
    """Failed and pruned trials by reason; None where there are none."""
    ended = {"failed": failures(folder), "pruned": pruned(folder)}
    reasons = [
        (state, str(len(numbers)), reason, numbers_text(numbers))
        for state, by_reason in ended.items()
        for reason, numbers in by_reason.items()
    ]
    rows = reasons[:MOST_REASONS]
    if others := reasons[MOST_REASONS:]:
        count = sum(int(row[1]) for row in others)
        states = "both" if len({row[0] for row in others}) > 1 else others[0][0]
        rows.append((states, str(count), f"{len(others)} further reasons", "see trials.csv"))
    head = ("state", "count", "reason", "which")
    title = f"Trials that {' or '.join(_ENDS[state] for state, by_reason in ended.items() if by_reason)}"
    return Table(title=title, head=head, rows=tuple(rows), numeric=len(head)) if rows else None
