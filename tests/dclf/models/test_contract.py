"""Every base model that ships keeps the contract; one that is not covered fails."""

from __future__ import annotations

from typing import ClassVar

import pytest

from dclf.models import BASE_MODELS
from dclf.models.contract import base_model_class
from dclf.testing import BaseModelContract

RECURRENT = {"encoder_width": 6, "history_width": 8, "party_width": 7, "emotion_width": 5}
# Histories of several modalities are weighed by this score; one alone has weight 1 whatever it is.
SCORES = frozenset({"cells.0.score", "cells.1.score"})


class TestMMGCN(BaseModelContract):
    name = "mmgcn"
    options: ClassVar = {"hidden": 6, "node_width": 8, "layers": 3}


class TestDDIN(BaseModelContract):
    name = "ddin"
    options = RECURRENT
    idle = SCORES


class TestDialogueRNN(BaseModelContract):
    name = "dialogue_rnn"
    options = RECURRENT


class TestAGHMN(BaseModelContract):
    name = "aghmn"
    options: ClassVar = {"encoder_width": 6, "width": 5, "window": 3}


CONTRACTS: tuple[type[BaseModelContract], ...] = (TestMMGCN, TestDDIN, TestDialogueRNN, TestAGHMN)


def test_every_model_that_ships_is_covered() -> None:
    assert {contract.name for contract in CONTRACTS} == {*BASE_MODELS.shipped}


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("value", [0, -1])
def test_impossible_sizes_are_named(contract: type[BaseModelContract], value: int) -> None:
    for option in contract.options:
        with pytest.raises(ValueError, match=option):
            base_model_class(contract.name).Config(**{option: value})
