"""Every base model that ships keeps the contract; one that is not covered fails."""

from __future__ import annotations

import pytest

from dclf.models import BASE_MODELS
from dclf.models.contract import base_model_class
from dclf.testing import BaseModelContract
from tests.dclf.models.small import SMALL

# Histories of several modalities are weighed by this score; one alone has weight 1 whatever it is.
SCORES = frozenset({"cells.0.score", "cells.1.score"})


class TestMMGCN(BaseModelContract):
    name = "mmgcn"
    options = SMALL["mmgcn"]


class TestDDIN(BaseModelContract):
    name = "ddin"
    options = SMALL["ddin"]
    idle = SCORES


class TestDialogueRNN(BaseModelContract):
    name = "dialogue_rnn"
    options = SMALL["dialogue_rnn"]


class TestAGHMN(BaseModelContract):
    name = "aghmn"
    options = SMALL["aghmn"]


class TestGraphCFC(BaseModelContract):
    name = "graphcfc"
    options = SMALL["graphcfc"]


class TestGraphMFT(BaseModelContract):
    name = "graphmft"
    options = SMALL["graphmft"]


CONTRACTS: tuple[type[BaseModelContract], ...] = (
    TestMMGCN,
    TestDDIN,
    TestDialogueRNN,
    TestAGHMN,
    TestGraphCFC,
    TestGraphMFT,
)


def test_every_model_that_ships_is_covered() -> None:
    assert {contract.name for contract in CONTRACTS} == {*BASE_MODELS.shipped}


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("value", [0, -1])
def test_impossible_sizes_are_named(contract: type[BaseModelContract], value: int) -> None:
    for option in contract.options:
        with pytest.raises(ValueError, match=option):
            base_model_class(contract.name).Config(**{option: value})
