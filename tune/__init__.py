"""Extract, train, sweep, compare, perturb and predict from Python; every name is imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import dclf  # noqa: F401 - its filter of warnings, before Optuna or Ray are imported

if TYPE_CHECKING:
    from tune.comparisons import ablation, grid
    from tune.config.settings import load_config
    from tune.extraction import extract
    from tune.leaderboards import leaderboard, plan_leaderboard
    from tune.perturbations import perturb
    from tune.predictions import load_predictor, predict
    from tune.reproduction import plan_reproduction, reproduce
    from tune.run_comparisons import compare
    from tune.run_lists import list_runs
    from tune.runs import evaluate, train
    from tune.search.read import load_sweep
    from tune.studies import open_study
    from tune.study.events import (
        ConditionScored,
        EpochEnded,
        Event,
        ExtractionProgress,
        ExtractionStarted,
        Listener,
        PerturbationStarted,
        ReproductionStudy,
        RunFinished,
        RunStarted,
        StageEnded,
        StudyFinished,
        StudyStarted,
        TrialChanged,
        TrialEpoch,
        WorkersRestarted,
    )
    from tune.sweeps import resume, sweep

__all__ = [
    "ConditionScored",
    "EpochEnded",
    "Event",
    "ExtractionProgress",
    "ExtractionStarted",
    "Listener",
    "PerturbationStarted",
    "ReproductionStudy",
    "RunFinished",
    "RunStarted",
    "StageEnded",
    "StudyFinished",
    "StudyStarted",
    "TrialChanged",
    "TrialEpoch",
    "WorkersRestarted",
    "ablation",
    "compare",
    "evaluate",
    "extract",
    "grid",
    "leaderboard",
    "list_runs",
    "load_config",
    "load_predictor",
    "load_sweep",
    "open_study",
    "perturb",
    "plan_leaderboard",
    "plan_reproduction",
    "predict",
    "reproduce",
    "resume",
    "sweep",
    "train",
]

_MODULES = {
    "ablation": "tune.comparisons",
    "compare": "tune.run_comparisons",
    "evaluate": "tune.runs",
    "extract": "tune.extraction",
    "grid": "tune.comparisons",
    "leaderboard": "tune.leaderboards",
    "list_runs": "tune.run_lists",
    "load_config": "tune.config.settings",
    "load_predictor": "tune.predictions",
    "load_sweep": "tune.search.read",
    "open_study": "tune.studies",
    "perturb": "tune.perturbations",
    "plan_leaderboard": "tune.leaderboards",
    "plan_reproduction": "tune.reproduction",
    "predict": "tune.predictions",
    "reproduce": "tune.reproduction",
    "resume": "tune.sweeps",
    "sweep": "tune.sweeps",
    "train": "tune.runs",
}


_MODULES |= {name: "tune.study.events" for name in __all__ if name not in _MODULES}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
