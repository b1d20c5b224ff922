"""Every importer that ships keeps the contract; what is none is refused before anything is read."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from dclf.data import IMPORTERS
from dclf.data.importers import import_dataset, importer_named
from dclf.extensions import ExtensionError
from dclf.testing import ImporterContract
from tests.dclf.data.feature_files import (
    CSV_COLUMNS,
    LAYOUTS,
    iemocap,
    save,
    write_csv,
    write_dag_erc,
    write_huggingface,
    write_mosei,
)
from tests.dclf.data.test_meld_tables import write_tables
from tests.dclf.data.test_mmgcn_variants import iemocap_content, meld_content, pickle_of


class TestFeatures(ImporterContract):
    name = "features"
    options: ClassVar = {"text_layers": "mean", "seed": 3}

    def source(self, folder: Path) -> Path:
        layout = LAYOUTS["CFN-ESA, GraphSmile, MELD"]
        return save(folder / "meld.pkl", layout.content(layout.talks))


class TestMOSEI(ImporterContract):
    name = "mosei"
    options: ClassVar = {"bins": "2"}

    def source(self, folder: Path) -> Path:
        return write_mosei(folder)


class TestDAGERC(ImporterContract):
    name = "dag-erc"
    options: ClassVar = {"dataset": "own"}

    def source(self, folder: Path) -> Path:
        return write_dag_erc(folder, iemocap(), several=True)


class TestCSV(ImporterContract):
    name = "csv"
    options: ClassVar = {"columns": CSV_COLUMNS, "text": "rows.npy"}

    def source(self, folder: Path) -> Path:
        return write_csv(folder, iemocap())


class TestHuggingFace(ImporterContract):
    name = "huggingface"

    def source(self, folder: Path) -> Path:
        return write_huggingface(folder)


class TestIEMOCAP(ImporterContract):
    name = "mmgcn-iemocap"
    options: ClassVar = {"val_dialogues": 2}

    def source(self, folder: Path) -> Path:
        return pickle_of(folder, tuple(iemocap_content()))


class TestMELD(ImporterContract):
    name = "mmgcn-meld"
    options: ClassVar = {"val_dialogues": 2, "seed": 1}

    def source(self, folder: Path) -> Path:
        return pickle_of(folder, tuple(meld_content(range(6), range(6, 9), dev_utterances=114)))


class TestMELDTables(ImporterContract):
    name = "meld-csv"
    options: ClassVar = {"text": "{split}_rows.npy", "audio": "timing"}

    def source(self, folder: Path) -> Path:
        write_tables(folder)
        return folder


CONTRACTS: tuple[type[ImporterContract], ...] = (
    TestFeatures, TestMOSEI, TestDAGERC, TestCSV, TestHuggingFace, TestIEMOCAP, TestMELD, TestMELDTables,
)  # fmt: skip


def test_every_importer_that_ships_is_covered() -> None:
    assert {contract.name for contract in CONTRACTS} == {*IMPORTERS.shipped}


def without_source() -> None: ...
def without_default(source: str, rate: float) -> None: ...
def with_a_taken_name(source: str, overwrite: bool = False) -> None: ...
def with_any_options(source: str, **options: float) -> None: ...
def returning_nothing(source: str) -> None: ...


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("without_source", r"is one of \(\)"),
        ("without_default", "is one with rate: 'float'"),
        ("with_a_taken_name", "none of them named out, overwrite"),
        ("with_any_options", r"is one with \*\*options"),
        ("CONTRACTS", "must be a function of a source, and of options with defaults"),
    ],
)
def test_what_is_no_importer_is_refused(name: str, words: str) -> None:
    with pytest.raises(ExtensionError, match=words):
        importer_named(f"{__name__}:{name}")


def test_an_importer_that_returns_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExtensionError, match="returns a DatasetInfo and an iterator of Dialogue, is one of NoneType"):
        import_dataset(f"{__name__}:returning_nothing", "x", tmp_path / "out")
