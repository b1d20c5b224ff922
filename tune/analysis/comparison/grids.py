"""Grids over the window and over both gammas, in the form of the paper's Table 5 and Figure 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tune.analysis.comparison.claims import other_data
from tune.analysis.comparison.paper import GAMMA_CA, GAMMA_MC, MODEL, WINDOW
from tune.analysis.comparison.tables import has_published, mean_text, published_text
from tune.analysis.comparison.variants import Variant, framework_name, variants_of
from tune.analysis.statistics import SAME
from tune.analysis.table import Table
from tune.config.yaml_files import plain
from tune.study.definition import StudyDefinition
from tune.study.folder import StudyFolder
from tune.study.ranking import configured
from tune.study.scores import value_text


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What one base model came to over some keys.

    Attributes:
        model: base model.
        keys: dotted keys that vary.
        cells: values of the keys, in their order -> variant.
        own: the configuration's values of the keys.
    """

    model: str
    keys: tuple[str, ...]
    cells: Mapping[tuple[Any, ...], Variant]
    own: tuple[Any, ...]

    def axis(self, place: int) -> list[Any]:
        """The values of one key, ascending."""
        return sorted({values[place] for values in self.cells})

    @property
    def part(self) -> str:
        """``loss.ablate`` of all cells."""
        return next(iter(self.cells.values())).part

    @property
    def name(self) -> str:
        """``mmgcn + DCLF``, ``mmgcn + DCLF w/o CACL`` or ``mmgcn``."""
        return framework_name(self.model, self.part)

    @property
    def best(self) -> list[tuple[Any, ...]]:
        """The values with the highest mean WF1 on test, several where they are equal."""
        means = {values: one.mean("wf1") for values, one in self.cells.items()}
        highest = max(means.values())
        return [values for values, mean in means.items() if mean >= highest - SAME]


def grids_over(folder: StudyFolder, keys: tuple[str, ...]) -> list[Grid]:
    """One grid per base model; empty unless just these keys vary, each with two values or more.

    Args:
        folder: the study.
        keys: dotted keys of numbers.
    """
    variants = variants_of(folder)
    if _varied(variants) != set(keys):
        return []
    return [_grid(folder.definition, variants, model, keys) for model in dict.fromkeys(one.model for one in variants)]


def window_table(folder: StudyFolder) -> Table | None:
    """Table 5: a column per window; None where not just the window varies."""
    grids = grids_over(folder, (WINDOW,))
    if not grids:
        return None
    windows = sorted({value for grid in grids for value in grid.axis(0)})
    papers = f"paper{other_data(folder.definition)}"
    rows = [row for grid in grids for row in _window_rows(grid, windows, papers)]
    title = f"Test WF1 (%) of study {folder.definition.name} by dialogue window W"
    head = ("model", "source", *(f"W {value_text(window)}" for window in windows))
    return Table(title=title, head=head, rows=tuple(rows), numeric=2)


def gamma_table(folder: StudyFolder) -> Table | None:
    """Figure 4 in numbers: a row per base model and gamma_ca, a column per gamma_mc; None for other studies."""
    grids = grids_over(folder, (GAMMA_CA, GAMMA_MC))
    if not grids:
        return None
    columns = sorted({value for grid in grids for value in grid.axis(1)})
    rows = [
        (grid.model, value_text(row), *(_cell(grid, (row, column)) for column in columns))
        for grid in grids
        for row in grid.axis(0)
    ]
    title = f"Test WF1 (%) of study {folder.definition.name} by gamma_ca and gamma_mc"
    head = ("model", "gamma_ca", *(f"gamma_mc {value_text(column)}" for column in columns))
    return Table(title=title, head=head, rows=tuple(rows), numeric=2)


def _window_rows(grid: Grid, windows: Sequence[Any], papers: str) -> list[tuple[str, ...]]:
    rows = [(grid.model, "measured", *(_cell(grid, (window,)) for window in windows))]
    if any(has_published(variant, ["wf1"]) for variant in grid.cells.values()):
        variants = (grid.cells.get((window,)) for window in windows)
        rows.append(("", papers, *("–" if one is None else published_text(one, "wf1") for one in variants)))
    return rows


def _cell(grid: Grid, values: tuple[Any, ...]) -> str:
    return mean_text(grid.cells[values], "wf1") if values in grid.cells else "–"


def _varied(variants: Sequence[Variant]) -> set[str]:
    """The keys, but for the base model, that take several values for one base model."""
    values: dict[tuple[str, str], set[str]] = {}
    for variant in variants:
        for key, value in variant.params.items():
            values.setdefault((variant.model, key), set()).add(repr(plain(value)))
    return {key for (_, key), distinct in values.items() if key != MODEL and len(distinct) > 1}


def _grid(definition: StudyDefinition, variants: Sequence[Variant], model: str, keys: tuple[str, ...]) -> Grid:
    own_ones = [one for one in variants if one.model == model and set(keys) <= one.params.keys()]
    cells = {tuple(one.params[key] for key in keys): one for one in own_ones}
    own = tuple(configured(definition.config, key) for key in keys)
    return Grid(model=model, keys=keys, cells=cells, own=own)
