"""The trainings in MLflow, newest first: what ``dclf runs`` does, for notebooks too.

>>> from tune.run_lists import list_runs
>>> list_runs(study="gammas", sort="val_wf1", limit=5)  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from dclf.prose import suggestion
from tune.analysis.run_columns import DEFAULT, Column, name_problems, select_columns, sort_runs
from tune.analysis.table import ShownAsTable, Table
from tune.config.defaults import RUNS_LISTED
from tune.config.yaml_files import ConfigError
from tune.tracking.address import resolve_tracking_uri, sqlite_path
from tune.tracking.children import STUDY_TAG, tagged
from tune.tracking.manners import mlflow_settings
from tune.tracking.redact import without_secrets
from tune.tracking.run_entries import AT_A_TIME, STATUSES, RunEntry, trainings

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, repr=False)
class RunList(ShownAsTable):
    """Runs and what is shown of them.

    Attributes:
        tracking_uri: the store, without secrets.
        runs: in their order, with all parameters, metrics and tags.
        columns: what is shown.
    """

    tracking_uri: str
    runs: tuple[RunEntry, ...]
    columns: tuple[Column, ...]

    def summary(self) -> Table:
        """A row per run; text stands before numbers."""
        columns = sorted(self.columns, key=lambda one: one.numeric)
        rows = tuple(tuple(one.cell(run) for one in columns) for run in self.runs)
        texts = sum(not one.numeric for one in columns)
        head = tuple(one.name for one in columns)
        return Table(title=f"runs in {self.tracking_uri}", head=head, rows=rows, numeric=texts)

    def frame(self) -> pd.DataFrame:
        """A row per run: scores in [0, 1], times in seconds."""
        import pandas as pd  # noqa: PLC0415 - slow to import

        return pd.DataFrame({one.name: [one.value(run) for run in self.runs] for one in self.columns})


@mlflow_settings()
def list_runs(
    *,
    study: str = "",
    status: str = "",
    model: str = "",
    where: str = "",
    columns: Sequence[str] = (),
    sort: str = "",
    limit: int = RUNS_LISTED,
    uri: str = "",
) -> RunList:
    """List trainings, also those of studies, newest first.

    Args:
        study: those of this study alone.
        status: running, finished, pruned, failed or killed.
        model: those of this base model alone.
        where: those that MLflow's filter language describes.
        columns: what is shown, as for ``dclf runs --columns``; as there where empty.
        sort: a column: numbers from the largest on, text by the alphabet.
        limit: how many; 0 for all.
        uri: MLflow tracking URI; as ``track.uri`` where empty.

    Raises:
        ConfigError: something is impossible: with every mistake at once.
        TrackingError: the store does not answer.
    """
    sorting = [sort] if sort else []
    problems = list_problems(study, status, model, limit) + name_problems({"columns": columns, "sort": sorting})
    if problems:
        raise ConfigError(problems)
    store = resolve_tracking_uri(uri)
    runs = read_runs(store, status, conditions(study, status, model, where), None if sort or not limit else limit)
    shown = select_columns({"columns": columns or DEFAULT, "sort": sorting}, datetime.now(UTC), runs)
    if sort:
        runs = sort_runs(runs, shown.pop())
    return RunList(tracking_uri=without_secrets(store), runs=tuple(runs[: limit or None]), columns=tuple(shown))


def list_problems(study: str, status: str, model: str, limit: int, prefix: str = "") -> list[str]:
    """What is wrong with a question, whatever MLflow has.

    Args:
        study: as for ``list_runs``, and so are the others.
        status: likewise.
        model: likewise.
        limit: likewise.
        prefix: stands before the names.
    """
    problems = []
    if status and status.lower() not in STATUSES:
        hint = suggestion(status.lower(), STATUSES)
        problems.append(f"{prefix}status: must be one of {', '.join(STATUSES)}, is {status!r}{hint}")
    if limit < 0:
        problems.append(f"{prefix}limit: must be 0, for all, or more, is {limit}")
    given = {"study": study, "model": model}
    problems += [
        f"{prefix}{name}: must have no quotes, is {value!r}"
        for name, value in given.items()
        if not {"'", '"', "`"}.isdisjoint(value)
    ]
    return problems


def conditions(study: str, status: str, model: str, where: str) -> str:
    """What MLflow itself can choose by; to it a pruned training is a finished one."""
    state = status.upper()
    parts = [
        tagged({STUDY_TAG: study}) if study else "",
        f"params.`model.name` = '{model}'" if model else "",
        f"attributes.status = '{'FINISHED' if state == 'PRUNED' else state}'" if state else "",
        where,
    ]
    return " AND ".join(part for part in parts if part)


def read_runs(uri: str, status: str, condition: str, most: int | None) -> list[RunEntry]:
    """The trainings that meet a condition, newest first; none where the store is a file that is not there yet.

    Args:
        uri: of the store.
        status: that they must have.
        condition: from ``conditions``.
        most: how many are read; all where None.
    """
    if is_new(uri):
        return []
    at_a_time = AT_A_TIME if most is None else min(AT_A_TIME, 2 * most)
    matching = (run for run in trainings(uri, condition, at_a_time) if status.lower() in ("", run.status))
    return list(islice(matching, most))


def is_new(uri: str) -> bool:
    """Whether the store is a file that is not there yet, which MLflow would make."""
    path = sqlite_path(uri)
    return path is not None and not path.is_file()
