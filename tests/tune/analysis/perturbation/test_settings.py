"""Impossible settings of a perturbation test are told, whatever a notebook gives."""

from typing import Any

from tune.analysis.perturbation.settings import PerturbationSettings


def test_values_of_another_kind_are_named_with_the_others() -> None:
    wrong: dict[str, Any] = {"kinds": "eccs", "draws": 2.5, "split": "train"}
    assert PerturbationSettings(**wrong).problems() == [
        "kinds: must be a list, is 'eccs'",
        "draws: must be a whole number, is 2.5",
        "split: must be one of val, test, is 'train'",
    ]
