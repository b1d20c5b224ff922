"""How far a study is: what its ledger and its lock say, without Optuna, MLflow or Ray."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from dclf.training.reports import EpochReport
from tune.search.stopping import StopRule
from tune.study.folder import StudyFolder
from tune.study.history import read_history
from tune.study.ledger import ENDED, State, TrialRecord
from tune.study.locks import holder_of, this_process

Standing = Literal["new", "running", "interrupted", "finished"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a study stands.

    Attributes:
        standing: ``running`` while a process works on it, ``finished`` when there is nothing left to do.
        counts: state -> trials, every state named.
        planned: how many trials were asked for; 0 for as many as the time allows.
        worker: the process that works on it, such as ``process 12 on gpu7``; empty for none.
        stopped: why no further trial is created, such as the time being up; empty while there is no reason.
    """

    standing: Standing
    counts: dict[State, int]
    planned: int
    worker: str
    stopped: str

    @property
    def ended(self) -> int:
        """Trials that have ended, whichever way."""
        return sum(self.counts[state] for state in ENDED)

    @property
    def in_words(self) -> dict[str, int]:
        """Word -> trials, those that there are; where nobody works on the study what ran was cut short."""
        words = {"running": self.word_for_running}
        return {words.get(state, state): count for state, count in self.counts.items() if count}

    @property
    def word_for_running(self) -> str:
        """What trials are that the ledger calls running: ``running``, or ``cut short`` where nobody works on them."""
        return "running" if self.standing == "running" else "cut short"


def progress_of(folder: StudyFolder) -> Progress:
    """Where the study stands now."""
    by_state = Counter(trial.state for trial in folder.ledger.trials.values())
    counts: dict[State, int] = {state: by_state[state] for state in get_args(State)}
    worker, stopped = worker_of(folder), _stopped(folder)
    if worker:
        standing: Standing = "running"
    elif stopped and not counts["waiting"] and not counts["running"]:
        standing = "finished"
    else:
        standing = "interrupted" if folder.ledger.trials else "new"
    planned = folder.definition.sweep.trials
    return Progress(standing=standing, counts=counts, planned=planned, worker=worker, stopped=stopped)


def _stopped(folder: StudyFolder) -> str:
    """Return why the study's driver would create no further trial; empty where it would."""
    settings, trials = folder.definition.sweep, folder.ledger.trials.values()
    with_values = [trial for trial in trials if trial.state in ENDED and trial.values]
    values = [trial.values[0] for trial in sorted(with_values, key=lambda trial: trial.ended or 0.0)]
    rule = StopRule(settings, _combinations(folder) if settings.sampler in ("grid", "listed") else None)
    return rule.reason(values, folder.ledger.worked_s, len(trials)) or ""


def _combinations(folder: StudyFolder) -> int | None:
    # Imported here: it brings Optuna, for which only grids should wait.
    from tune.search.space import Space  # noqa: PLC0415
    from tune.search.start_points import countable_size  # noqa: PLC0415

    base = folder.definition.base
    return countable_size(folder.definition.sweep, Space.of(folder.definition.space, base), base)


def worker_of(folder: StudyFolder) -> str:
    """The other process that holds the study's lock, in words; empty where none does."""
    if elsewhere := folder.holder_elsewhere():
        return "" if elsewhere == this_process() else elsewhere
    holder = holder_of(folder.path / "lock")
    return "" if holder == this_process() else holder


def open_trainings(folder: StudyFolder) -> dict[tuple[int, int], list[EpochReport]]:
    """(trial, seed) -> the epochs so far of each training that runs, or was cut short, in a running trial."""
    trials = (trial for trial in folder.ledger.trials.values() if trial.state == "running")
    trainings = ((trial.number, seed) for trial in trials for seed, run in trial.runs.items() if not run.values)
    return {training: read_history(folder.checkpoint(*training)) for training in trainings}


def failures(folder: StudyFolder) -> dict[str, list[int]]:
    """Reason -> numbers of the trials that failed for it, the most frequent first."""
    return _by_reason(trial for trial in folder.ledger.trials.values() if trial.state == "failed")


def mostly_failed(folder: StudyFolder) -> str:
    """What is to be said where more than half of the trials that ended failed, with the commonest error; else empty."""
    reasons = failures(folder)
    failed = sum(map(len, reasons.values()))
    ended = sum(trial.state in ENDED for trial in folder.ledger.trials.values())
    if 2 * failed <= ended:
        return ""
    # The same error says other numbers in every trial.
    kinds: Counter[str] = Counter()
    for reason, numbers in reasons.items():
        kinds[_kind(reason)] += len(numbers)
    kind, count = kinds.most_common(1)[0]
    example = next(reason for reason in reasons if _kind(reason) == kind)
    return f"{failed} of {ended} trials failed, {'all' if count == failed else count} of them as this one: {example}"


def _kind(reason: str) -> str:
    return reason.partition(":")[0].partition(" (")[0]


def pruned(folder: StudyFolder) -> dict[str, list[int]]:
    """Reason -> numbers of the trials that were ended early for it, the most frequent first."""
    return _by_reason(trial for trial in folder.ledger.trials.values() if trial.state == "pruned")


def _by_reason(trials: Iterable[TrialRecord]) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {}
    for trial in trials:
        numbers.setdefault(trial.reason or "no reason was recorded", []).append(trial.number)
    return dict(sorted(numbers.items(), key=lambda item: -len(item[1])))


def numbers_text(numbers: list[int], limit: int = 5) -> str:
    """``trials 3, 8, 9`` or, for many, ``trials 3, 8, 9, 12, 15 and 40 more``."""
    text = ", ".join(map(str, numbers[:limit]))
    more = f" and {len(numbers) - limit} more" if len(numbers) > limit else ""
    return f"trial{'s' if len(numbers) > 1 else ''} {text}{more}"
