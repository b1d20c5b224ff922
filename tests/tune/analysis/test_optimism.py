"""The optimism gap of a comparison, by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dclf.training.reports import EpochReport
from tests.tune.study.samples import BASE, add_trial
from tune.analysis.comparison.variants import variants_of
from tune.analysis.optimism import HEAD, optimism_of, optimism_table
from tune.comparisons import ablation
from tune.config.sweep_settings import SweepSettings
from tune.report.reproduction import write_reproduction
from tune.study.definition import StudyDefinition
from tune.study.folder import StudyFolder
from tune.study.history import write_history


def study(storage: Path, settings: SweepSettings) -> StudyFolder:
    base = replace(BASE, train=replace(BASE.train, protocol="paper"))
    definition = StudyDefinition(
        name="parts", kind="ablation", config=base.to_dict(), settings=settings.to_dict(), space=settings.space
    )
    return StudyFolder.create(storage, definition)


def history(scores: list[float]) -> list[EpochReport]:
    return [
        EpochReport(
            epoch=number,
            epochs=len(scores),
            losses={},
            validation={"wf1": 0.5},
            best_epoch=1,
            best_wf1=0.5,
            seconds=1.0,
            peeked={"wf1": wf1} if wf1 else {},
        )
        for number, wf1 in enumerate(scores, start=1)
    ]


def add(folder: StudyFolder, params: dict[str, Any], seeds: list[list[float]]) -> int:
    """A variant whose seeds saw these WF1 on test; the first epoch was the best on validation."""
    number = add_trial(folder, params, [[0.5]] * len(seeds)).number
    for seed, scores in enumerate(seeds):
        folder.ledger.test(number, seed, {"wf1": scores[0] or 0.5, "wa": 0.5})
        write_history(folder.checkpoint(number, seed), history(scores))
    return number


def test_sealed_peeked_and_gap_are_means_over_the_seeds(tmp_path: Path) -> None:
    folder = study(tmp_path, ablation(parts=["base"], seeds=2))
    add(folder, {"loss.ablate": "none"}, [[0.70, 0.72, 0.71], [0.60, 0.55, 0.64]])
    add(folder, {"loss.ablate": "base"}, [[0.50, 0.40, 0.30], [0.52, 0.51, 0.51]])
    table = optimism_table(folder)
    assert table is not None
    assert table.head == HEAD
    # Deviations: 0.70 and 0.60, 0.72 and 0.64, gaps of 2 and 4 points; 0.50 and 0.52, and no gap at all.
    assert table.rows == (
        ("mmgcn", "DCLF", "2", "65.00 ± 7.07", "68.00 ± 5.66", "+3.00 ± 1.41"),
        ("mmgcn", "base model", "2", "51.00 ± 1.41", "51.00 ± 1.41", "+0.00 ± 0.00"),
    )
    assert "parts" in table.title
    first = variants_of(folder)[0]
    assert {seed: one.epoch for seed, one in optimism_of(folder, first).items()} == {0: 2, 1: 3}


@pytest.mark.parametrize("layout", ["main", "variants", "window", "gammas"])
def test_the_page_of_several_studies_has_it(tmp_path: Path, layout: str) -> None:
    folder = study(tmp_path / "studies", ablation(parts=["base"], seeds=1))
    add(folder, {"loss.ablate": "none"}, [[0.70, 0.72]])
    folder.definition = replace(folder.definition, plan={"paper": "Table 4", "layout": layout})
    files = write_reproduction([folder], {}, tmp_path / "page", "Measured")
    rows = files.tables["table-4-optimism.csv"].read_text(encoding="utf-8").splitlines()
    assert rows[1:] == ["mmgcn,DCLF,1,70.00,72.00,+2.00"]
    assert "+2.00" in files.html.read_text(encoding="utf-8")


def test_only_seeds_that_looked_count(tmp_path: Path) -> None:
    folder = study(tmp_path, ablation(parts=["base"], seeds=2))
    add(folder, {"loss.ablate": "none"}, [[0.70, 0.72], [0.0, 0.0]])
    unread = add(folder, {"loss.ablate": "base"}, [[0.5, 0.6]])
    (folder.checkpoint(unread, 0) / "history.json").unlink()
    table = optimism_table(folder)
    assert table is not None
    assert table.rows == (("mmgcn", "DCLF", "1", "70.00", "72.00", "+2.00"),)


def test_a_sealed_comparison_and_a_search_have_no_gap(tmp_path: Path) -> None:
    sealed = study(tmp_path / "sealed", ablation(parts=["base"], seeds=1))
    add(sealed, {"loss.ablate": "none"}, [[0.0, 0.0]])
    assert optimism_table(sealed) is None
    search = study(tmp_path / "search", SweepSettings(space={"loss.ablate": {"choices": ["none", "base"]}}))
    add(search, {"loss.ablate": "none"}, [[0.7, 0.8]])
    assert optimism_table(search) is None
