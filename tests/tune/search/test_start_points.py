"""What is tried first."""

from dataclasses import replace
from typing import Any

import pytest

from tests.tune.search.samples import BASE
from tune.config.overrides import apply
from tune.config.sweep_settings import SweepSettings
from tune.search.checks import sweep_problems
from tune.search.space import Space
from tune.search.start_points import countable_size, start_point_problems, start_points

SPACE = Space.of(
    {
        "loss.gamma_ca": {"low": 0, "high": 1, "step": 0.2},
        "loss.window": {"low": 2, "high": 8, "int": True},
        "model.name": {"choices": ["mmgcn", "ddin"]},
        "model.options.layers": {"choices": [2, 4], "when": {"model.name": "mmgcn"}},
    },
    BASE,
)


def points(*overrides: dict[str, Any], base: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return start_points(SweepSettings(start_points=overrides), SPACE, apply(BASE, base or {}))


def test_the_base_comes_first_and_fills_what_a_start_point_leaves_out() -> None:
    own = {"loss.gamma_ca": 0.6, "loss.window": 4, "model.name": "mmgcn", "model.options.layers": 4}
    assert points({"loss.gamma_ca": 0.2}) == [own, {**own, "loss.gamma_ca": 0.2}]
    assert points({"model.name": "ddin"})[1] == {"loss.gamma_ca": 0.6, "loss.window": 4, "model.name": "ddin"}


def test_a_list_is_tried_as_it_stands_and_nothing_else() -> None:
    listed = SweepSettings(sampler="listed", start_points=({"loss.window": 5}, {"loss.window": 3}, {"loss.window": 5}))
    assert [point["loss.window"] for point in start_points(listed, SPACE, BASE)] == [5, 3]
    assert countable_size(listed, SPACE, BASE) == 2
    assert countable_size(replace(listed, sampler="random"), SPACE, BASE) is None
    grid = replace(listed, sampler="grid")
    assert countable_size(grid, SPACE, BASE) == SPACE.size == 6 * 7 * 3


def test_a_list_must_have_something_on_it() -> None:
    problem = "sweep.start_points: must name at least one configuration for sampler listed, is empty"
    assert problem in sweep_problems(SweepSettings(sampler="listed", trials=0), BASE)


def test_none_is_tried_twice() -> None:
    assert len(points({"loss.window": 4}, {"loss.window": 5}, {"loss.window": 5, "loss.gamma_ca": 0.6})) == 2


def test_a_base_outside_the_space_is_left_out() -> None:
    assert points(base={"loss.window": 20}) == []
    assert [point["loss.window"] for point in points({"loss.window": 8}, base={"loss.window": 20})] == [8]


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ({"loss.gamma_ca": 0.5}, "loss.gamma_ca: must be a number from 0 to 1 in steps of 0.2, is 0.5"),
        ({"loss.gamma_mc": 0.5}, "loss.gamma_mc: is not searched; the space has loss.gamma_ca, loss.window"),
        ({"loss.gama_ca": 0.5}, "loss.gama_ca: unknown key; did you mean loss.gamma_ca?"),
        ({"loss.window": 2.5}, "loss.window: must be a whole number, is 2.5"),
        (
            {"model.name": "ddin", "model.options.layers": 2},
            "model.options.layers: is asked only when model.name is mmgcn",
        ),
    ],
)
def test_start_points_outside_the_space(overrides: dict[str, Any], text: str) -> None:
    settings = SweepSettings(start_points=({"loss.window": 3}, overrides))
    problems = start_point_problems(settings, SPACE, BASE)
    assert len(problems) == 1
    assert problems[0].startswith(f"sweep.start_points: point 2: {text}")
    with pytest.raises(ValueError, match=r"must be|is not searched|unknown key|is asked only"):
        start_points(settings, SPACE, BASE)
