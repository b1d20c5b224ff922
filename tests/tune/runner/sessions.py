"""Drivers of a study without Ray: trials whose epochs cost nothing and whose scores follow from their parameters."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dclf.config import Config, DataConfig, TrackConfig, TrainConfig
from dclf.training.reports import EpochReport
from tune.config.sweep_settings import SweepSettings
from tune.runner.optuna_study import LiveStudy
from tune.runner.session import Session, Task, TrialStep, finished_seeds
from tune.search.pruners import make_pruner
from tune.search.samplers import make_sampler, search_seed
from tune.search.space import Space
from tune.study.definition import StudyDefinition
from tune.study.events import Event, Listener
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord

SPACE = {"loss.gamma_ca": {"low": 0.0, "high": 1.0, "step": 0.05}, "loss.window": {"low": 2, "high": 20, "int": True}}
EPOCHS = 4
ENDED = object()
Score = Callable[[Mapping[str, Any], int, int], float]


def score(params: Mapping[str, Any], seed: int, epoch: int) -> float:
    """The first objective after an epoch: grows with gamma_ca, the seed and the epochs."""
    return float(params["loss.gamma_ca"]) / 2 + seed / 100 + epoch / 10


def definition(
    name: str = "gammas",
    uri: str = "",
    tags: dict[str, str] | None = None,
    epochs: int = EPOCHS,
    seed: int = 3,
    **settings: Any,
) -> StudyDefinition:
    config = Config(
        data=DataConfig(shards="shards/demo"),
        train=TrainConfig(epochs=epochs, seed=seed),
        track=TrackConfig(uri=uri, experiment="dclf", tags=tags or {}),
    )
    sweep = SweepSettings(**{"trials": 4, "scheduler": "none", "sampler": "random", **settings})
    return StudyDefinition(
        name=name,
        config=config.to_dict(),
        settings=sweep.to_dict(),
        space=Space.of(SPACE).spec,
        created="2024-01-01T00:00:00+00:00",
    )


def new_study(storage: Path, *, uri: str = "", **settings: Any) -> StudyFolder:
    return StudyFolder.create(storage, definition(uri=uri, **settings))


class SilentRecorder:
    """Records nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_args, **_options: None


@dataclass
class Driver:
    """A driver of a study, from its disk state.

    Attributes:
        folder: as the disk has it.
        recorder: where trials are recorded.
        score: of a trial.
        trained: (trial, seed) -> epochs trained by all drivers that share it; stands for the checkpoints.
        ran: trials that were handed out, in this order; one for each of its tasks.
        slots: tasks that run at a time, an epoch of each in turn.
        events: that the session has sent.
        listeners: that hear of them too.
    """

    folder: StudyFolder
    recorder: Any = field(default_factory=SilentRecorder)
    score: Score = score
    trained: dict[tuple[int, int], int] = field(default_factory=dict)
    ran: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    listeners: Sequence[Listener] = ()
    slots: int = 1

    def __post_init__(self) -> None:
        settings, config = self.folder.definition.sweep, self.folder.definition.base
        space = Space.of(self.folder.definition.space, config)
        count = len(self.folder.ledger.trials)
        sampler = make_sampler(settings, space, search_seed(settings, count))
        self.epochs = config.train.epochs
        self.study = LiveStudy(self.folder, space, sampler, make_pruner(settings, self.epochs))
        self.session = Session(self.folder, self.study, space, self.recorder, [self.events.append, *self.listeners])

    def work(self) -> None:
        """All tasks, as many at a time as there are slots."""
        running: list[Iterator[None]] = []
        while True:
            while len(running) < self.slots and (task := self.session.next()) is not None:
                running.append(self._epochs(task))
            if not running:
                return
            running = [one for one in running if next(one, ENDED) is not ENDED]

    def run(self, task: Task) -> None:
        """One task to its end."""
        for _ in self._epochs(task):
            pass

    def _epochs(self, task: Task) -> Iterator[None]:
        """One task to its end, an epoch at a time."""
        self.ran.append(task.number)
        self.session.start(task)
        trial = self.folder.ledger.trials[task.number]
        for seed in task.seeds:
            if seed not in finished_seeds(trial):
                step = yield from self._seed(trial, seed)
                if step is not None:
                    self.session.prune(trial.number, step)
                    return
        self.session.finish(task)

    def _seed(self, trial: TrialRecord, seed: int) -> Generator[None, None, TrialStep | None]:
        """Train; what was said last where the task is to end early."""
        repeat = self.trained.get((trial.number, seed)) == self.epochs
        while repeat or self.trained.get((trial.number, seed), 0) < self.epochs:
            self.trained[trial.number, seed] = self.trained.get((trial.number, seed), 0) + (not repeat)
            step = self.step_of(trial, seed, self.trained[trial.number, seed])
            if self.session.record_step(step):
                return step
            repeat = False
            yield
        return None

    def step_of(self, trial: TrialRecord | Task, seed: int, epoch: int) -> TrialStep:
        """What the trial says after an epoch: all epochs so far, as after a restart."""
        params = self.folder.ledger.trials[trial.number].params
        values = [self.score(params, seed, number) for number in range(1, epoch + 1)]
        return TrialStep(
            number=trial.number,
            seed=seed,
            reports=[report(number, values, self.epochs) for number in range(1, epoch + 1)],
            curve=[max(values[:number]) for number in range(1, epoch + 1)],
            values=(max(values),),
            seed_finished=epoch == self.epochs,
        )


def report(epoch: int, values: list[float], epochs: int = EPOCHS) -> EpochReport:
    so_far = values[:epoch]
    return EpochReport(
        epoch=epoch,
        epochs=epochs,
        losses={"total": 1 / epoch, "ce": 0.5},
        validation={"wf1": values[epoch - 1], "wa": 0.5, "f1/sad": 0.5},
        confusion=[[epoch]],
        best_epoch=so_far.index(max(so_far)) + 1,
        best_wf1=max(so_far),
        seconds=0.25,
        ended=1_700_000_000.0 + epoch,
    )
