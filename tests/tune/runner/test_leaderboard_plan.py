"""A leaderboard's study: whose presets, which modalities, and what is refused before anything starts."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dclf.data import read_shards, write_shards
from tests.tune.analysis.comparison.studies import renamed_shards
from tune.config.overrides import apply
from tune.config.settings import load_config
from tune.config.study_files import read_study_file
from tune.config.yaml_files import ConfigError
from tune.runner.leaderboard_plan import family_of, plan_compared, plan_leaderboard, preset_of
from tune.runner.named_study import NamedStudy
from tune.runner.variants import plan_study
from tune.search.space import Space
from tune.search.start_points import start_points

MODELS = ("mmgcn", "aghmn", "dialogue_rnn")


def trained(plan: NamedStudy) -> dict[tuple[str, str], dict[str, Any]]:
    """(base model, loss.ablate) -> what the trial trains with."""
    config, settings = plan.planned.config, plan.planned.settings
    points = start_points(settings, Space.of(settings.space, config), config)
    flat = [apply(config, point).flat() for point in points]
    return {(one["model.name"], one["loss.ablate"]): one for one in flat}


def test_every_model_is_trained_both_ways_from_its_own_preset(shards: Path) -> None:
    plan = plan_leaderboard(shards, models=MODELS, seeds=2)
    configs = trained(plan)
    assert list(configs) == [(model, part) for model in MODELS for part in ("base", "none")]
    for model, preset in zip(MODELS, ("iemocap", "iemocap-aghmn", "iemocap-dialogue-rnn"), strict=True):
        expected = load_config(preset, {"data.shards": str(shards)}).flat()
        for part in ("base", "none"):
            own = {"loss.ablate": part, "data.modalities": ("text", "audio", "visual"), "train.patience": 15}
            assert configs[model, part] == {**expected, **own}, (model, part)
    assert [one["reference"] for one in plan.planned.variants] == [True, False] * 3
    assert len(plan.trainings) == 12


def test_all_stands_for_what_ships_with_a_preset(shards: Path) -> None:
    names = [model for model, part in trained(plan_leaderboard(shards)) if part == "none"]
    assert {"mmgcn", "ddin", "dialogue_rnn", "aghmn"} <= {*names}
    assert names == [model for model, part in trained(plan_leaderboard(shards, models=["all"])) if part == "none"]
    assert all(preset_of(model, "iemocap") for model in names)


def test_keys_hold_for_all_and_presets_for_the_rest(shards: Path) -> None:
    keys = {"train.epochs": "3", "data.modalities": "text", "sweep.concurrency": 1}
    plan = plan_leaderboard(shards, models=MODELS, overrides=keys)
    configs = trained(plan).values()
    assert {one["train.epochs"] for one in configs} == {3}
    assert {tuple(one["data.modalities"]) for one in configs} == {("text",)}
    assert {one["train.lr"] for one in configs} == {3e-4, 5e-4, 1e-4}
    assert plan.planned.settings.concurrency == 1


def test_trainings_of_table_3_serve_a_leaderboard_too(shards: Path) -> None:
    table = plan_study(read_study_file("iemocap/table3"), {"data.shards": str(shards)}, seeds=2)
    board = plan_leaderboard(shards, models=["ddin", "mmgcn"], seeds=2)
    assert NamedStudy.of("iemocap", "table3", table, "").trainings > board.trainings
    others = plan_leaderboard(shards, models=["ddin", "mmgcn"], seeds=2, overrides={"train.patience": 0})
    assert not others.trainings & board.trainings


def test_models_of_others_take_the_base_preset(shards: Path) -> None:
    path = "dclf.models.ddin:DDIN"
    configs = trained(plan_leaderboard(shards, models=["mmgcn", path]))
    assert configs[path, "none"]["train.lr"] == configs["mmgcn", "none"]["train.lr"] == 3e-4


def test_the_same_call_names_the_same_study_and_another_one_another(shards: Path) -> None:
    first = plan_leaderboard(shards, models=MODELS, seeds=2)
    assert plan_leaderboard(shards, models=MODELS, seeds=2).name == first.name
    assert first.name.startswith("iemocap-leaderboard-")
    others = [
        plan_leaderboard(shards, models=MODELS, seeds=3),
        plan_leaderboard(shards, models=MODELS[:2], seeds=2),
        plan_leaderboard(shards, models=MODELS, seeds=2, draws=1),
        plan_leaderboard(shards, models=MODELS, seeds=2, draws=0),
    ]
    assert len({first.name, *(plan.name for plan in others)}) == 5
    assert others[2].trainings == others[3].trainings == first.trainings, "those are taken over"
    assert plan_leaderboard(shards, models=MODELS, name="mine").name == "mine"


def test_what_is_measured_is_part_of_the_plan(shards: Path) -> None:
    plan = plan_leaderboard(shards, models=MODELS, draws=3).planned.plan
    assert plan["evaluations"] == ["perturbation", "speed"]
    assert plan["perturbation"] == {"kinds": ["eics"], "draws": 3}
    assert "perturbation" not in plan_leaderboard(shards, models=MODELS, draws=0).planned.plan


def test_modalities_are_those_of_the_shards(shards: Path, tmp_path: Path) -> None:
    both = read_shards(shards).select(modalities=["text", "audio"])
    widths = {modality: both.info.widths[modality] for modality in ("text", "audio")}
    write_shards(both, tmp_path / "two", replace(both.info, widths=widths))
    configs = trained(plan_leaderboard(tmp_path / "two", models=["aghmn"]))
    assert configs["aghmn", "none"]["data.modalities"] == ("text", "audio")


@pytest.mark.parametrize(
    ("dataset", "family"),
    [("iemocap", "iemocap"), ("generated-iemocap-small", "iemocap"), ("meld", "meld"), ("meld_audio", "meld")],
)
def test_the_name_of_the_data_tells_whose_presets(dataset: str, family: str) -> None:
    assert family_of(dataset) == family


def test_other_data_need_a_family(shards: Path, tmp_path: Path) -> None:
    other = renamed_shards(shards, tmp_path / "other", "emorynlp")
    with pytest.raises(ConfigError, match="--preset-family: must be iemocap or meld for data called 'emorynlp'"):
        plan_leaderboard(other)
    plan = plan_leaderboard(other, models=["mmgcn"], preset_family="meld")
    assert trained(plan)["mmgcn", "none"]["train.lr"] == 1e-3


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({"seeds": 0, "draws": -1}, ["--seeds: must be at least 1, is 0", "--draws: must be 0 or more, is -1"]),
        ({"models": ["mmgnc"]}, ["--models: must be among all, "]),
        ({"preset_family": "iemocp"}, ["--preset-family: must be iemocap or meld, is 'iemocp'"]),
        ({"overrides": {"loss.windw": 3}}, ["loss.windw: unknown key; did you mean loss.window?"]),
        ({"overrides": {"loss.ablate": "base"}}, ["loss.ablate: must be left to the study"]),
        ({"overrides": {"train.epochs": 0}}, ["train.epochs: must be at least 1, is 0"]),
        ({"overrides": {"data.modalities": "smell"}}, ["data.modalities: must be a list"]),
        ({"models": ["no.such:Model"]}, ["model.name: 'no.such:Model' cannot be imported"]),
    ],
)
def test_mistakes_are_told(shards: Path, options: dict[str, Any], problems: Sequence[str]) -> None:
    with pytest.raises(ConfigError) as error:
        plan_leaderboard(shards, **{"models": ["mmgcn"], **options})
    assert len(error.value.problems) == len(problems)
    assert all(problem.startswith(own) for problem, own in zip(error.value.problems, problems, strict=True))


def test_shards_that_are_not_there_hide_no_other_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        plan_leaderboard(tmp_path / "none", models=["mmgn"], seeds=0)
    seeds, models, shards = error.value.problems
    assert seeds.startswith("--seeds: must be")
    assert models.startswith("--models: must be")
    assert "no manifest.json here" in shards


def test_compared_systems_are_those_that_ship(shards: Path) -> None:
    plan = plan_compared("iemocap", {"data.shards": str(shards)}, seeds=1, to_run=False)
    assert {model for model, _ in trained(plan)} == {"mm_dfn", "graphmft", "graphcfc", "dag_erc"}
    assert plan.name.startswith("iemocap-compared-")
    assert plan.planned.plan["paper"] == "Table 3, the compared systems"
