"""No combination that a space can express may be one that the configuration refuses, and sound spaces are accepted."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dclf.config import Config
from tests.tune.search.samples import BASE
from tune.config.overrides import apply, refusals
from tune.config.sweep_settings import SweepSettings
from tune.search.checks import sweep_problems, trained_modalities
from tune.search.combinations import LIMIT, combinations, groups
from tune.search.space import Space
from tune.search.space_problems import space_problems

NAMES = {"choices": ["mmgcn", "ddin"]}
LAYERS: dict[str, Any] = {"choices": [2, 3]}
OPTION = "model.options.layers"
CHOICES: dict[str, list[Any]] = {
    "model.name": ["mmgcn", "ddin", "aghmn", "dialogue_rnn"],
    "model.causal": [True, False],
    OPTION: [0, 2, 3],
    "model.options.party_width": [10, 20],
    "model.options.dropout": [0, 0.5, 1],
    "model.options.node_width": [15, 16],
    "train.batch_size": [0, 4],
    "loss.ablate": ["none", "base"],
}
DECIDING = ("model.name", "model.causal", "loss.ablate")


def problems(spec: dict[str, Any], base: Config = BASE) -> list[str]:
    return space_problems(Space.of(spec, base), base)


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Spaces over base models and their options, sound or not."""
    keys = draw(st.lists(st.sampled_from(list(CHOICES)), min_size=1, max_size=5, unique=True))
    space: dict[str, dict[str, Any]] = {
        key: {"choices": draw(st.lists(st.sampled_from(CHOICES[key]), min_size=1, max_size=3, unique=True))}
        for key in keys
    }
    for place, key in enumerate(keys):
        others = [other for other in keys[:place] if other in DECIDING]
        if others and draw(st.booleans()):
            other = draw(st.sampled_from(others))
            some = st.lists(st.sampled_from(space[other]["choices"]), min_size=1, unique=True)
            space[key]["when"] = {other: draw(some)}
    return space


@given(spec=spaces(), base=st.sampled_from([{}, {"model.name": "ddin"}, {OPTION: 3}, {"model.causal": False}]))
def test_what_is_accepted_can_be_trained_and_what_is_refused_cannot(spec: dict[str, Any], base: dict[str, Any]) -> None:
    config = apply(BASE, base)
    space = Space.of(spec, config)
    messages = [
        line for line in space_problems(space, config) if "can never hold" not in line and "at least one" not in line
    ]
    bad_cells = [
        cell for cell in (space.grid[index] for index in range(len(space.grid))) if apply(config, cell).problems()
    ]
    assert bool(messages) == bool(bad_cells), (messages, bad_cells[:3])


def test_an_option_that_one_of_the_models_lacks_is_named_with_the_condition_to_write() -> None:
    (line,) = problems({"model.name": NAMES, OPTION: LAYERS})
    assert line == (
        "sweep.space.model.options.layers: allows 2 with model.name ddin, but model.options.layers: ddin has no such "
        "option; it has decoder_width, dropout, emotion_width, encoder_width, history_width, party_width; "
        "write when: {model.name: [mmgcn]} under it"
    )
    assert problems({"model.name": NAMES, OPTION: {**LAYERS, "when": {"model.name": ["mmgcn"]}}}) == []


def test_the_condition_to_write_keeps_those_that_are_there() -> None:
    spec = {
        "model.name": NAMES,
        "loss.ablate": {"choices": ["none", "base"]},
        OPTION: {**LAYERS, "when": {"loss.ablate": "base"}},
    }
    (line,) = problems(spec)
    assert line.endswith("; write when: {loss.ablate: [base], model.name: [mmgcn]} under it")
    assert problems({**spec, OPTION: {**LAYERS, "when": {"loss.ablate": ["base"], "model.name": ["mmgcn"]}}}) == []


def test_a_model_that_reads_forwards_only() -> None:
    spec = {"model.name": {"choices": ["mmgcn", "aghmn"]}, "model.causal": {"choices": [True, False]}}
    (line,) = problems(spec)
    assert line.startswith("sweep.space.model.causal: allows False with model.name aghmn, but model.causal: must be")
    assert line.endswith("; write when: {model.name: [mmgcn]} under it")


def test_an_option_that_the_configuration_sets_for_all_models() -> None:
    base = apply(BASE, {OPTION: 3})
    (line,) = problems({"model.name": NAMES}, base)
    assert line.startswith("sweep.space.model.name: allows 'ddin', but model.options.layers: ddin has no such option")
    assert line.endswith(
        "; leave model.options.layers out of the configuration, and give it in the space to the models that have it"
    )


def test_values_between_the_ends_are_asked_too() -> None:
    (line,) = problems({"model.options.node_width": {"low": 100, "high": 200, "int": True}})
    assert "allows 101, but model.options: node_width must be even" in line
    assert problems({"model.options.node_width": {"low": 100, "high": 200, "int": True, "step": 2}}) == []


def test_a_value_that_hides_behind_another_one_s_mistake_is_told_beside_it() -> None:
    spec = {OPTION: {"choices": [0, 2]}, "model.options.dropout": {"choices": [0.1, 3]}}
    messages = problems(spec)
    assert [line.partition(", but")[0] for line in messages] == [
        "sweep.space.model.options.layers: allows 0",
        "sweep.space.model.options.dropout: allows 3",
    ]


def test_a_base_model_outside_the_space_decides_nothing() -> None:
    base = apply(BASE, {"model.name": "aghmn"})
    assert problems({"model.name": {"choices": ["mmgcn"]}, OPTION: LAYERS}, base) == []


def test_conditions_that_chain_are_tried_with_every_value_above_them() -> None:
    spec = {
        "loss.ablate": {"choices": ["none", "base"]},
        "loss.window": {"low": 2, "high": 9, "int": True, "when": {"loss.ablate": "base"}},
        OPTION: {"choices": [2], "when": {"loss.window": [5]}},
        "model.name": NAMES,
    }
    (line,) = problems(spec)
    assert "model.options.layers: allows 2 with model.name ddin" in line


def test_of_a_large_space_every_pair_is_tried() -> None:
    even: dict[str, Any] = {"choices": list(range(2, 40, 2))}
    options = {f"model.options.{name}": even for name in ("encoder_width", "history_width", "party_width")}
    names = {"choices": ["ddin", "dialogue_rnn"]}
    space = Space.of({"model.name": names, **options, "model.options.dropout": {"choices": [0, 0.1, 0.2]}}, BASE)
    assert (space.size or 0) > 10 * LIMIT
    (keys,) = groups(list(space.domains))
    tried = list(combinations(space, keys))
    assert len(tried) < 2 * LIMIT
    assert all(set(one) == set(keys) for one in tried), "each is one that the space can express"
    party, dropout = "model.options.party_width", "model.options.dropout"
    assert len({(one["model.name"], one[party], one[dropout]) for one in tried}) == 2 * 19 * 3
    (line,) = problems({"model.name": names, **options, party: {"choices": [*even["choices"], 0]}})
    assert "sweep.space.model.options.party_width: allows 0, but" in line


def test_a_list_is_asked_for_its_own_configurations_and_no_others() -> None:
    space = {"model.name": {"choices": ["aghmn", "mmgcn"]}, "model.causal": {"choices": [True, False]}}
    points = ({"model.name": "aghmn", "model.causal": True}, {"model.name": "mmgcn", "model.causal": False})
    listed = SweepSettings(sampler="listed", scheduler="none", space=space, start_points=points)
    assert sweep_problems(listed, BASE) == []
    crossed = replace(listed, start_points=({"model.name": "aghmn", "model.causal": False},))
    (line,) = sweep_problems(crossed, BASE)
    assert line.startswith("sweep.start_points: point 1: model.causal: must be true for aghmn")


def test_a_start_point_between_the_values_that_were_tried_is_asked_itself() -> None:
    space = {"model.options.node_width": {"low": 100, "high": 200, "int": True, "step": 2}}
    point = {"model.options.node_width": 101}
    (line,) = sweep_problems(SweepSettings(space=space, start_points=(point,)), BASE)
    assert "point 1: model.options.node_width: must be a whole number from 100 to 200 in steps of 2" in line


def test_batches_are_no_smaller_than_a_trial_has_workers() -> None:
    space = {"train.batch_size": {"low": 2, "high": 32, "int": True, "log": True}}
    assert sweep_problems(SweepSettings(space=space, workers_per_trial=2), BASE) == []
    (line,) = sweep_problems(SweepSettings(space=space, workers_per_trial=4), BASE)
    assert line.startswith("sweep.space.train.batch_size: allows 2, but sweep.workers_per_trial 4 needs a dialogue for")


@pytest.mark.parametrize(
    ("spec", "modalities"),
    [
        ({}, {"text", "audio", "visual"}),
        ({"data.modalities": {"choices": [["text"], ["audio", "text"]]}}, {"text", "audio"}),
        (
            {
                "loss.ablate": {"choices": ["none", "base"]},
                "data.modalities": {"choices": [["text"]], "when": {"loss.ablate": "none"}},
            },
            {"text", "audio", "visual"},
        ),
    ],
)
def test_the_shards_are_asked_for_every_modality_of_any_trial(spec: dict[str, Any], modalities: set[str]) -> None:
    assert set(trained_modalities(Space.of(spec, BASE), BASE)) == modalities


def test_what_is_wrong_with_the_configuration_itself_is_not_the_space_s() -> None:
    assert refusals(Config(), {"loss.window": 3}) == []
    broken = replace(BASE, model=replace(BASE.model, options={"layers": "many", "depth": 3}))
    assert broken.problems()
    assert (
        problems({"loss.window": {"low": 2, "high": 4, "int": True}, "model.causal": {"choices": [True]}}, broken) == []
    )
