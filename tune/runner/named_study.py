"""A planned study under a name made of all that it trains, so that the same call finds it again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dclf.prose import quantity
from tune.analysis.table import ShownAsTable, Table
from tune.progress.texts import params_text
from tune.runner.variants import PlannedStudy
from tune.study.best import trial_config
from tune.study.folder import StudyFolder
from tune.study.places import study_exists
from tune.study.reuse import training_hash

_DIGITS = 8


@dataclass(frozen=True, kw_only=True, repr=False)
class NamedStudy(ShownAsTable):
    """A study that a call begins, or goes on with.

    Attributes:
        item: what it is among its kind, such as ``table4``.
        name: of the study, made of data set, item and a hash of all that it trains.
        planned: what it runs.
        trainings: hashes of its trainings.
        to_run: whether this call runs it, or only shows it where it is there.
    """

    item: str
    name: str
    planned: PlannedStudy
    trainings: frozenset[str]
    to_run: bool

    @classmethod
    def of(cls, dataset: str, item: str, planned: PlannedStudy, shards: str, *, to_run: bool = True) -> NamedStudy:
        """The study of a plan.

        Args:
            dataset: begins its name.
            item: follows.
            planned: what is trained.
            shards: hash of the shards.
            to_run: whether it is to be run.
        """
        trainings = frozenset(_trainings(planned))
        name = f"{dataset}-{item}-{digest([shards, *sorted(trainings)])}"
        return cls(item=item, name=name, planned=planned, trainings=trainings, to_run=to_run)

    def summary(self) -> Table:
        """Its variants."""
        points = self.planned.settings.start_points
        title = f"planned study {self.name}: {quantity(len(self.trainings), 'training')}"
        rows = tuple((str(place), params_text(point)) for place, point in enumerate(points))
        return Table(title=title, head=("variant", "values"), rows=rows, numeric=2)

    @property
    def storage(self) -> str:
        """Folder or URI of studies."""
        return self.planned.settings.storage

    def existing_folder(self) -> StudyFolder | None:
        """Return the folder of the study where an earlier call has begun it, else None."""
        return StudyFolder.open(self.storage, self.name) if study_exists(self.storage, self.name) else None


def digest(parts: Sequence[str]) -> str:
    """The hexadecimal digits that end the names."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_DIGITS]


def _trainings(planned: PlannedStudy) -> Iterator[str]:
    first, settings = planned.config.train.seed, planned.settings
    sections = planned.config.to_dict()
    for point in settings.start_points:
        for seed in range(first, first + settings.seeds):
            config = trial_config(sections, {**point, "train.seed": seed})
            yield training_hash(config, settings.workers_per_trial)
