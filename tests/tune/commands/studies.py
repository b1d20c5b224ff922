"""Studies made by hand, and a double of ``tune.sweeps``, which needs Ray and MLflow."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dclf.config import Config, DataConfig
from tests.tune.progress.reports import Watch, epoch_report
from tune.config.sweep_settings import SweepSettings
from tune.study.definition import StudyDefinition
from tune.study.events import Listener, StudyFinished, StudyStarted, TrialChanged, TrialEpoch
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.ranking import best_trial

PARAMS = {"loss.gamma_ca": 0.6, "loss.window": 4}


def study_folder(storage: Path, name: str = "gammas", **settings: Any) -> StudyFolder:
    """A new study of four trials within an hour, unless the settings say otherwise."""
    sweep = SweepSettings(**{"trials": 4, "time": "1h", "storage": str(storage), **settings})
    config = Config(data=DataConfig(shards="shards/demo")).to_dict()
    return StudyFolder.create(storage, StudyDefinition(name=name, config=config, settings=sweep.to_dict()))


def start(folder: StudyFolder, **params: Any) -> TrialRecord:
    """A further trial, running."""
    number = folder.ledger.create({**PARAMS, **params}).number
    folder.ledger.start(number, 0)
    return folder.ledger.trials[number]


def end(folder: StudyFolder, number: int, state: str = "complete", *values: float, reason: str = "") -> TrialRecord:
    """A trial that has ended."""
    folder.ledger.end(number, state, values, reason)  # type: ignore[arg-type]
    return folder.ledger.trials[number]


def two_ended(folder: StudyFolder) -> None:
    """A complete trial and a pruned one."""
    for state, value in (("complete", 0.625), ("pruned", 0.5)):
        end(folder, start(folder).number, state, value)


def run_three(listener: Listener, folder: StudyFolder, watch: Watch) -> None:
    """One trial complete after 60 s, one failed after 30 s, one in its second epoch."""
    listener(StudyStarted(folder, ["2 trials at a time, [each]"], "3f2a"))
    for _ in range(2):
        listener(TrialChanged(start(folder)))
    watch.time += 30
    listener(TrialChanged(end(folder, 1, "failed", reason="out of memory")))
    listener(TrialChanged(start(folder, **{"loss.gamma_ca": 0.1})))
    listener(TrialEpoch(0, 0, epoch_report(1, 0.5, (1, 0.5))))
    watch.time += 30
    listener(TrialChanged(end(folder, 0, "complete", 0.625)))
    listener(TrialEpoch(2, 0, epoch_report(2, 0.55, (1, 0.58))))


@dataclass
class Sweeps:
    """What ``tune.sweeps`` was asked to do; ``behaviour`` works on the study, may raise, and may send."""

    storage: Path
    behaviour: Callable[[StudyFolder, Listener], None] = lambda folder, _listener: two_ended(folder)
    swept: list[tuple[Config, SweepSettings, dict[str, Any]]] = field(default_factory=list)
    resumed: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def sweep(
        self, config: Config, settings: SweepSettings, *, listeners: Sequence[Listener], **options: Any
    ) -> SimpleNamespace:
        self.swept.append((config, settings, options))
        return self._work(study_folder(self.storage, options["name"] or "made-up"), *listeners)

    def resume(self, name: str, *, storage: str, listeners: Sequence[Listener], **options: Any) -> SimpleNamespace:
        self.resumed.append((name, {"storage": storage, **options}))
        return self._work(StudyFolder.open(storage, name), *listeners)

    def _work(self, folder: StudyFolder, listener: Listener) -> SimpleNamespace:
        listener(StudyStarted(folder, ["2 trials at a time"], "3f2a"))
        self.behaviour(folder, listener)
        listener(StudyFinished(folder))
        return SimpleNamespace(
            folder=folder,
            best=best_trial(folder),
            report=folder.path / "report" / "index.html",
            run_id="3f2a",
            tracking_uri="sqlite:///x",
        )


def sweeps_double(storage: Path, monkeypatch: pytest.MonkeyPatch) -> Sweeps:
    """Puts the double in the place of the module."""
    double = Sweeps(storage)
    module = ModuleType("tune.sweeps")
    module.sweep, module.resume = double.sweep, double.resume  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tune.sweeps", module)
    return double
