"""A finished run made by hand, a double of ``tune.runs``, which needs Ray and MLflow, and a project that has both."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dclf.config import Config
from dclf.training.reports import EpochReport, FinalReport, SplitReport
from tests.dclf.test_uris import NASTY
from tests.tune.commands.project import Project

CLASSES = ["happy", "sad"]


def epoch_report(epoch: int, wf1: float, best: tuple[int, float], epochs: int = 4, seconds: float = 2.0) -> EpochReport:
    return EpochReport(
        epoch=epoch,
        epochs=epochs,
        losses={"total": 1.5 / epoch, "ce": 1.0 / epoch, "ca": 0.25},
        validation={"wa": wf1, "wf1": wf1},
        best_epoch=best[0],
        best_wf1=best[1],
        seconds=seconds,
    )


def split_report(split: str, wf1: float) -> SplitReport:
    scores = {"wa": 0.75, "wf1": wf1} | {f"{kind}/{c}": 0.5 for kind in ("accuracy", "f1") for c in CLASSES}
    return SplitReport(split=split, scores=scores, confusion=[[3, 1], [1, 3]], utterances=8)


@pytest.fixture
def history() -> list[EpochReport]:
    return [epoch_report(1, 0.5, (1, 0.5)), epoch_report(2, 0.625, (2, 0.625)), epoch_report(3, 0.6, (2, 0.625))]


@pytest.fixture
def final(history: list[EpochReport]) -> FinalReport:
    splits = {"val": split_report("val", 0.625), "test": split_report("test", 0.7207)}
    return FinalReport(class_names=CLASSES, history=history, splits=splits)


@dataclass
class Runs:
    """What ``tune.runs`` was asked to do; ``behaviour`` may raise, or speak to the view."""

    final: FinalReport
    behaviour: Callable[[Config, Any], None] = lambda _config, _view: None
    trained: list[tuple[Config, str | None, bool]] = field(default_factory=list)
    evaluated: list[dict[str, Any]] = field(default_factory=list)

    def train(self, config: Config, *, resume: str | None, view: Any, verbose: bool) -> SimpleNamespace:
        self.trained.append((config, resume, verbose))
        self.behaviour(config, view)
        return SimpleNamespace(
            run_id="3f2a", name="bold", checkpoint="store/bold", final=self.final, tracking_uri="sqlite:///x"
        )

    def evaluate(self, run: str, **options: Any) -> SplitReport:
        self.evaluated.append({"run": run, **options})
        return self.final.splits[options["split"]]


@pytest.fixture
def runs(final: FinalReport, monkeypatch: pytest.MonkeyPatch) -> Runs:
    double = Runs(final)
    module = ModuleType("tune.runs")
    module.train, module.evaluate = double.train, double.evaluate  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tune.runs", module)
    return double


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One for all tests, in a folder whose name means something else in a URI."""
    shared = Project(tmp_path_factory.mktemp("projects") / NASTY)
    yield shared
    shared.processes.end()
