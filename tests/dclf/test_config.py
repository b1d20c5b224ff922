from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dclf.config import JOINT, Config, DataConfig, LossConfig, ModelConfig, TrackConfig, TrainConfig
from dclf.models.options import require_rate

SOUND = DataConfig(shards="somewhere")


def test_defaults_lack_nothing_but_the_shards() -> None:
    assert [p.split(":")[0] for p in Config().problems()] == ["data.shards"]
    assert Config(data=SOUND).problems() == []


def test_every_impossible_value_is_named_at_once() -> None:
    config = Config(
        data=DataConfig(shards="x", modalities=("text", "text")),
        model=ModelConfig(name="mmgcm"),
        loss=LossConfig(temperature=0.0, window=0, gamma_ca=-1.0),
        train=TrainConfig(epochs=0, lr=float("nan"), workers=(3, 2), max_failures=-2),
    )
    assert {p.split(":")[0] for p in config.problems()} == {
        "data.modalities",
        "model.name",
        "loss.temperature",
        "loss.window",
        "loss.gamma_ca",
        "train.epochs",
        "train.lr",
        "train.workers",
        "train.max_failures",
    }


def test_numbers_of_another_kind_are_refused() -> None:
    config = Config(
        data=SOUND,
        loss=LossConfig(window=2.7, gamma_ca=True),  # type: ignore[arg-type]
        train=TrainConfig(epochs=3.0, batch_size="16", seed=True, workers=(1, 2.5)),  # type: ignore[arg-type]
    )
    assert config.problems() == [
        "loss.gamma_ca: must be a number, is True",
        "loss.window: must be a whole number, is 2.7",
        "train.epochs: must be a whole number, is 3.0",
        "train.batch_size: must be a whole number, is '16'",
        "train.seed: must be a whole number, is True",
        "train.workers: must be 1 or more, or a pair (min, max) with 1 <= min <= max, is (1, 2.5)",
    ]


def test_words_and_truth_values_are_checked_from_the_declared_types() -> None:
    config = Config(
        data=SOUND,
        model=ModelConfig(causal="false"),  # type: ignore[arg-type]
        loss=LossConfig(ablate="no_cac", class_weights="None"),  # type: ignore[arg-type]
        train=TrainConfig(precision="fp16", device="cuda", compile=1),  # type: ignore[arg-type]
    )
    assert config.problems() == [
        "model.causal: must be true or false, is 'false'",
        "loss.ablate: must be one of none, base, no_cacl, no_ce, no_mccl, no_ica, is 'no_cac'; did you mean no_cacl?",
        "loss.class_weights: must be one of none, balanced, is 'None'; did you mean none?",
        "train.precision: must be one of fp32, bf16, is 'fp16'; did you mean bf16?",
        "train.compile: must be true or false, is 1",
        "train.device: must be one of auto, cpu, gpu, is 'cuda'",
    ]


WRONG: Any = object()


@pytest.mark.parametrize("section", fields(Config), ids=lambda section: section.name)
def test_no_value_of_any_field_is_worth_a_traceback(section: Any) -> None:
    part = getattr(Config(data=SOUND), section.name)
    for name in (one.name for one in fields(part)) if is_dataclass(part) else ():
        for value in (WRONG, None, [WRONG], {1: WRONG}, (1, 2, 4)):
            config = replace(Config(data=SOUND), **{section.name: replace(part, **{name: value})})  # type: ignore[type-var]
            problems = config.problems()
            assert [p.split(":")[0] for p in problems] == [f"{section.name}.{name}"], (value, problems)
    assert [p.split(":")[0] for p in replace(Config(data=SOUND), **{section.name: WRONG}).problems()]


def test_a_value_of_the_wrong_kind_hides_no_other_problem() -> None:
    config = Config(
        data=DataConfig(shards=Path("x")),  # type: ignore[arg-type]
        loss=LossConfig(terms=None, window=0),  # type: ignore[arg-type]
        train=TrainConfig(workers=(1, 2, 4)),  # type: ignore[arg-type]
        track=TrackConfig(tags={"fold": 3}, name=" "),  # type: ignore[dict-item]
    )
    assert config.problems() == [
        f"data.shards: must be text, is {Path('x')!r}",
        "loss.terms: must be a mapping of keys to values, is None",
        "track.tags: must be a mapping of keys to text, is {'fold': 3}",
        "loss.window: must be at least 1, is 0",
        "train.workers: must be 1 or more, or a pair (min, max) with 1 <= min <= max, is (1, 2, 4)",
        "track.name: must be a name, or empty for one that is made up, is ' '",
    ]


def test_options_of_another_kind_are_named() -> None:
    options = {"dropout": "0.5", "layers": 2.0, "alpha": None}
    assert Config(data=SOUND, model=ModelConfig(options=options)).problems() == [
        "model.options.dropout: must be a number, is '0.5'",
        "model.options.layers: must be a whole number, is 2.0",
        "model.options.alpha: must be a number, is None",
    ]
    with pytest.raises(ValueError, match=r"dropout must be a number in \[0, 1\), is '0.5'"):
        require_rate(dropout="0.5")


def test_a_base_models_options_are_checked_against_its_own_config() -> None:
    unknown = Config(data=SOUND, model=ModelConfig(options={"layer": 3})).problems()
    assert len(unknown) == 1
    assert "model.options.layer" in unknown[0]
    assert "layers" in unknown[0]
    impossible = Config(data=SOUND, model=ModelConfig(options={"layers": 0})).problems()
    assert len(impossible) == 1
    assert "layers" in impossible[0]


def test_more_workers_than_dialogues_in_a_batch_are_refused() -> None:
    assert Config(data=SOUND, train=TrainConfig(workers=4, batch_size=3)).problems()


@pytest.mark.parametrize(
    ("workers", "batch_size", "sound"), [(1, 1, False), (1, 2, True), ((1, 4), 7, False), (4, 8, True)]
)
def test_pairs_of_the_batch_need_two_dialogues_for_each_worker(
    workers: int | tuple[int, int], batch_size: int, sound: bool
) -> None:
    train = TrainConfig(workers=workers, batch_size=batch_size)
    problems = Config(data=SOUND, train=train, loss=LossConfig(pairs="batch")).problems()
    assert [problem.partition(":")[0] for problem in problems] == ([] if sound else ["loss.pairs"])
    without = LossConfig(pairs="batch", ablate="no_cacl")
    assert Config(data=SOUND, train=train, loss=without).problems() == []


CHANGES: dict[str, list[Any]] = {
    "data.modalities": [("text",), (), ("text", "text")],
    "data.cache_mb": [0, -1],
    "model.name": ["mmgcn", "aghmn", "gru"],
    "model.causal": [True, False],
    "model.options": [{}, {"layers": 2}, {"window": 3}, {"dropout": 1}],
    "loss.ablate": ["none", "base"],
    "loss.pairs": ["bank", "batch", "both"],
    "loss.window": [3, 0],
    "loss.temperature": [0.1, 0.0],
    "loss.ica_width": [8, 0],
    "train.workers": [1, 4, (2, 1)],
    "train.batch_size": [8, 2, 1, 0],
    "train.epochs": [3, 0],
    "train.lr": [1e-3, float("inf")],
    "train.max_failures": [2, -2],
}


def changed(changes: dict[str, Any]) -> set[str]:
    """What a configuration with these values has problems with."""
    config = Config(data=SOUND)
    for key, value in changes.items():
        section, _, name = key.partition(".")
        config = replace(config, **{section: replace(getattr(config, section), **{name: value})})
    return set(config.problems())


@given(st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in CHANGES.items()}))
def test_keys_are_judged_by_themselves_but_for_the_joint_ones(changes: dict[str, Any]) -> None:
    groups = {key: next((group for group in JOINT if key in group), (key,)) for key in changes}
    apart = [changed({key: changes[key] for key in group if key in changes}) for group in groups.values()]
    assert changed(changes) == set().union(*apart)


@given(
    st.sampled_from([("text",), ("text", "visual")]),
    st.sampled_from([1, (1, 4)]),
    st.floats(0, 2),
)
def test_dictionaries_round_trip(modalities: tuple[str, ...], workers: int | tuple[int, int], gamma: float) -> None:
    config = Config(
        data=DataConfig(shards="x", modalities=modalities),
        loss=LossConfig(gamma_ca=gamma),
        train=TrainConfig(workers=workers),
    )
    assert Config.from_dict(config.to_dict()) == config


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(TypeError, match="gama"):
        Config.from_dict({"loss": {"gama": 1.0}})


@pytest.mark.parametrize(
    ("ablate", "context", "modality", "ica"),
    [
        ("none", True, True, True),
        ("base", False, False, False),
        ("no_cacl", False, True, True),
        ("no_ce", True, True, True),
        ("no_mccl", True, False, False),
        ("no_ica", True, True, False),
    ],
)
def test_ablations_drop_what_table_4_says(ablate: str, context: bool, modality: bool, ica: bool) -> None:
    loss = LossConfig(ablate=ablate)  # type: ignore[arg-type]
    assert (loss.uses_context_contrast, loss.uses_modality_contrast, loss.uses_ica) == (context, modality, ica)
