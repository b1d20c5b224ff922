"""What happens while something is trained, searched, tested or extracted: one event for each stage.

Whoever wants to follow hands ``listeners`` to ``tune.train``, ``sweep``, ``resume``, ``perturb``, ``reproduce`` or
``extract``: any callable that takes an event. They are called one after the other in the thread that does the work,
which waits for them; an exception that one raises ends the work. What a user should know beside the stages is logged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dclf.config import Config
from dclf.training.reports import EpochReport, FinalReport
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord


@dataclass(frozen=True)
class RunStarted:
    """The layout of a training is accepted and the run recorded.

    Attributes:
        config: the run's configuration; a resumed run brings its own.
        plan: where it runs, in lines of text.
        name: MLflow's name of the run.
        run_id: MLflow's id of it.
    """

    config: Config
    plan: Sequence[str]
    name: str
    run_id: str


FIRST_BATCH = "first batch"
"""Name of the last stage of a start."""


@dataclass(frozen=True)
class StageEnded:
    """A stage of a start is over; Ray and MLflow start beside each other.

    Attributes:
        name: ``shards``, ``Ray``, ``MLflow`` or, when the first epoch has ended, ``first batch``: from the start of the
            training to its first batch.
        seconds: that it took.
    """

    name: str
    seconds: float


@dataclass(frozen=True)
class EpochEnded:
    """A training has finished an epoch."""

    report: EpochReport


@dataclass(frozen=True)
class WorkersRestarted:
    """A worker was lost; training goes on from the last epoch, for the ``count``-th time."""

    count: int


@dataclass(frozen=True)
class RunFinished:
    """The best model of a training is scored."""

    final: FinalReport


@dataclass(frozen=True)
class StudyStarted:
    """The plan of a study is accepted and its parent run open.

    Attributes:
        folder: of the study; its ledger has the trials of earlier drivers.
        plan: where trials run, in lines of text.
        run_id: MLflow's id of the parent run.
    """

    folder: StudyFolder
    plan: Sequence[str]
    run_id: str


@dataclass(frozen=True)
class TrialChanged:
    """A trial was created, started or ended, or has other values; the record is as it is now."""

    trial: TrialRecord


@dataclass(frozen=True)
class TrialEpoch:
    """A trial has finished an epoch.

    Attributes:
        number: of the trial.
        seed: of the training.
        report: the epoch.
        finished: the training is over.
    """

    number: int
    seed: int
    report: EpochReport
    finished: bool = False


@dataclass(frozen=True)
class StudyFinished:
    """All trials have ended and the report is written."""

    folder: StudyFolder


@dataclass(frozen=True)
class PerturbationStarted:
    """The data of a perturbation test are read.

    Attributes:
        title: which models are tested, and on what.
        lines: how it is done, in lines of text.
        total: conditions that will be scored, the raw one among them.
    """

    title: str
    lines: Sequence[str]
    total: int


@dataclass(frozen=True)
class ConditionScored:
    """A condition of a perturbation test, such as ``eics, draw 2 of 5``, has this WF1 (0 to 1)."""

    name: str
    wf1: float


@dataclass(frozen=True)
class ReproductionStudy:
    """The reproduction of the paper goes on to another study, which starts next.

    Attributes:
        paper: the table or figure, such as ``Table 4``.
        title: what it shows.
    """

    paper: str
    title: str


@dataclass(frozen=True)
class ExtractionStarted:
    """A table is read, and what its features need is known.

    Attributes:
        title: what is extracted from which table.
        lines: with what and where, in lines of text.
    """

    title: str
    lines: Sequence[str]


@dataclass(frozen=True)
class ExtractionProgress:
    """How far an extraction is; sent about every second, and at the end of each part.

    Attributes:
        part: a modality, or what is done before.
        done: utterances or files that are dealt with, those of the cache among them.
        total: of them.
        cached: that were in the cache.
        rate: of the others, a second; 0 where it is not known yet.
    """

    part: str
    done: int
    total: int
    cached: int
    rate: float

    @property
    def seconds_left(self) -> float | None:
        """Until this part is done; None where it is not known yet."""
        return (self.total - self.done) / self.rate if self.rate else None


Event: TypeAlias = (
    RunStarted
    | StageEnded
    | EpochEnded
    | WorkersRestarted
    | RunFinished
    | StudyStarted
    | TrialChanged
    | TrialEpoch
    | StudyFinished
    | PerturbationStarted
    | ConditionScored
    | ReproductionStudy
    | ExtractionStarted
    | ExtractionProgress
)
"""Whatever a listener may be told."""
Listener: TypeAlias = Callable[[Event], None]
"""Is called with every event; what it returns is passed over."""


def send(event: Event, listeners: Iterable[Listener]) -> None:
    """Call every listener with the event, in their order."""
    for listener in listeners:
        listener(event)
