"""The systems that the paper compares with: its rows, and what each is here."""

import pytest

from dclf.data.presets import IEMOCAP_CLASSES
from tune.config.compared_systems import compared_systems


def test_the_paper_compares_with_twelve() -> None:
    assert [system.name for system in compared_systems()] == [
        *("DSAGCN", "MM-DFN", "DIMMN", "SCMM", "HI-IMC", "GraphMFT"),
        *("GraphCFC", "SACCMA", "IMBA", "MultiDAG", "GCCL", "DER-GCN"),
    ]


def test_each_is_a_base_model_or_says_why_not() -> None:
    assert all(bool(system.model) != bool(system.why) for system in compared_systems())
    models = {system.model for system in compared_systems() if system.model}
    assert models == {"mm_dfn", "graphmft", "graphcfc", "dag_erc"}


@pytest.mark.parametrize("dataset", ["iemocap", "meld"])
def test_every_row_has_numbers_in_percent(dataset: str) -> None:
    for system in compared_systems():
        scores = system.published(dataset)
        assert 55 < scores["wf1"] < 70, system.name
        assert all(20 < value < 100 for value in scores.values()), system.name
    assert not compared_systems()[0].published("emorynlp")


def test_classes_are_those_of_the_data() -> None:
    for system in compared_systems():
        own = {name for name in system.iemocap if "/" in name}
        assert {name.partition("/")[2] for name in own} == {*IEMOCAP_CLASSES}
        # F1 without accuracy is what half of the rows have.
        assert len(own) in (6, 12)
