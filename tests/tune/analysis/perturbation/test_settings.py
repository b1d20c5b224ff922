"""Impossible settings of a perturbation test are told, whatever a notebook gives."""

from typing import Any

from dclf.perturb import Corruption
from tune.analysis.perturbation.settings import PerturbationSettings


def test_values_of_another_kind_are_named_with_the_others() -> None:
    wrong: dict[str, Any] = {"kinds": "eccs", "draws": 2.5, "split": "train"}
    assert PerturbationSettings(**wrong).problems() == [
        "kinds: must be a list, is 'eccs'",
        "draws: must be a whole number, is 2.5",
        "split: must be one of val, test, is 'train'",
    ]


def noise(share: float, modalities: tuple[str, ...] = ("text",), **more: Any) -> Corruption:
    return Corruption(damage="noise", modalities=modalities, share=share, **more)


def test_damages_that_no_table_tells_apart_are_refused() -> None:
    twice = PerturbationSettings(corruptions=(noise(0.3, seed=1), noise(0.3, seed=2), noise(0.5)))
    (problem,) = twice.problems()
    assert problem.startswith("corruptions: must be named once each, noise in text at 30 % comes twice; leave one out")
    strengths = PerturbationSettings(corruptions=(noise(0.3, strength=0.5), noise(0.5, strength=3.0)))
    assert strengths.problems() == [
        "corruptions: noise in text must be of one strength, is of 0.5 and 3; test each by itself"
    ]
    order = PerturbationSettings(corruptions=(noise(0.3, ("text", "audio")), noise(0.3, ("audio", "text"))))
    assert len(order.problems()) == 1


def test_different_damages_are_allowed() -> None:
    lost = Corruption(damage="missing", modalities=("text",), share=0.3, strength=2.0)
    several = (lost, noise(0.3, seed=1), noise(0.5, seed=2), noise(0.3, ("audio",), strength=3.0))
    assert PerturbationSettings(corruptions=several).problems() == []
