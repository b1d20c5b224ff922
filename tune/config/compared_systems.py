"""The systems that the paper compares DCLF with in its Table 3: its numbers, and which base model here is which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import yaml


@dataclass(frozen=True, kw_only=True)
class ComparedSystem:
    """A row of Table 3.

    Attributes:
        name: as the paper has it.
        source: who published it.
        model: the base model that is this system; empty where it cannot be one.
        why: what is missing for that; empty where nothing is.
        iemocap: score -> the paper's value in percent.
        meld: likewise.
    """

    name: str
    source: str
    model: str = ""
    why: str = ""
    iemocap: Mapping[str, float] = field(default_factory=dict)
    meld: Mapping[str, float] = field(default_factory=dict)

    def published(self, dataset: str) -> Mapping[str, float]:
        """The paper's scores on ``iemocap`` or ``meld`` in percent; empty for any other data set."""
        return {"iemocap": self.iemocap, "meld": self.meld}.get(dataset, {})


@cache
def compared_systems() -> tuple[ComparedSystem, ...]:
    """The rows in the order of the table, without DDIN and MMGCN, which the paper trains itself."""
    text = files("tune").joinpath("config", "compared_systems.yaml").read_text(encoding="utf-8")
    return tuple(ComparedSystem(**row) for row in yaml.safe_load(text))
