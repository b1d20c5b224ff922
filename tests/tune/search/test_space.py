"""Spaces suggest what the configuration takes, and Optuna gives back what was put in."""

from typing import Any

import optuna
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tune.search.samples import BASE, spaces
from tune.config.overrides import apply, value_of
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import ConfigError
from tune.search.checks import sweep_problems, sweep_space
from tune.search.domains import same
from tune.search.space import DEFAULT, Space, default_space
from tune.search.space_problems import space_problems


def ask(seed: int = 0) -> optuna.Trial:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed)).ask()


def suggested(space: Space, fixed: dict[str, Any]) -> dict[str, Any]:
    """What the space makes of parameters that were enqueued."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(1))
    study.enqueue_trial(fixed)
    return space.suggest(study.ask())


def by_hand(space: Space, keys: list[str], values: dict[str, Any]) -> list[dict[str, Any]]:
    """All combinations, one after another."""
    if not keys:
        return [values]
    if not space.active(keys[0], values):
        return by_hand(space, keys[1:], values)
    cells = space.domains[keys[0]].cells() or []
    return [cell for value in cells for cell in by_hand(space, keys[1:], {**values, keys[0]: value})]


@settings(max_examples=50)
@given(spec=spaces(), seed=st.integers(0, 2**31))
def test_a_suggestion_lies_in_the_space_and_makes_a_sound_configuration(spec: dict[str, Any], seed: int) -> None:
    space = Space.of(spec, BASE)
    assert space_problems(space, BASE) == []
    overrides = space.suggest(ask(seed))
    assert set(overrides) == {key for key in space.domains if space.active(key, overrides)}
    for key, value in overrides.items():
        assert type(value) in (bool, int, float, str, list)
        assert same(space.domains[key].value(value), value)
        if "low" in spec[key]:
            assert spec[key]["low"] <= value <= spec[key]["high"]
    config = apply(BASE, overrides)
    assert config.problems() == []
    for key in space.domains:
        if key not in ("model.options.dropout",) or key in overrides:
            assert same(value_of(config, key), overrides.get(key, value_of(BASE, key)))
    assert space.point(config) == overrides


@given(spec=spaces(), seed=st.integers(0, 2**31))
def test_parameters_round_trip_through_optuna(spec: dict[str, Any], seed: int) -> None:
    space = Space.of(spec, BASE)
    trial = ask(seed)
    overrides = space.suggest(trial)
    assert set(space.params_of(overrides)) == set(trial.params)
    assert suggested(space, space.params_of(overrides)) == overrides
    for key, value in space.params_of(overrides).items():
        distribution = space.distributions[key]
        assert distribution._contains(distribution.to_internal_repr(value))


@given(spec=spaces())
def test_a_space_reads_back_from_yaml(spec: dict[str, Any]) -> None:
    space = Space.of(spec, BASE)
    again = Space.of(yaml.safe_load(yaml.safe_dump(space.spec)), BASE)
    assert again.spec == space.spec
    assert again.distributions == space.distributions


@given(spec=spaces())
def test_the_grid_has_every_combination_once(spec: dict[str, Any]) -> None:
    space = Space.of(spec, BASE)
    countable = all(domain.cells() for domain in space.domains.values())
    if not countable or (space.size or 0) > 2000:
        return
    expected = by_hand(space, list(space.domains), {})
    cells = [space.grid[index] for index in range(len(space.grid))]
    assert space.size == len(expected)
    assert sorted(map(repr, cells)) == sorted(map(repr, expected))


def test_the_default_space_holds_the_paper_s_values() -> None:
    space = default_space()
    assert space_problems(space, BASE) == []
    assert space.point(BASE) == {
        "loss.gamma_ca": 0.6,
        "loss.gamma_mc": 0.4,
        "loss.window": 4,
        "loss.temperature": 0.07,
        "loss.denominator": "all",
        "loss.projection": "none",
    }
    assert space.size is None


def test_of_a_population_the_default_space_leaves_the_weights_shapes_alone() -> None:
    settings = SweepSettings(scheduler="pbt")
    assert sweep_problems(settings, BASE) == []
    assert sweep_space(settings, BASE).domains.keys() == DEFAULT.keys() - {"loss.projection"}
    assert sweep_space(SweepSettings(), BASE).domains.keys() == DEFAULT.keys()


def test_steps_give_the_numbers_a_person_would_write() -> None:
    space = Space.of({"loss.gamma_ca": {"low": 0, "high": 1, "step": 0.05}})
    values = [space.grid[index]["loss.gamma_ca"] for index in range(21)]
    assert values == [round(0.05 * index, 2) for index in range(21)]
    assert suggested(space, {"loss.gamma_ca": 3 * 0.05}) == {"loss.gamma_ca": 0.15}


def test_lists_are_choices_by_their_json_text() -> None:
    space = Space.of({"data.modalities": {"choices": [["text"], ["text", "audio"]]}}, BASE)
    assert space.params_of({"data.modalities": ("text", "audio")}) == {"data.modalities": '["text", "audio"]'}
    overrides = suggested(space, {"data.modalities": '["text"]'})
    assert overrides == {"data.modalities": ["text"]}
    assert apply(BASE, overrides).data.modalities == ("text",)


def test_choices_that_optuna_would_confuse_stay_apart() -> None:
    space = Space.of({"model.options.x": {"choices": [True, 1, "1"]}})
    params = [space.params_of({"model.options.x": value})["model.options.x"] for value in (True, 1, "1")]
    assert len(set(params)) == 3
    assert [suggested(space, {"model.options.x": param})["model.options.x"] for param in params] == [True, 1, "1"]


CHAIN = {
    "model.options.layers": {"choices": [2, 4], "when": {"model.name": "mmgcn"}},
    "model.options.alpha": {"low": 0.1, "high": 0.3, "step": 0.1, "when": {"model.options.layers": 4}},
    "model.name": {"choices": ["mmgcn", "ddin"]},
}


def test_conditions_chain_and_stand_in_any_order() -> None:
    space = Space.of(CHAIN, BASE)
    assert space_problems(space, BASE) == []
    assert list(space.domains) == ["model.name", "model.options.layers", "model.options.alpha"]
    assert suggested(space, {"model.name": "ddin"}) == {"model.name": "ddin"}
    assert set(suggested(space, {"model.name": "mmgcn", "model.options.layers": 2})) == {
        "model.name",
        "model.options.layers",
    }
    assert len(suggested(space, {"model.name": "mmgcn", "model.options.layers": 4})) == 3
    assert space.size == 1 + 1 + 3


def test_a_condition_on_the_configuration_is_decided_by_it() -> None:
    spec = {
        "loss.window": {"low": 2, "high": 5, "int": True},
        "loss.gamma_mc": {"choices": [0.1, 0.2], "when": {"loss.ablate": ["none", "no_ica"]}},
    }
    assert Space.of(spec, BASE).size == 8
    assert Space.of(spec, apply(BASE, {"loss.ablate": "no_mccl"})).size == 4
    with pytest.raises(ValueError, match=r"loss\.ablate is not searched: Space\.of needs the base configuration"):
        Space.of(spec).suggest(ask())


def test_a_base_value_outside_the_space_is_said() -> None:
    space = Space.of(
        {"loss.window": {"low": 5, "high": 9, "int": True}, "loss.gamma_ca": {"low": 0, "high": 1, "step": 0.25}}
    )
    assert space.point(BASE) is None
    assert space.outside(BASE) == [
        "loss.window: must be a whole number from 5 to 9, is 4",
        "loss.gamma_ca: must be a number from 0 to 1 in steps of 0.25, is 0.6",
    ]
    inside = apply(BASE, {"loss.window": 7, "loss.gamma_ca": 0.5})
    assert space.point(inside) == {"loss.window": 7, "loss.gamma_ca": 0.5}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"model.name": "dddin"}, "model.name: must be one of mmgcn, ddin, is 'dddin'"),
        ({"loss.window": 3}, "loss.window: is not searched; the space has model.name, model.options.layers"),
        (
            {"model.name": "ddin", "model.options.layers": 2},
            "model.options.layers: is asked only when model.name is mmgcn",
        ),
        (
            {"model.name": "mmgcn", "model.options.layers": 4, "model.options.alpha": 0.15},
            "model.options.alpha: must be a number from 0.1 to 0.3 in steps of 0.1, is 0.15",
        ),
        (
            {"model.name": "mmgcn", "model.options.layers": 4, "model.options.alpha": True},
            "model.options.alpha: must be a number from 0.1 to 0.3 in steps of 0.1, is True",
        ),
    ],
)
def test_overrides_that_the_space_cannot_express(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        Space.of(CHAIN, BASE).params_of(overrides)
    assert message in str(error.value)


def test_a_space_with_mistakes_suggests_nothing_and_is_not_written_down() -> None:
    space = Space.of({"loss.window": {"low": 3, "high": 2, "int": True}})
    with pytest.raises(ConfigError, match=r"sweep\.space\.loss\.window: low must be below high, is 3 and 2"):
        space.suggest(ask())
    with pytest.raises(ConfigError, match="low must be below high"):
        _ = space.spec


def test_a_wrong_type_is_no_configuration() -> None:
    with pytest.raises(ConfigError, match=r"loss\.window: must be a whole number, is 2\.5"):
        apply(BASE, {"loss.window": 2.5})
    assert apply(BASE, {"model.options.layers": 2, "train.lr": 1}).model.options == {"layers": 2}
