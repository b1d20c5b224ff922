"""Every mistake of a space has its line."""

from typing import Any

import pytest

from tests.tune.search.samples import BASE
from tune.search.space import Space
from tune.search.space_problems import space_problems

UNIT = {"low": 0, "high": 1}


def problems(spec: dict[str, Any]) -> list[str]:
    return space_problems(Space.of(spec, BASE), BASE)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (3, "must be {low, high} or {choices}, is 3"),
        ({}, "must have low and high, or choices, has nothing"),
        ({"low": 0}, "must have low and high, or choices, has low"),
        ({"low": 0, "choices": [1]}, "must have either choices or low and high, has choices and low"),
        ({**UNIT, "hihg": 2}, "has no 'hihg', only low, high, step, log, int, choices, when; did you mean high?"),
        ({"low": "a", "high": 1}, "low must be a finite number, is 'a'"),
        ({"low": 0, "high": True}, "high must be a finite number, is True"),
        ({"low": 0, "high": float("inf")}, "high must be a finite number, is inf"),
        ({"low": 0.5, "high": 2, "int": True}, "low must be a whole number with int, is 0.5"),
        ({**UNIT, "log": "yes"}, "log must be true or false, is 'yes'"),
        ({"low": 1, "high": 1}, "low must be below high, is 1 and 1"),
        ({**UNIT, "log": True}, "low must be above 0 with log, is 0"),
        ({"low": 1, "high": 2, "log": True, "step": 1}, "must have either step or log, has both"),
        ({**UNIT, "step": 0}, "step must be above 0, is 0"),
        ({**UNIT, "step": 0.3}, "step must lead from low to high, but steps of 0.3 from 0 miss 1; the last one is 0.9"),
        ({**UNIT, "step": 2}, "step must lead from low to high, but steps of 2 from 0 miss 1; the last one is 0"),
        ({"choices": []}, "choices must be a list with at least one value, is []"),
        ({"choices": "text"}, "choices must be a list with at least one value, is 'text'"),
        ({"choices": [1, 1.0]}, "choices must differ, has 1.0 twice"),
        ({**UNIT, "when": "always"}, "when must be {key: value}, is 'always'"),
        ({**UNIT, "when": {"loss.window": []}}, "when loss.window must name at least one value"),
        (
            {**UNIT, "when": {"loss.windo": 3}},
            "neither in the space nor in the configuration; did you mean loss.window?",
        ),
        ({**UNIT, "when": {"model.options.depth": 3}}, "neither in the space nor in the configuration"),
        ({**UNIT, "when": {"loss.ablate": "no_all"}}, "when loss.ablate can never hold: loss.ablate: must be one of"),
        ({"low": -1, "high": 1}, "allows -1.0, but loss.gamma_ca: must be 0 or more, is -1.0"),
        ({"choices": [0.5, "much"]}, "allows 'much', but loss.gamma_ca: must be a number, is 'much'"),
    ],
)
def test_one_mistake_one_line(spec: Any, text: str) -> None:
    lines = problems({"loss.gamma_ca": spec})
    assert len(lines) == 1
    assert lines[0].startswith("sweep.space.loss.gamma_ca: ")
    assert text in lines[0]


@pytest.mark.parametrize(
    ("key", "spec", "text"),
    [
        ("loss.gama_ca", UNIT, "unknown key; did you mean loss.gamma_ca?"),
        ("gamma_ca", UNIT, "unknown key; did you mean loss.gamma_ca?"),
        ("data.shards", {"choices": ["a", "b"]}, "cannot be searched: the trials of a study see one data set"),
        ("train.seed", {"low": 0, "high": 5, "int": True}, "cannot be searched: sweep.seeds trains each trial"),
        ("train.workers", {"choices": [1, 2]}, "cannot be searched: all trials of a study have the same slots"),
        ("train.protocol", {"choices": ["sealed", "paper"]}, "cannot be searched: it changes no training"),
        ("track.name", {"choices": ["a"]}, "cannot be searched: it changes no training"),
        ("loss.window", {"low": 2, "high": 20}, "loss.window: must be a whole number, is 2.0; write int: true"),
        ("train.lr", {"low": 0, "high": 1}, "allows 0.0, but train.lr: must be above 0 and finite, is 0.0"),
        ("loss.ablate", {"choices": ["none", "all"]}, "allows 'all', but loss.ablate: must be one of none, base"),
        ("data.modalities", {"choices": [["text"], []]}, "allows [], but data.modalities: must be a non-empty subset"),
        ("model.options.depth", {"low": 1, "high": 3}, "but model.options.depth: mmgcn has no such option; it has"),
        ("model.options.dropout", {"low": 0, "high": 3}, "allows 3.0, but model.options: dropout must"),
    ],
)
def test_keys_and_values_that_the_configuration_refuses(key: str, spec: dict[str, Any], text: str) -> None:
    lines = problems({key: spec})
    assert len(lines) == 1
    assert lines[0].startswith(f"sweep.space.{key}: ")
    assert text in lines[0]


def test_all_at_once_and_sound_keys_beside_broken_ones() -> None:
    lines = problems({"loss.gamma_ca": {"low": 1, "high": 0}, "loss.windo": UNIT, "train.lr": {"low": -1, "high": 1}})
    assert [line.split(": ")[0] for line in lines] == [
        "sweep.space.loss.gamma_ca",
        "sweep.space.loss.windo",
        "sweep.space.train.lr",
    ]


def test_a_circle_of_conditions() -> None:
    lines = problems(
        {
            "loss.gamma_ca": {**UNIT, "when": {"loss.pairs": "bank"}},
            "loss.pairs": {"choices": ["bank"], "when": {"loss.ablate": "none"}},
            "loss.ablate": {"choices": ["none"], "when": {"loss.pairs": "bank"}},
        }
    )
    assert len(lines) == 1
    assert "when must not lead back to itself, but " in lines[0]
    assert (
        "loss.pairs -> loss.ablate -> loss.pairs" in lines[0] or "loss.ablate -> loss.pairs -> loss.ablate" in lines[0]
    )


def test_conditions_that_exclude_each_other() -> None:
    lines = problems(
        {
            "loss.ablate": {"choices": ["none", "base"]},
            "loss.pairs": {"choices": ["bank", "batch"], "when": {"loss.ablate": "base"}},
            "loss.gamma_ca": {**UNIT, "when": {"loss.ablate": "none", "loss.pairs": "bank"}},
        }
    )
    assert lines == ["sweep.space.loss.gamma_ca: when can never hold, its conditions exclude each other"]


def test_a_condition_on_a_value_the_other_key_never_has() -> None:
    lines = problems(
        {"loss.window": {"low": 2, "high": 8, "int": True}, "loss.gamma_ca": {**UNIT, "when": {"loss.window": [4, 9]}}}
    )
    assert lines == [
        "sweep.space.loss.gamma_ca: when loss.window can never hold, its value must be a whole number from 2 to 8, is 9"
    ]


def test_values_are_tried_where_their_condition_holds() -> None:
    layers = {"low": 1, "high": 4, "int": True}
    names = {"choices": ["mmgcn", "ddin"]}
    sound = {"model.name": names, "model.options.layers": {**layers, "when": {"model.name": "mmgcn"}}}
    assert problems(sound) == []
    wrong = problems(
        {"model.name": names, "model.options.layers": {**layers, "when": {"model.name": ["mmgcn", "ddin"]}}}
    )
    assert len(wrong) == 1
    assert "allows 1 with model.name ddin, but model.options.layers: ddin has no such option" in wrong[0]


def test_a_space_that_asks_for_nothing() -> None:
    lines = problems({"loss.gamma_ca": {**UNIT, "when": {"loss.ablate": "base"}}})
    assert lines == ["sweep.space: must ask for at least one parameter, but no condition holds"]


def test_an_exponent_without_a_point_is_a_number() -> None:
    space = Space.of(
        {"train.lr": {"low": "1e-5", "high": "1e-2", "log": True}, "train.weight_decay": {"choices": ["1e-4"]}}
    )
    assert space_problems(space, BASE) == []
    assert space.spec["train.lr"] == {"low": 1e-5, "high": 0.01, "log": True}
    assert space.spec["train.weight_decay"] == {"choices": [1e-4]}


def test_problems_of_the_base_itself_are_not_the_space_s() -> None:
    from dclf.config import Config  # noqa: PLC0415

    assert Config().problems()
    assert space_problems(Space.of({"loss.gamma_ca": UNIT}), Config()) == []
