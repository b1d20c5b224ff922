"""Studies made by hand: a folder with a real ledger, and the Optuna study that goes with it."""

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from dclf.config import Config, DataConfig, LossConfig, TrainConfig
from tune.config.sweep_settings import SweepSettings
from tune.study.definition import StudyDefinition
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord

BASE = Config(
    data=DataConfig(shards="shards/demo"),
    loss=LossConfig(gamma_ca=0.5, gamma_mc=0.4, window=10, temperature=0.07),
    train=TrainConfig(epochs=12),
)
SPACE: dict[str, BaseDistribution] = {
    "loss.gamma_ca": FloatDistribution(0.0, 1.0),
    "loss.gamma_mc": FloatDistribution(0.0, 1.0),
    "loss.window": IntDistribution(1, 20, log=True),
    "loss.temperature": FloatDistribution(0.01, 1.0, log=True),
    "loss.pairs": CategoricalDistribution(("bank", "batch")),
}
DOMAINS: dict[str, dict[str, Any]] = {
    "loss.gamma_ca": {"low": 0.0, "high": 1.0},
    "loss.gamma_mc": {"low": 0.0, "high": 1.0},
    "loss.window": {"low": 1, "high": 20, "log": True, "int": True},
    "loss.temperature": {"low": 0.01, "high": 1.0, "log": True},
    "loss.pairs": {"choices": ["bank", "batch"]},
}
STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "running": TrialState.RUNNING,
    "waiting": TrialState.WAITING,
}


def new_folder(storage: Path, name: str = "gammas", base: Config = BASE, **settings: Any) -> StudyFolder:
    """A study without trials."""
    definition = StudyDefinition(
        name=name,
        config=base.to_dict(),
        settings=SweepSettings(**settings).to_dict(),
        space=dict(DOMAINS),
        shards_sha256="0" * 64,
        created="2026-11-23T12:00:00+00:00",
        versions={"dclf": "0.1.0", "optuna": "5.0.0"},
    )
    return StudyFolder.create(storage, definition)


def add_trial(
    folder: StudyFolder,
    params: Mapping[str, Any],
    values: Sequence[Sequence[float]] = (),
    state: str = "complete",
    **more: Any,
) -> TrialRecord:
    """A trial whose seeds 0, 1, ... reached these values (seeds x objectives)."""
    ledger = folder.ledger
    number = ledger.create(params, optuna=len(ledger.trials), origin=more.get("origin", "search")).number
    if state == "waiting":
        return ledger.trials[number]
    ledger.start(number, 0)
    for seed, scores in enumerate(values):
        ledger.run(number, seed, f"run{number}s{seed}")
        ledger.seed_done(number, seed, tuple(scores), more.get("epochs", 12))
    if state != "running":
        means = tuple(math.fsum(column) / len(column) for column in zip(*values, strict=True))
        ledger.end(number, state, means, more.get("reason", ""), _curve(state, means))  # type: ignore[arg-type]
    return ledger.trials[number]


def base_params() -> dict[str, Any]:
    """The base configuration's own values of the space."""
    flat = BASE.flat()
    return {key: flat[key] for key in SPACE}


def random_params(draw: random.Random) -> dict[str, Any]:
    return {
        "loss.gamma_ca": draw.random(),
        "loss.gamma_mc": draw.random(),
        "loss.window": draw.randint(1, 20),
        "loss.temperature": 10 ** draw.uniform(-2, 0),
        "loss.pairs": draw.choice(["bank", "batch"]),
    }


def quality(params: Mapping[str, Any], draw: random.Random) -> float:
    """A made-up WF1 with its best near gamma_ca 0.7 and tau 0.1."""
    off = (params["loss.gamma_ca"] - 0.7) ** 2 + 0.1 * (math.log10(params["loss.temperature"]) + 1) ** 2
    return 0.68 - 0.2 * off - (0.03 if params["loss.pairs"] == "batch" else 0.0) + draw.gauss(0, 0.004)


def fill(folder: StudyFolder, count: int, seeds: int = 1) -> StudyFolder:
    """So many trials: the base first, then random ones; some pruned, failed, the last two running and waiting."""
    draw = random.Random(7)
    objectives = len(folder.definition.sweep.objectives)
    for number in range(count):
        params = base_params() if number == 0 else random_params(draw)
        values = [[quality(params, draw) / (place + 1) for place in range(objectives)] for _ in range(seeds)]
        state, reason = _fate(number, count)
        results = values if state in ("complete", "pruned") else []
        add_trial(folder, params, results, state, reason=reason, origin="start" if number == 0 else "search")
    return folder


def _fate(number: int, count: int) -> tuple[str, str]:
    if number == count - 2 > 0:
        return "running", ""
    if number == count - 1 > 0:
        return "waiting", ""
    if number % 11 == 5:
        return "failed", "L_CA became NaN in epoch 3"
    if number % 17 == 7:
        return "failed", "out of memory: 2.1 GiB asked for, 1.4 GiB free"
    return ("pruned", "below the median after epoch 5") if number % 4 == 2 else ("complete", "")


def optuna_study(folder: StudyFolder, *, curves: bool = True) -> optuna.Study:
    """What Optuna's storage knows of the folder's trials."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=list(folder.definition.sweep.objectives.values()))
    study.add_trials([_frozen(trial, curves=curves) for trial in folder.ledger.trials.values()])
    optuna.logging.set_verbosity(verbosity)
    return study


def _frozen(trial: TrialRecord, *, curves: bool) -> optuna.trial.FrozenTrial:
    curve = _curve(trial.state, trial.values) if curves else []
    return create_trial(
        state=STATES[trial.state],
        values=list(trial.values) if trial.state == "complete" else None,
        params=dict(trial.params),
        distributions={key: SPACE[key] for key in trial.params},
        intermediate_values=dict(enumerate(curve, start=1)),
    )


def _curve(state: str, values: Sequence[float]) -> list[float]:
    """The first objective after each epoch."""
    last = values[0] if values else 0.5
    epochs = {"complete": 12, "pruned": 5, "running": 3}.get(state, 0)
    return [last * (1 - 0.4 * 0.7**epoch) for epoch in range(1, epochs + 1)]


def study_of(storage: Path, count: int, **settings: object) -> optuna.Study:
    """What Optuna knows of a new study with so many trials."""
    return optuna_study(fill(new_folder(storage, **settings), count))
