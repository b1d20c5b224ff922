"""Where the tests find real dialogues, which are not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

from tests.requirements import lacking

TABLES = {"meld": "train.csv", "iemocap": "utterances.csv", "emorynlp": "utterances.csv"}
"""Data set -> a table that its folder must hold."""


def real_data(dataset: str) -> Path:
    """Return the folder of a data set: that of its variable, else one beside the checkout.

    Skips the test where the folder has no table; in CI that is a failure.
    """
    variable, table = f"DCLF_{dataset.upper()}_DIR", TABLES[dataset]
    folder = Path(os.environ.get(variable, Path(__file__).parents[2] / "shared" / "data" / dataset))
    if not (folder / table).exists():
        lacking(f"{folder} holds no {table}: set {variable} to the folder with {dataset}'s tables")
    return folder
