"""What the paper's tables on a data set need: a study each, found again by what it trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dclf.data import feature_card
from dclf.data.storage import is_remote
from dclf.errors import require_names
from dclf.prose import quantity, suggestion
from tune.analysis.table import ShownAsTable, Table
from tune.config.settings import read_config
from tune.config.study_files import datasets, read_study_file, shipped_studies
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import ConfigError
from tune.runner.leaderboard_plan import plan_compared
from tune.runner.named_study import NamedStudy, digest
from tune.runner.variants import PlannedStudy, plan_study
from tune.study.reuse import FinishedTrainings

SHARED = {"table6": "table3", "table7": "table3", "figure3": "table3"}
"""Table or figure -> the study on whose models it is measured."""


@dataclass(frozen=True, kw_only=True, repr=False)
class ReproductionPlan(ShownAsTable):
    """What a reproduction runs.

    Attributes:
        dataset: ``iemocap`` or ``meld``.
        name: DATASET-HASH, of the names of the studies.
        title: of the page.
        studies: in the order of the paper.
        compared: of the systems that Table 3 compares with, as far as they are base models here.
        notes: what is not as in the paper, one sentence each.
        out: folder of the page.
        trainings: how many different ones the wanted studies need.
        finished: how many of those are there already.
    """

    dataset: str
    name: str
    title: str
    studies: tuple[NamedStudy, ...]
    compared: NamedStudy
    notes: tuple[str, ...]
    out: Path
    trainings: int
    finished: int

    def summary(self) -> Table:
        """Its studies; those that share trainings count them each."""
        rows = tuple(
            (study.item, study.name, "yes" if study.to_run else "no", str(len(study.trainings))) for study in self.every
        )
        title = f"{self.title}: {quantity(self.trainings, 'training')}, {self.finished} finished"
        return Table(title=title, head=("item", "study", "runs", "trainings"), rows=rows, numeric=3)

    @property
    def every(self) -> tuple[NamedStudy, ...]:
        """All studies that the page may have."""
        return (*self.studies, self.compared)


def items(dataset: str) -> tuple[str, ...]:
    """Tables and figures of a data set, as ``--only`` takes them."""
    own = [name.split("/")[1] for name in shipped_studies() if name.startswith(f"{dataset}/")]
    return tuple(sorted([*own, *(item for item, study in SHARED.items() if study in own)], key=_place))


def plan_reproduction(
    dataset: str,
    overrides: Mapping[str, Any],
    *,
    only: Sequence[str] = (),
    seeds: int | None = None,
    out: Path | str = "",
    compared: bool = False,
) -> ReproductionPlan:
    """Work out the studies of a data set's tables, checked.

    Modalities that the shards lack are left out, which the page says.

    Args:
        dataset: one of ``datasets``.
        overrides: dotted keys for all trainings, ``data.shards`` among them, and ``sweep.KEY``.
        only: tables and figures to run; all where empty. Others are on the page where an earlier call has run them.
        seeds: trainings per variant; five where None.
        out: folder of the page; ``reproductions/DATASET-HASH`` beside the folder of studies where empty.
        compared: whether the systems that Table 3 compares with are trained too, as far as they are base models here.

    Raises:
        ConfigError: with every unknown key, wrong type and impossible value.
        DataError: the shards cannot be read.
    """
    require_names(only=only)
    planned = planned_studies(dataset, overrides, only=only, seeds=seeds)
    present, notes = _with_present_modalities(dataset, overrides)
    if present != overrides:
        planned = planned_studies(dataset, present, only=only, seeds=seeds)
    targets = {SHARED.get(item, item) for item in only or items(dataset)}
    shards = feature_card(next(iter(planned.values())).config.data.shards).to_dict()["sha256"]
    studies = [NamedStudy.of(dataset, item, plan, shards, to_run=item in targets) for item, plan in planned.items()]
    others = plan_compared(dataset, present, seeds=seeds, to_run=compared)
    needed = frozenset[str]().union(*(study.trainings for study in [*studies, others] if study.to_run))
    finished = FinishedTrainings(studies[0].storage, shards, models=False)
    name = f"{dataset}-{digest([study.name for study in studies])}"
    return ReproductionPlan(
        dataset=dataset,
        name=name,
        title=f"The paper's tables on {dataset.upper()}, measured",
        studies=tuple(studies),
        compared=others,
        notes=tuple(notes),
        out=Path(out) if out else _beside(studies[0].storage) / "reproductions" / name,
        trainings=len(needed),
        finished=sum(finished.find(one) is not None for one in needed),
    )


def planned_studies(
    dataset: str, overrides: Mapping[str, Any], *, only: Sequence[str] = (), seeds: int | None = None
) -> dict[str, PlannedStudy]:
    """A study for each table and figure that has its own, checked without a look at the shards.

    Args:
        dataset: as for ``plan_reproduction``, and so are the others.
        overrides: likewise.
        only: likewise.
        seeds: likewise.

    Raises:
        ConfigError: with every unknown key, wrong type and impossible value.
    """
    if dataset not in datasets():
        names = datasets()
        raise ConfigError([f"dataset: must be {' or '.join(names)}, is {dataset!r}{suggestion(dataset, names)}"])
    own = [item for item in items(dataset) if item not in SHARED]
    planned = {item: plan_study(read_study_file(f"{dataset}/{item}"), overrides, seeds=seeds) for item in own}
    problems = [
        *_unknown(dataset, only, seeds),
        *(problem for plan in planned.values() for problem in plan.every_problem()),
    ]
    if problems:
        raise ConfigError(dict.fromkeys(problems))
    return planned


def _beside(storage: str) -> Path:
    """Where pages go: beside the folder of studies; beside the usual one for studies at a URI."""
    return Path(SweepSettings().storage if is_remote(storage) else storage).parent


def _with_present_modalities(dataset: str, overrides: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The modalities of the preset that the shards have, unless the user names some."""
    own = {key: value for key, value in overrides.items() if not key.startswith("sweep.")}
    config, problems, _ = read_config(dataset, own)
    if problems or "data.modalities" in overrides:
        return dict(overrides), []
    card = feature_card(config.data.shards).to_dict()
    modalities = config.data.modalities
    present = [modality for modality in modalities if modality in card["widths"]]
    if len(present) == len(modalities):
        return dict(overrides), []
    lacking = ", ".join(modality for modality in modalities if modality not in present)
    note = f"The shards have no {lacking}: all models read {' and '.join(present)} alone, where the paper's read all."
    return {**overrides, "data.modalities": present}, [note]


def _unknown(dataset: str, only: Sequence[str], seeds: int | None) -> Iterator[str]:
    names = items(dataset)
    for item in only:
        if item not in names:
            yield f"--only: must be among {', '.join(names)}, has {item!r}{suggestion(item, names)}"
    if seeds is not None and seeds < 1:
        yield f"--seeds: must be at least 1, is {seeds}"


def _place(item: str) -> tuple[bool, str]:
    """Tables before figures, each by number."""
    return item.startswith("figure"), item
