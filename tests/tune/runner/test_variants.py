from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclf.config import Ablation
from tune.config.overrides import apply
from tune.config.study_files import StudyFile, VariantsSpec
from tune.runner.variants import PlannedStudy, plan_study
from tune.search.checks import sweep_problems
from tune.search.space import Space
from tune.search.start_points import countable_size, start_points

SHARDS = {"data.shards": "shards"}
TWO_MODELS = {"mmgcn": "iemocap", "ddin": "iemocap-ddin"}


def planned(overrides: dict[str, Any] | None = None, models: dict[str, Any] | None = None, **spec: Any) -> PlannedStudy:
    file = StudyFile(base="iemocap", models=models or {}, variants=VariantsSpec(**spec))
    return plan_study(file, {**SHARDS, **(overrides or {})})


def trained(study: PlannedStudy) -> list[dict[str, Any]]:
    """What every variant trains with, as its trial will."""
    space = Space.of(study.settings.space, study.config)
    points = start_points(study.settings, space, study.config)
    return [apply(study.config, point).flat() for point in points]


def test_leaving_parts_out_is_compared_with_the_whole() -> None:
    study = planned(leave_one_out=("no_cacl", "base"))
    assert [(one["name"], one["reference"]) for one in study.variants] == [
        ("DCLF", True),
        ("w/o CACL", False),
        ("base model", False),
    ]
    assert [config["loss.ablate"] for config in trained(study)] == ["none", "no_cacl", "base"]
    assert list(study.settings.space) == ["loss.ablate"], "what all share is no parameter"


def test_a_grid_is_compared_with_the_configuration_where_it_is_one_of_the_cells() -> None:
    study = planned(grid={"loss.window": [2, 10], "loss.gamma_ca": [0.8, 0.1]})
    assert [(one["name"], one["reference"]) for one in study.variants] == [
        ("window 2, gamma_ca 0.8", False),
        ("window 2, gamma_ca 0.1", False),
        ("window 10, gamma_ca 0.8", True),
        ("window 10, gamma_ca 0.1", False),
    ]
    assert not any(one["reference"] for one in planned(grid={"loss.window": [2, 4]}).variants)


def test_every_model_gets_what_its_preset_says() -> None:
    study = planned(models=TWO_MODELS, listed=({"name": "base model", "set": {"loss.ablate": "base"}},))
    assert [(one["model"], one["params"]["train.lr"]) for one in study.variants] == [("mmgcn", 3e-4), ("ddin", 1e-4)]
    assert [config["train.weight_decay"] for config in trained(study)] == [3e-5, 1e-5]
    assert study.config.loss.ablate == "base", "all variants have it"


def test_who_runs_a_study_overrides_models_and_file() -> None:
    study = planned({"train.lr": 1e-3, "train.epochs": 7}, models=TWO_MODELS, leave_one_out=("base",))
    assert {config["train.lr"] for config in trained(study)} == {1e-3}
    assert study.config.train.epochs == 7


def test_a_default_gives_way_to_what_a_model_says() -> None:
    models = {"mmgcn": {}, "ddin": {"train.patience": 3}}
    spec = VariantsSpec(leave_one_out=("base",))
    file = StudyFile(base="iemocap", models=models, defaults={"train.patience": 15}, variants=spec)
    assert [one["train.patience"] for one in trained(plan_study(file, SHARDS))] == [15, 15, 3, 3]
    study = plan_study(file, {**SHARDS, "train.patience": 7})
    assert {one["train.patience"] for one in trained(study)} == {7}


def test_keys_may_be_written_as_sections() -> None:
    listed = ({"name": "short", "set": {"loss": {"window": 3}}},)
    models = {"mmgcn": {"model": {"options": {"layers": 2}}}, "ddin": "iemocap-ddin"}
    sections = {"train": {"lr": 1e-3, "epochs": 40}}
    file = StudyFile(base="iemocap", models=models, set=sections, variants=VariantsSpec(listed=listed))
    dotted = StudyFile(
        base="iemocap",
        models={**models, "mmgcn": {"model.options.layers": 2}},
        set={"train.lr": 1e-3, "train.epochs": 40},
        variants=VariantsSpec(listed=({"name": "short", "set": {"loss.window": 3}},)),
    )
    assert trained(plan_study(file, SHARDS)) == trained(plan_study(dotted, SHARDS))
    assert {one["train.lr"] for one in trained(plan_study(file, SHARDS))} == {1e-3}, "also of a model with a preset"


def test_a_model_of_one_modality_keeps_it() -> None:
    models = {"mmgcn": {}, "aghmn": "iemocap-aghmn"}
    study = planned({"data.modalities": ["text", "audio"]}, models=models, leave_one_out=("base",))
    modalities = {config["model.name"]: config["data.modalities"] for config in trained(study)}
    assert modalities == {"mmgcn": ("text", "audio"), "aghmn": ("text",)}


def test_what_a_variant_changes_beside_the_part_is_kept() -> None:
    text = {"name": "text alone", "set": {"loss.ablate": "none", "data.modalities": ["text"]}}
    same = {"name": "DCLF", "set": {"loss.ablate": "none", "train.lr": 1e-4}}
    study = planned(models=TWO_MODELS, listed=({"name": "base", "set": {"loss.ablate": "base"}}, text, same))
    assert [one.get("changes") for one in study.variants] == [
        *(None, ["data.modalities"], ["train.lr"]),
        # DDIN's preset has this learning rate.
        *(None, ["data.modalities"], None),
    ]
    shared = planned(listed=({"name": "text", "set": {"loss.ablate": "none", "data.modalities": ["text"]}},))
    assert "changes" not in shared.variants[0], "all variants have it, and so has the configuration"


def test_options_of_a_base_model_are_asked_of_that_model_alone() -> None:
    models = {"mmgcn": {"model.options.layers": 2}, "ddin": {}}
    study = planned(models=models, leave_one_out=("base",))
    assert study.settings.space["model.options.layers"] == {"choices": [2], "when": {"model.name": ["mmgcn"]}}
    assert [config["model.options"] for config in trained(study)] == [{"layers": 2}] * 2 + [{}] * 2


def test_the_same_configuration_is_trained_once() -> None:
    again = {"name": "again", "set": {"loss.ablate": "none"}}
    assert [one["name"] for one in planned(leave_one_out=("none", "base"), listed=(again,)).variants] == [
        "DCLF",
        "base model",
    ]


def test_paths_start_at_the_study_file(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("extends: meld\nloss: {window: 3}\n")
    file = StudyFile(base="own.yaml", variants=VariantsSpec(leave_one_out=("base",)))
    assert plan_study(file, SHARDS, beside=tmp_path / "study.yaml").config.loss.window == 3


@pytest.mark.parametrize(
    ("overrides", "models", "text"),
    [
        ({"loss.ablate": "base"}, (), "loss.ablate: must be left to the study, whose variants differ in it"),
        ({"model.name": "ddin"}, (), "model.name: must be left to the study"),
        ({}, ("dddin",), "--models: must be among mmgcn, ddin, has 'dddin'; did you mean ddin?"),
        ({"loss.windw": 3}, (), "loss.windw: unknown key; did you mean loss.window?"),
    ],
)
def test_mistakes_are_told(overrides: dict[str, Any], models: tuple[str, ...], text: str) -> None:
    file = StudyFile(base="iemocap", models=TWO_MODELS, variants=VariantsSpec(leave_one_out=("base",)))
    problems = plan_study(file, {**SHARDS, **overrides}, models=models).problems
    assert len(problems) == 1
    assert problems[0].startswith(text)


def test_an_unknown_key_of_a_variant_is_told() -> None:
    study = planned(listed=({"name": "a", "set": {"loss.windw": 3}},))
    assert study.problems == ("loss.windw: unknown key; did you mean loss.window?",)


def test_an_impossible_value_of_a_variant_is_told_before_anything_starts() -> None:
    study = planned(grid={"loss.window": [0, 4]})
    assert study.problems == ("loss.window: must be at least 1, is 0",)
    assert [one["name"] for one in study.variants] == ["window 4"], "the others can be planned"


@pytest.mark.slow
@settings(max_examples=12)
@given(
    parts=st.lists(st.sampled_from(get_args(Ablation)), max_size=4),
    windows=st.lists(st.integers(1, 20), max_size=3),
    gammas=st.lists(st.sampled_from([0.1, 0.4, 0.8]), max_size=2),
)
def test_trials_are_the_variants_and_nothing_else(parts: list[Any], windows: list[int], gammas: list[float]) -> None:
    lists = {"loss.window": windows, "loss.gamma_ca": gammas}
    grid = {key: values for key, values in lists.items() if values}
    if not parts and not grid:
        return
    study = planned(models=TWO_MODELS, leave_one_out=tuple(parts), grid=grid)
    assert sweep_problems(study.settings, study.config) == []
    space = Space.of(study.settings.space, study.config)
    points = start_points(study.settings, space, study.config)
    assert points == [one["params"] for one in study.variants]
    assert countable_size(study.settings, space, study.config) == len(points)
    configs = [apply(study.config, point) for point in points]
    assert len({str(config.flat()) for config in configs}) == len(points)
    pairs = {(config.loss.window, config.loss.gamma_ca) for config in configs}
    assert not grid or {(w, g) for w in windows or [10] for g in gammas or [0.8]} <= pairs
    assert {config.loss.ablate for config in configs} >= set(parts)
