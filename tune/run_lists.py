"""The trainings in MLflow, newest first: what ``dclf runs`` shows, for notebooks too.

>>> from tune.run_lists import list_runs
>>> list_runs(study="gammas", sort="val_wf1", limit=5)  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from dclf.errors import require_names
from dclf.prose import suggestion
from tune.analysis.run_columns import DEFAULT, Column, name_problems, select_columns, sort_runs
from tune.analysis.table import ShownAsTable, Table
from tune.config.defaults import RUNS_LISTED
from tune.config.yaml_files import ConfigError
from tune.tracking.address import is_new, resolve_tracking_uri
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
        more: whether the store has more of them.
    """

    tracking_uri: str
    runs: tuple[RunEntry, ...]
    columns: tuple[Column, ...]
    more: bool = False

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


@dataclass(frozen=True, kw_only=True)
class RunQuery:
    """Which trainings are listed, and what is shown of them.

    Attributes:
        study: those of this study alone, and likewise with the others; empty for all.
        status: running, finished, pruned, failed, killed or scheduled.
        model: a base model.
        where: what MLflow's filter language describes.
        columns: what is shown; those of ``dclf runs`` where empty.
        sort: a column; the newest come first where empty.
        reverse: the other way round.
        limit: how many; 0 for all.
        prefix: stands before the names of these in messages.
    """

    study: str = ""
    status: str = ""
    model: str = ""
    where: str = ""
    columns: Sequence[str] = ()
    sort: str = ""
    reverse: bool = False
    limit: int = RUNS_LISTED
    prefix: str = ""

    def require_possible(self) -> None:
        """Raise ConfigError with every mistake that is one whatever MLflow has."""
        if problems := [*self._problems(), *name_problems(self._names)]:
            raise ConfigError(problems)

    def answer(self, store: str) -> RunList:
        """Read the runs from a store; ConfigError where a column is none of theirs."""
        runs = self._read(store)
        columns = select_columns(
            {**self._names, f"{self.prefix}columns": self.columns or DEFAULT}, datetime.now(UTC), runs
        )
        if self.sort:
            runs = sort_runs(runs, columns.pop(), reverse=self.reverse)
        elif self.reverse:
            runs.reverse()
        return RunList(
            tracking_uri=without_secrets(store),
            runs=tuple(runs[: self.limit or None]),
            columns=tuple(columns),
            more=0 < self.limit < len(runs),
        )

    @property
    def _names(self) -> dict[str, Sequence[str]]:
        return {f"{self.prefix}columns": self.columns, f"{self.prefix}sort": [self.sort] if self.sort else []}

    def _problems(self) -> Iterator[str]:
        if self.status and self.status.lower() not in STATUSES:
            hint = suggestion(self.status.lower(), STATUSES)
            yield f"{self.prefix}status: must be one of {', '.join(STATUSES)}, is {self.status!r}{hint}"
        if self.limit < 0:
            yield f"{self.prefix}limit: must be 0, for all, or more, is {self.limit}"
        for name, value in (("study", self.study), ("model", self.model)):
            if not {"'", '"', "`"}.isdisjoint(value):
                yield f"{self.prefix}{name}: must have no quotes, is {value!r}"

    def _read(self, store: str) -> list[RunEntry]:
        """Return all where they are sorted, as the best may be old, else one more than is shown."""
        if is_new(store):
            return []
        most = None if self.sort or self.reverse or not self.limit else self.limit + 1
        at_a_time = AT_A_TIME if most is None else min(AT_A_TIME, 2 * most)
        runs = trainings(store, self._condition, at_a_time)
        return list(islice((run for run in runs if self.status.lower() in ("", run.status)), most))

    @property
    def _condition(self) -> str:
        """What MLflow itself can choose by; to it a pruned training is a finished one."""
        state = self.status.upper()
        parts = [
            tagged({STUDY_TAG: self.study}) if self.study else "",
            f"params.`model.name` = '{self.model}'" if self.model else "",
            f"attributes.status = '{'FINISHED' if state == 'PRUNED' else state}'" if state else "",
            self.where,
        ]
        return " AND ".join(part for part in parts if part)


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
        status: running, finished, pruned, failed, killed or scheduled.
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
    require_names(columns=columns)
    query = RunQuery(study=study, status=status, model=model, where=where, columns=columns, sort=sort, limit=limit)
    query.require_possible()
    return query.answer(resolve_tracking_uri(uri))
