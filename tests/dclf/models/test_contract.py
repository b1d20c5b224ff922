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


class TestDAGERC(BaseModelContract):
    name = "dag_erc"
    options = SMALL["dag_erc"]


class TestMMDFN(BaseModelContract):
    name = "mm_dfn"
    options = SMALL["mm_dfn"]


class TestGraphCFC(BaseModelContract):
    name = "graphcfc"
    options = SMALL["graphcfc"]


class TestGraphMFT(BaseModelContract):
    name = "graphmft"
    options = SMALL["graphmft"]


class TestSDT(BaseModelContract):
    name = "sdt"
    options = SMALL["sdt"]


class TestM3Net(BaseModelContract):
    name = "m3net"
    options = SMALL["m3net"]


class TestDialogueGCN(BaseModelContract):
    name = "dialogue_gcn"
    options = SMALL["dialogue_gcn"]


class TestCFNESA(BaseModelContract):
    name = "cfn_esa"
    options = SMALL["cfn_esa"]


class TestGraphSmile(BaseModelContract):
    name = "graphsmile"
    options = SMALL["graphsmile"]


CONTRACTS: tuple[type[BaseModelContract], ...] = (
    TestMMGCN,
    TestDDIN,
    TestDialogueRNN,
    TestAGHMN,
    TestDAGERC,
    TestMMDFN,
    TestGraphCFC,
    TestGraphMFT,
    TestSDT,
    TestM3Net,
    TestDialogueGCN,
    TestCFNESA,
    TestGraphSmile,
)


def test_every_model_that_ships_is_covered() -> None:
    assert {contract.name for contract in CONTRACTS} == {*BASE_MODELS.shipped}


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("value", [0, -1])
def test_impossible_sizes_are_named(contract: type[BaseModelContract], value: int) -> None:
    for option in contract.options:
        with pytest.raises(ValueError, match=option):
            base_model_class(contract.name).Config(**{option: value})
