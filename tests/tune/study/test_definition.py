import pytest

from tune.study.definition import StudyDefinition, child_name
from tune.study.ledger import TrialRecord

PLANNED = ({"model": "mmgcn", "name": "w/o MCCL", "params": {"loss.ablate": "no_mccl", "data.modalities": ["text"]}},)
TRIAL = TrialRecord(number=12, params={"loss.ablate": "no_mccl", "data.modalities": ("text",)})


@pytest.mark.parametrize(
    ("seeds", "variants", "name"),
    [
        (1, (), "trial 12 of gammas"),
        (3, (), "trial 12, seed 5 of gammas"),
        (1, PLANNED, "mmgcn w/o MCCL of gammas"),
        (3, PLANNED, "mmgcn w/o MCCL, seed 5 of gammas"),
    ],
)
def test_the_name_of_a_run_begins_with_what_tells_it_from_others(
    seeds: int, variants: tuple[dict[str, object], ...], name: str
) -> None:
    definition = StudyDefinition(name="gammas", config={}, settings={"seeds": seeds}, variants=variants)
    assert child_name(definition, TRIAL, 5) == name
