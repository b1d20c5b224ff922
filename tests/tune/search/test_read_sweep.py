"""A sweep is read from a file and overrides, with every mistake at its line."""

from pathlib import Path
from typing import Any

import pytest

from dclf.config import Config, DataConfig
from tune.config.settings import load_config, read_config
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import ConfigError
from tune.search.checks import objective_problems, sweep_problems, sweep_space
from tune.search.read import load_sweep, read_sweep

SHARDS = {"data.shards": "shards"}


def write(folder: Path, text: str) -> Path:
    file = folder / "sweep.yaml"
    file.write_text(text, encoding="utf-8")
    return file


FILE = """\
extends: meld
data:
  shards: shards
sweep:
  trials: 20
  time: 1h30min
  objectives: {f1/joy: maximize}
  warm_start: [earlier]
  stop_at: null
  start_points:
    - {loss.gamma_ca: 0.5}
  space:
    loss.gamma_ca: {low: 0, high: 1}
    loss.window: {low: 2, high: 8, int: true}
"""


def test_a_file_with_a_sweep(tmp_path: Path) -> None:
    file = write(tmp_path, FILE)
    config, settings = load_sweep(file, {"sweep.trials": "30", "loss.window": "5"})
    assert (config.loss.window, config.train.batch_size) == (5, 8)
    assert settings == SweepSettings(
        trials=30,
        time="1h30min",
        objectives={"f1/joy": "maximize"},
        warm_start=("earlier",),
        start_points=({"loss.gamma_ca": 0.5},),
        space={"loss.gamma_ca": {"low": 0, "high": 1}, "loss.window": {"low": 2, "high": 8, "int": True}},
    )
    assert SweepSettings.from_dict(settings.to_dict()) == settings


def test_training_passes_over_the_section_but_not_over_its_options(tmp_path: Path) -> None:
    file = write(tmp_path, FILE)
    assert load_config(file) == load_config("meld", SHARDS)
    assert read_config(file, {"sweep.trials": "5"})[1] == ["sweep.trials: unknown key"]
    assert load_config(write(tmp_path, "sweep:\n  tryals: 3\n"), SHARDS).loss.window == 10


def test_without_a_file_or_section() -> None:
    config, settings = load_sweep("meld", SHARDS)
    assert settings == SweepSettings()
    assert sweep_space(settings, config).size is None
    assert load_sweep(None, SHARDS)[1] == settings


def test_overrides_reach_into_the_section(tmp_path: Path) -> None:
    overrides = {
        "sweep.space.loss.temperature": "{low: 0.05, high: 0.2}",
        "sweep.objectives": "{wa: maximize}",
        "sweep.warm_start": "one,two",
        "sweep": {"seeds": 3, "start_points": "[{loss.window: 3}]"},
        "sweep.gpus_per_trial": 1,
    }
    settings = load_sweep(write(tmp_path, FILE), overrides)[1]
    assert list(settings.space) == ["loss.gamma_ca", "loss.window", "loss.temperature"]
    assert settings.space["loss.temperature"] == {"low": 0.05, "high": 0.2}
    assert (settings.objectives, settings.warm_start) == ({"wa": "maximize"}, ("one", "two"))
    assert (settings.seeds, settings.start_points, settings.gpus_per_trial) == (3, ({"loss.window": 3},), 1.0)


def test_all_mistakes_at_once_with_their_lines(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """\
data: {shards: shards}
loss:
  window: 0
sweep:
  tryals: 3
  trials: many
  seeds: 0
  time: soon
  space:
    loss.gamma_ca: {low: 1, high: 0}
    loss.gamma_ca: {low: 2, high: 1}
    loss.temperatur: {low: 0.1, high: 1}
    train.lr:
      choices: []
  objectives:
    wf2: maximize
""",
    )
    _, settings, problems, _ = read_sweep(file, {"sweep.concurrency": "-1", "train.epoch": "3"})
    at = dict(line.removeprefix(f"{file}:").split(": ", 1) for line in problems)
    assert at == {
        "3": "loss.window: must be at least 1, is 0",
        "5": "sweep.tryals: unknown key; did you mean sweep.trials?",
        "6": "sweep.trials: must be a whole number, is 'many'",
        "7": "sweep.seeds: must be at least 1, is 0",
        "8": "sweep.time: must be a duration such as 90min, 12h or 1h30min, is 'soon'",
        "11": f"sweep.space.loss.gamma_ca: must stand once, but stands at {file}:10 already",
        "10": "sweep.space.loss.gamma_ca: low must be below high, is 2 and 1",
        "12": "sweep.space.loss.temperatur: unknown key; did you mean loss.temperature?",
        "13": "sweep.space.train.lr: choices must be a list with at least one value, is []",
        "16": "sweep.objectives.wf2: must be one of wf1, wa, eccs/wf1, eics/wf1, shift/wf1, f1/CLASS, accuracy/CLASS",
        "train.epoch": "unknown key; did you mean train.epochs?",
        "sweep.concurrency": "must be 0 or more, is -1",
    }
    assert settings.trials == SweepSettings().trials
    with pytest.raises(ConfigError) as error:
        load_sweep(file, {"sweep.concurrency": "-1", "train.epoch": "3"})
    assert list(error.value.problems) == problems


def test_a_file_that_cannot_be_read_hides_no_other_mistake(tmp_path: Path) -> None:
    file = write(tmp_path, "extends: nowhere\nsweep: {trials: many}\n")
    with pytest.raises(ConfigError) as error:
        read_sweep(file, {"train.lr": "abc", "sweep.seeds": "few"})
    words = [":1: extends: must be", "train.lr: must be", ":2: sweep.trials: must be", "sweep.seeds: must be"]
    assert len(error.value.problems) == len(words)
    assert all(word in problem for word, problem in zip(words, error.value.problems, strict=True))


def test_seeds_of_all_trainings_must_be_seeds() -> None:
    overrides = {"data.shards": "x", "train.seed": str(2**63 - 3), "sweep.seeds": "3"}
    assert read_sweep(None, overrides)[2] == []
    assert read_sweep(None, {**overrides, "sweep.seeds": "4"})[2] == [
        f"train.seed: must leave room for 4 seeds below 2^63, is {2**63 - 3}"
    ]
    too_large = {**overrides, "train.seed": str(2**63), "sweep.seed": "-1", "sweep.trials": str(2**63)}
    assert read_sweep(None, too_large)[2] == [
        f"train.seed: must be a whole number of at most 64 bits, is '{2**63}'",
        f"sweep.trials: must be a whole number of at most 64 bits, is '{2**63}'",
        "sweep.seed: must be 0 or more, is -1",
    ]


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({"sweep.trials": -1}, "sweep.trials: must be 0 or more, is -1"),
        ({"sweep.trials": 0}, "sweep.trials: must be above 0, or sweep.time must say how long to search"),
        ({"sweep.trials": 2.5}, "sweep.trials: must be a whole number, is 2.5"),
        ({"sweep.time": "90"}, "sweep.time: must be a duration such as 90min, 12h or 1h30min, is '90'"),
        (
            {"sweep.sampler": "tp"},
            "sweep.sampler: must be one of tpe, gp, cmaes, random, grid, nsga2, listed, or a class",
        ),
        ({"sweep.sampler": "nsga"}, "sweep.sampler: must be one of tpe"),
        (
            {"sweep.sampler": "optuna.samplers:BaseSampler"},
            "sweep.sampler: 'optuna.samplers:BaseSampler' must be a class",
        ),
        (
            {"sweep.sampler": "json:dumps"},
            "sweep.sampler: 'json:dumps' must be a class or function that gives an Optuna",
        ),
        ({"sweep.scheduler": "fast"}, "sweep.scheduler: must be one of none, asha, median, hyperband, pbt, is 'fast'"),
        ({"sweep.objectives": "{}"}, "sweep.objectives: must name at least one of wf1, wa, eccs/wf1, eics"),
        (
            {"sweep.objectives": "{loss: minimize}"},
            "sweep.objectives.loss: must be one of wf1, wa, eccs/wf1, eics/wf1, shift",
        ),
        (
            {"sweep.objectives": "{f1/: maximize}"},
            "sweep.objectives.f1/: must be one of wf1, wa, eccs/wf1, eics/wf1, shift",
        ),
        ({"sweep.objectives.wf1": "up"}, "sweep.objectives.wf1: must be maximize or minimize, is 'up'"),
        ({"sweep.seeds": 0}, "sweep.seeds: must be at least 1, is 0"),
        ({"sweep.seed": -1}, "sweep.seed: must be 0 or more, is -1"),
        ({"sweep.startup_trials": -1}, "sweep.startup_trials: must be 0 or more, is -1"),
        ({"sweep.grace_epochs": 0}, "sweep.grace_epochs: must be at least 1, is 0"),
        ({"sweep.test": "some"}, "sweep.test"),
        ({"sweep.test": "all"}, "sweep.test: all compares finished trainings, scheduler asha ends some early"),
        ({"sweep.stop_at": 70}, "sweep.stop_at: must be a score between 0 and 1, is 70.0"),
        ({"sweep.stop_after": -1}, "sweep.stop_after: must be 0 or more, is -1"),
        ({"sweep.concurrency": -1}, "sweep.concurrency: must be 0 or more, is -1"),
        ({"sweep.workers_per_trial": -1}, "sweep.workers_per_trial: must be 0 or more, is -1"),
        ({"sweep.gpus_per_trial": -0.5}, "sweep.gpus_per_trial: must be 0 or more and finite, is -0.5"),
        ({"sweep.gpus_per_trial": 1.5}, "sweep.gpus_per_trial: must be a whole number above 1, is 1.5"),
        ({"sweep.checkpoint_s": -1}, "sweep.checkpoint_s: must be 0 or more and finite, is -1"),
        ({"sweep.cache_mb": -1}, "sweep.cache_mb: must be 0 or more, is -1"),
        ({"sweep.storage": ""}, "sweep.storage: must name the folder of studies, is empty"),
        (
            {"sweep.optuna": "optuna.db"},
            "sweep.optuna: must be the URL of a database such as postgresql://host/name, is",
        ),
        ({"sweep.warm_start": ["../a"]}, "sweep.warm_start: a study's name must be 1 to 100 letters"),
        ({"sweep.start_points": [{"loss.window": 99}]}, "sweep.start_points: point 1: loss.window: must be a whole"),
        ({"sweep.start_points": [3]}, "sweep.start_points: must be a list, each a mapping of keys to values, is [3]"),
        ({"sweep.space": [3]}, "sweep.space: must be a mapping of keys to values, is [3]"),
        ({"sweep.space.loss.window": 3}, "sweep.space.loss.window: must be {low, high} or {choices}, is 3"),
        ({"sweep.sampler": "grid"}, "sweep.sampler: grid needs countable values: loss.temperature has no step"),
        ({"sweep.trial": 3}, "sweep.trial: unknown key; did you mean sweep.trials?"),
        ({"sweep.trials": None}, "sweep.trials: must be a whole number, is None"),
    ],
)
def test_every_impossible_value(overrides: dict[str, Any], line: str) -> None:
    problems = read_sweep("meld", {**SHARDS, **overrides})[2]
    problems = [text.removeprefix("meld: ") for text in problems]
    assert len(problems) == 1
    assert problems[0].startswith(line)


def test_impossible_values_can_be_left_for_later() -> None:
    overrides = {"sweep.seeds": 0, "sweep.scheduler": "fast", "loss.window": 0, "loss.windo": 1}
    problems = read_sweep("meld", overrides, values=False)[2]
    assert [line.split(": ")[0] for line in problems] == ["loss.windo", "sweep.scheduler"]


def test_classes_of_objectives_are_those_of_the_data() -> None:
    settings = SweepSettings(objectives={"wf1": "maximize", "f1/joy": "maximize", "accuracy/hope": "maximize"})
    assert objective_problems(settings, ["joy", "fear"]) == [
        (
            "sweep.objectives: the data have no accuracy/hope; they have accuracy/fear, accuracy/joy, eccs/wf1, "
            "eics/wf1, f1/fear, f1/joy, shift/wf1, wa, wf1"
        )
    ]


def test_what_is_scored_at_the_end_alone_must_be_scored_and_cannot_prune() -> None:
    shifts = {**SHARDS, "sweep.objectives": "{shift/wf1: maximize}"}
    scored, pruned = read_sweep("meld", shifts)[2]
    assert scored.startswith(
        "meld: train.perturb_every: must be above 0 for shift/wf1 among the objectives, is 0; write"
    )
    assert pruned.startswith("meld: sweep.scheduler: asha compares trials after every epoch, shift/wf1 is not known")
    assert pruned.endswith("write scheduler: none")
    assert read_sweep("meld", {**shifts, "train.perturb_every": 2, "sweep.scheduler": "none"})[2] == []
    two = {**SHARDS, "sweep.objectives": "{wf1: maximize, eics/wf1: maximize}"}
    scored, several = read_sweep("meld", two)[2]
    assert scored.startswith("meld: train.perturb_every: must be above 0")
    assert several.startswith("meld: sweep.scheduler: asha compares trials by one objective, there are 2; write")
    assert read_sweep("meld-robust", {**SHARDS, "sweep.space.train.perturb_every": "{choices: [1, 2]}"})[2] == [
        "sweep.space.train.perturb_every: cannot be searched: it changes no training"
    ]


def test_words_and_mappings_given_by_hand_are_checked_too() -> None:
    base = Config(data=DataConfig(shards="x"))
    wrong: dict[str, Any] = {"scheduler": "ashaa", "test": "al", "space": None, "trials": "50"}
    assert sweep_problems(SweepSettings(**wrong), base) == [
        "sweep.trials: must be a whole number, is '50'",
        "sweep.scheduler: must be one of none, asha, median, hyperband, pbt, is 'ashaa'; did you mean asha?",
        "sweep.space: must be a mapping of keys to values, is None",
        "sweep.test: must be one of best, all, is 'al'; did you mean all?",
    ]
