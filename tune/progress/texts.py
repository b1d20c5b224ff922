"""What is said of a run, a study and a perturbation test on a terminal and in log files, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dclf.config import Config
from dclf.prose import quantity
from dclf.training.reports import ROBUST_SCORES, EpochReport, FinalReport, Optimism
from tune.config.durations import duration
from tune.config.sweep_settings import SweepSettings
from tune.progress.state import RunningTrial, StudyState
from tune.study.events import ConditionScored, ExtractionProgress, StageEnded
from tune.study.folder import StudyFolder
from tune.study.progress import Progress
from tune.study.scores import Score, short_names, value_text

RUNNING = 4
"""Running trials that a line names."""


def run_headline(config: Config, run_name: str, run_id: str) -> str:
    """What is trained, on what, as which run."""
    reading = "causal" if config.model.causal else "bidirectional"
    framework = {"none": "with DCLF", "base": "without DCLF"}.get(
        config.loss.ablate, f"with DCLF, {config.loss.ablate}"
    )
    return f"{config.model.name} ({reading}) {framework} on {config.data.shards}, run {run_name} ({run_id})"


def stages_text(stages: Sequence[StageEnded]) -> str:
    """``started: libraries 4.1 s, shards 0.1 s, Ray 5.2 s, MLflow 2.3 s, first batch 3.0 s``."""
    return f"started: {', '.join(f'{stage.name} {stage.seconds:.1f} s' for stage in stages)}"


def losses_text(losses: Mapping[str, float]) -> str:
    """``total 1.204  ce 0.911``."""
    return "  ".join(f"{name} {value:.3f}" for name, value in losses.items())


def validation_text(report: EpochReport) -> str:
    """Validation WF1 and the best so far, in percent; the test WF1 where the epoch looked at it."""
    wf1 = percent(report.validation["wf1"])
    test_wf1 = f"  peeked test WF1 {percent(report.peeked['wf1'])}" if report.peeked else ""
    robust = robust_text(report)
    best = f"best {percent(report.best_wf1)} (epoch {report.best_epoch}{': ' if robust else ''}{robust})"
    return f"val WF1 {wf1}  {best}{test_wf1}"


def robust_text(report: EpochReport) -> str:
    """``ECCS 61.20, EICS 55.31, shifts 48.07`` of the best epoch so far; empty where it was not scored."""
    names = zip(("ECCS", "EICS", "shifts"), ROBUST_SCORES, strict=True)
    return ", ".join(f"{word} {percent(report.robust[name])}" for word, name in names if name in report.robust)


def score_lines(final: FinalReport) -> Sequence[str]:
    """A small table: a row per split, columns for WA, WF1 and the F1 of every class."""
    head = ["split", "WA", "WF1", *final.class_names]
    rows = [
        [name, *(percent(split.scores[key]) for key in ("wa", "wf1", *(f"f1/{c}" for c in final.class_names)))]
        for name, split in final.splits.items()
    ]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]]


def paper_result(final: FinalReport) -> dict[str, Any]:
    """Key ``paper`` as JSON has it: the epoch selected on test, its scores and the gap in percentage points."""
    optimism = final.optimism
    if optimism is None:
        return {}
    return {"paper": {"epoch": optimism.epoch, "test": dict(optimism.scores), "optimism_gap": optimism.gap}}


def optimism_text(optimism: Optimism) -> str:
    """``test WF1 73.10 where test chose epoch 17, optimism gap +1.03``."""
    wf1 = percent(optimism.scores["wf1"])
    return f"test WF1 {wf1} where test chose epoch {optimism.epoch}, optimism gap {optimism.gap:+.2f}"


def restart_text(count: int) -> str:
    """The sentence for a restart."""
    return f"a worker was lost: training goes on from the last checkpoint (restart {count})"


def study_headline(folder: StudyFolder, run_id: str) -> str:
    """What is searched, how, on what, as which run."""
    definition = folder.definition
    settings, config = definition.sweep, definition.base
    models = [variant["model"] for variant in definition.variants] or _searched_models(definition.space)
    end = f"{', '.join(dict.fromkeys(models or [config.model.name]))} on {config.data.shards}, run {run_id}"
    if settings.test == "all":
        seeds = f" with {quantity(settings.seeds, 'seed')} each" if settings.seeds > 1 else ""
        return f"study {definition.name}: {quantity(settings.trials, 'variant')}{seeds}, {end}"
    scheduler = "" if settings.scheduler == "none" else f" and {settings.scheduler}"
    search = f"{budget_text(settings)} by {settings.sampler}{scheduler}".strip()
    return f"study {definition.name}: {search}, {end}"


def _searched_models(space: Mapping[str, Any]) -> Sequence[str]:
    """The base models that a study chooses among; empty where it does not."""
    domain = space.get("model.name")
    return domain.get("choices", ()) if isinstance(domain, Mapping) else ()


def counts_text(state: StudyState) -> str:
    """``33 complete, 4 running, 2 pruned, 0 failed, 11 waiting``."""
    counts = state.counts
    parts = [f"{counts['complete']} complete", f"{len(state.running)} running", f"{counts['pruned']} pruned"]
    return ", ".join([*parts, f"{counts['failed']} failed", f"{state.waiting} waiting"])


def running_text(state: StudyState) -> str:
    """``0 of 2 trials  left 25:10  running: trial 0 seed 2 epoch 31/60 val WF1 86.10, trial 1 starts``."""
    left = "" if state.seconds_left is None else f"  left {duration(state.seconds_left)}"
    seeds, trials = state.settings.seeds, sorted(state.running.items())
    running = [text for _, trial in trials for text in _running_trial(trial, seeds)]
    more = f" and {len(running) - RUNNING} more" if len(running) > RUNNING else ""
    return f"{progress_text(state)}{left}  running: {', '.join(running[:RUNNING])}{more}"


def _running_trial(running: RunningTrial, seeds: int) -> list[str]:
    """A text for each training under way, or one that says that the trial starts."""
    name = f"trial {running.trial.number}"
    return [
        f"{name}{f' seed {seed}' if seeds > 1 else ''} epoch {report.epoch}/{report.epochs} "
        f"val WF1 {percent(report.validation['wf1'])}"
        for seed, report in running.latest.items()
    ] or [f"{name} starts"]


def progress_text(state: StudyState | Progress) -> str:
    """``37 of 50 trials``, or without a number planned ``37 trials``."""
    return f"{state.ended} of {state.planned} trials" if state.planned else f"{state.ended} trials"


def budget_text(settings: SweepSettings) -> str:
    """``50 trials``, ``12h`` or ``50 trials within 12h``."""
    trials = f"{settings.trials} trials" if settings.trials else ""
    return " within ".join(part for part in (trials, settings.time) if part)


def values_text(scores: tuple[Score, ...], values: tuple[float, ...]) -> str:
    """A trial's objectives, the first one bare: ``68.42`` or ``68.42, f1/sad 61.20``; a dash for none."""
    if not values:
        return "–"
    first, *others = [score.number(value) for score, value in zip(scores, values, strict=False)]
    return ", ".join([first, *(f"{score.name} {text}" for score, text in zip(scores[1:], others, strict=False))])


def params_text(params: Mapping[str, Any]) -> str:
    """``gamma_ca 0.61  window 4``: keys as short as they are clear; ``as configured`` for none."""
    names = short_names(list(params))
    return "  ".join(f"{names[key]} {value_text(value)}" for key, value in params.items()) or "as configured"


def condition_text(event: ConditionScored) -> str:
    """``eics, draw 2 of 5  WF1 43.21``."""
    return f"{event.name}  WF1 {percent(event.wf1)}"


def extraction_text(event: ExtractionProgress) -> str:
    """``text: 3,200 of 13,708 (2,000 from the cache), 210/s, 50 s left``."""
    counts = f"{event.part}: {event.done:,} of {event.total:,}"
    parts = [f"{counts} ({event.cached:,} from the cache)" if event.cached else counts]
    if event.rate:
        parts.append(f"{event.rate:,.0f}/s" if event.rate >= 10 else f"{event.rate:.2g}/s")
    if event.seconds_left:
        parts.append(f"{duration(event.seconds_left)} left")
    return ", ".join(parts)


def percent(share: float) -> str:
    """A share in [0, 1] as percent with two decimals, as papers print it."""
    return f"{100 * share:.2f}"
