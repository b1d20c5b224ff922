"""A double of ``tune.runs``, which needs Ray and MLflow, and a project that has both."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dclf.config import Config
from dclf.training.reports import FinalReport, SplitReport
from tests.dclf.test_uris import NASTY
from tests.tune.commands.project import Project
from tune.study.events import Listener


@dataclass
class Runs:
    """What ``tune.runs`` was asked to do; ``behaviour`` may raise, or tell the listener of events."""

    final: FinalReport
    behaviour: Callable[[Config, Listener], None] = lambda _config, _listener: None
    trained: list[tuple[Config, str | None, bool]] = field(default_factory=list)
    evaluated: list[dict[str, Any]] = field(default_factory=list)

    def train(
        self, config: Config, *, resume: str | None, listeners: Sequence[Listener], verbose: bool
    ) -> SimpleNamespace:
        self.trained.append((config, resume, verbose))
        (listener,) = listeners
        self.behaviour(config, listener)
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
