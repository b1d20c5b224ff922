"""Sweeps to be killed and resumed: small, and compared in the end with what an undisturbed one comes to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.tune.runner.outcome import check_study
from tests.tune.runner.processes import Driver, Processes
from tests.tune.runner.saves import Saves
from tests.tune.tracking.server import wait_until
from tune.study.folder import StudyFolder

NAME = "victim"
EPOCHS = 12
"""Enough for a test to look at the trials between two of them, however seldom it gets a core."""
STEP = "ray::ResourceTrainable.train"
"""Title that Ray gives to the process of a trial while it trains an epoch; between epochs and after the last it has
another one."""
SMALL = {
    "model.options": "{hidden: 12, node_width: 16, layers: 2}",
    "loss.ica_width": "8",
    "train.epochs": str(EPOCHS),
    "train.device": "cpu",
    "sweep.scheduler": "none",
    "sweep.concurrency": "2",
    "sweep.checkpoint_s": "0",
}
FULL = {"sweep.concurrency": "3"}
"""As many trials at a time as a cluster of four slots takes."""
NESTED = {"sweep.workers_per_trial": "2", "sweep.concurrency": "1"}
"""The same for trials of two workers."""


@dataclass
class Victim:
    """One such sweep.

    Attributes:
        folder: it works in; its study lies in ``studies`` there.
        shards: what it trains on.
        uri: of the MLflow store.
        processes: marks its drivers.
        trials: how many it has.
        address: of a Ray cluster; empty for a Ray of its own.
        options: further ones of ``dclf sweep``.
    """

    folder: Path
    shards: Path
    uri: str
    processes: Processes
    trials: int
    address: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.saves = Saves(self.path, self.trials)

    @property
    def path(self) -> Path:
        """Folder of the study."""
        return self.folder / "studies" / NAME

    @property
    def study(self) -> StudyFolder:
        """As the disk has it now."""
        return StudyFolder.open(self.path.parent, NAME)

    def go_on(self) -> Driver:
        """Start the sweep, or resume it where it has begun."""
        common = ["--storage", "studies", "--log", "plain"]
        if (self.path / "study.yaml").exists():
            return self.processes.dclf(self.folder, "resume", NAME, *common, address=self.address)
        settings = {**SMALL, "data.shards": str(self.shards), "track.uri": self.uri, **self.options}
        words = ["--trials", str(self.trials), *(word for key in settings for word in (f"--{key}", settings[key]))]
        return self.processes.dclf(
            self.folder, "sweep", "iemocap", "--name", NAME, *words, *common, address=self.address
        )

    def states(self) -> list[str]:
        """Those of the trials that have begun."""
        return [trial.state for trial in self.study.ledger.trials.values()]

    def wait_for_epochs(self, count: int, driver: Driver) -> None:
        """Until so many epochs have been trained."""
        wait_until(lambda: self.saves.total() >= count or not driver.running, 120)
        assert driver.running, driver.output

    def finish(self) -> Driver:
        """Resume, and wait for the end."""
        driver = self.go_on()
        assert driver.end() == 0, driver.output
        return driver

    def check(self) -> None:
        """All as if nothing had happened, and no epoch that was kept was trained again."""
        check_study(self.study, self.uri, trials=self.trials, epochs=EPOCHS)
        counts = self.saves.counts()
        assert counts == {(number, 0): EPOCHS for number in range(self.trials)}, counts
