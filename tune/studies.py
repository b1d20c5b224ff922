"""Studies on disk, for notebooks: what came of a sweep or a comparison, whoever ran it.

>>> from tune.studies import open_study
>>> study = open_study("gammas", storage="/shared/studies")  # doctest: +SKIP
>>> study.best_config.loss.gamma_ca, study.trials.head()  # doctest: +SKIP
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dclf.config import Config
from tune.analysis.comparison.study import study_tables
from tune.analysis.table import ShownAsTable, Table
from tune.config.sweep_settings import SweepSettings
from tune.report.tables import top_table
from tune.study.best import best_config
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.parent import noted_store, parent_id
from tune.study.progress import progress_of
from tune.study.ranking import best_trial

if TYPE_CHECKING:
    import pandas as pd

    from tune.report.gallery import Gallery

MOST_SHOWN = 5
"""Trials in the table that stands for a study."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Study(ShownAsTable):
    """What came of a sweep.

    Attributes:
        folder: its definition and ledger.
        run_id: MLflow's id of the parent run; empty before the first.
        tracking_uri: the store, without secrets.
        report: the HTML report; None while the study is unfinished.
    """

    folder: StudyFolder
    run_id: str
    tracking_uri: str
    report: Path | None

    @property
    def name(self) -> str:
        """The study's name."""
        return self.folder.definition.name

    @property
    def best(self) -> TrialRecord | None:
        """The winner: the best complete trial, with several objectives one of the front; None where there is none."""
        return best_trial(self.folder)

    @property
    def best_config(self) -> Config:
        """The base configuration with the best trial's values.

        Raises:
            StudyError: no trial is complete.
        """
        return best_config(self.folder)

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial."""
        from tune.study.trial_table import trials_frame  # noqa: PLC0415 - pandas is slow to import

        return trials_frame(self.folder)

    def figures(self) -> Gallery:
        """The report's figures by name; in a notebook they show themselves, all of them or one by its name."""
        # Imported here: matplotlib is slow to import.
        from tune.report.drawings import study_drawings  # noqa: PLC0415
        from tune.report.gallery import Gallery  # noqa: PLC0415
        from tune.runner.optuna_study import load_study  # noqa: PLC0415

        return Gallery.of(study_drawings(self.folder, load_study(self.folder)))

    def summary(self) -> Table:
        """A comparison's first table; of a search the best trials."""
        progress = progress_of(self.folder)
        counts = ", ".join(f"{count} {state}" for state, count in progress.counts.items() if count)
        title = f"study {self.name}, {progress.standing}: {counts or 'no trials'}"
        compared = next(iter(study_tables(self.folder).values()), None)
        if compared is not None:
            return replace(compared, title=f"{title}; {compared.title}")
        return top_table(self.folder, title, MOST_SHOWN)


def open_study(name: str, *, storage: str | Path = SweepSettings.storage) -> Study:
    """The study of this name, as far as it is; it may be running.

    Args:
        name: of the study.
        storage: folder of studies, or a URI of one.

    Raises:
        StudyError: there is no such study.
    """
    folder = StudyFolder.open(str(storage), name)
    report = folder.path / "report" / "report.html"
    return Study(
        folder=folder,
        run_id=parent_id(folder) or "",
        tracking_uri=noted_store(folder),
        report=report if report.exists() else None,
    )
