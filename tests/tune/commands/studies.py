"""Studies made by hand, and a double of ``tune.sweeps``, which needs Ray and MLflow."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dclf.config import Config, DataConfig
from tune.config.sweep_settings import SweepSettings
from tune.study.definition import StudyDefinition
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.ranking import best_trial

PARAMS = {"loss.gamma_ca": 0.6, "loss.window": 4}


def study_folder(storage: Path, name: str = "gammas", **settings: Any) -> StudyFolder:
    """A new study of four trials within an hour, unless the settings say otherwise."""
    wanted = SweepSettings(**{"trials": 4, "time": "1h", "storage": str(storage), **settings})
    config = Config(data=DataConfig(shards="shards/demo")).to_dict()
    return StudyFolder.create(storage, StudyDefinition(name=name, config=config, settings=wanted.to_dict()))


def start(folder: StudyFolder, **params: Any) -> TrialRecord:
    """A further trial, running."""
    number = folder.ledger.create({**PARAMS, **params}).number
    folder.ledger.start(number, "ray")
    return folder.ledger.trials[number]


def end(folder: StudyFolder, number: int, state: str = "complete", *values: float, reason: str = "") -> TrialRecord:
    """A trial that has ended."""
    folder.ledger.end(number, state, values, reason)  # type: ignore[arg-type]
    return folder.ledger.trials[number]


def two_ended(folder: StudyFolder) -> None:
    """A complete trial and a pruned one."""
    for state, value in (("complete", 0.625), ("pruned", 0.5)):
        end(folder, start(folder).number, state, value)


@dataclass
class Sweeps:
    """What ``tune.sweeps`` was asked to do; ``behaviour`` works on the study, and may raise or speak to the view."""

    storage: Path
    behaviour: Callable[[StudyFolder, Any], None] = lambda folder, _view: two_ended(folder)
    swept: list[tuple[Config, SweepSettings, dict[str, Any]]] = field(default_factory=list)
    resumed: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def sweep(self, config: Config, settings: SweepSettings, *, view: Any, **options: Any) -> SimpleNamespace:
        self.swept.append((config, settings, options))
        return self._work(study_folder(self.storage, options["name"] or "made-up"), view)

    def resume(self, name: str, *, storage: str, view: Any, **options: Any) -> SimpleNamespace:
        self.resumed.append((name, {"storage": storage, **options}))
        return self._work(StudyFolder.open(storage, name), view)

    def _work(self, folder: StudyFolder, view: Any) -> SimpleNamespace:
        view.started(folder, ["2 trials at a time"], "3f2a")
        self.behaviour(folder, view)
        view.finished(folder)
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
