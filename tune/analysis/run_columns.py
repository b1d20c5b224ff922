"""The columns of a list of runs: those with a name of their own, and any parameter, metric or tag."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dclf.prose import local_minute, suggestion
from tune.config.defaults import ID_SHOWN
from tune.config.durations import duration
from tune.config.yaml_files import ConfigError
from tune.progress.texts import percent
from tune.study.scores import value_text
from tune.tracking.children import KIND_TAG
from tune.tracking.run_entries import RunEntry

DEFAULT = (
    "run", "name", "kind", "study", "status", "model", "data", "val_wf1", "test_wf1", "epochs", "age", "duration",
)  # fmt: skip
PREFIXES = ("params", "metrics", "tags")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column.

    Attributes:
        name: its head.
        value: what a run has there, as JSON and CSV show it: scores in [0, 1], times in seconds; None for nothing.
        text: a value as a table shows it.
        numeric: whether values stand to the right, and are sorted from the largest on.
    """

    name: str
    value: Callable[[RunEntry], Any]
    text: Callable[[Any], str] = str
    numeric: bool = False

    def cell(self, run: RunEntry) -> str:
        """The run's value as a table shows it; a dash for none."""
        value = self.value(run)
        return "–" if value in (None, "") else self.text(value)


def columns(now: datetime) -> dict[str, Column]:
    """Name -> column, of those with a name of their own.

    Args:
        now: from which ages are counted, and durations of what is still going on.
    """
    every = (
        Column(name="run", value=lambda run: run.run_id, text=lambda run_id: str(run_id)[:ID_SHOWN]),
        Column(name="name", value=lambda run: run.name),
        Column(name="kind", value=lambda run: run.tags.get(KIND_TAG, "run")),
        Column(name="study", value=lambda run: run.study or None),
        Column(name="trial", value=lambda run: run.trial, numeric=True),
        Column(name="seed", value=lambda run: run.seed, numeric=True),
        Column(name="status", value=lambda run: run.status),
        Column(name="model", value=lambda run: run.params.get("model.name")),
        Column(name="ablate", value=lambda run: run.params.get("loss.ablate")),
        Column(name="data", value=_data),
        Column(name="val_wf1", value=val_wf1, text=percent, numeric=True),
        Column(name="test_wf1", value=lambda run: score(run, "test/wf1"), text=percent, numeric=True),
        Column(name="test_wa", value=lambda run: score(run, "test/wa"), text=percent, numeric=True),
        Column(name="epochs", value=lambda run: _whole(score(run, "epoch")), numeric=True),
        Column(name="best_epoch", value=lambda run: _whole(score(run, "best/epoch")), numeric=True),
        Column(name="started", value=lambda run: run.started.isoformat(timespec="seconds"), text=_minute, numeric=True),
        Column(name="age", value=lambda run: (now - run.started).total_seconds(), text=age_text, numeric=True),
        Column(name="duration", value=lambda run: _seconds(run, now), text=duration, numeric=True),
    )
    return {column.name: column for column in every}


def val_wf1(run: RunEntry) -> float | None:
    """The best validation WF1, in [0, 1]; for a study's training of earlier versions what it was ranked by."""
    best = score(run, "best/val_wf1")
    return score(run, "objective/wf1") if best is None else best


def score(run: RunEntry, name: str) -> float | None:
    """A metric's last value; None where there is none, or no finite number."""
    value = run.metrics.get(name, math.nan)
    return value if math.isfinite(value) else None


def name_problems(names: Mapping[str, Sequence[str]]) -> list[str]:
    """What is wrong with names of columns whatever runs there are: words that can be no key either.

    Args:
        names: option -> the names given with it.
    """
    by_name = columns(datetime.now(UTC))
    return [
        f"{option}: {_unknown(name, by_name)}"
        for option, values in names.items()
        for name in values
        if name not in by_name and "." not in name and "/" not in name
    ]


def select_columns(names: Mapping[str, Sequence[str]], now: datetime, runs: Sequence[RunEntry]) -> list[Column]:
    """The columns of these names.

    Args:
        names: option -> names of columns, or ``params.KEY``, ``metrics.KEY`` and ``tags.KEY``.
        now: as for ``columns``.
        runs: those that are listed, one of which must have the key; anything goes where there are none.

    Raises:
        ConfigError: lists those that are none.
    """
    by_name = columns(now)
    keys = {prefix: {key for run in runs for key in getattr(run, prefix)} for prefix in PREFIXES}
    selection, problems = [], []
    for option, name in [(option, name) for option, values in names.items() for name in values]:
        prefix, _, key = name.partition(".")
        if name in by_name:
            selection.append(by_name[name])
        elif prefix in PREFIXES and (key in keys[prefix] or not runs):
            selection.append(_carried(name, prefix, key))
        else:
            problems.append(f"{option}: {_unknown(name, by_name, keys)}")
    if problems:
        raise ConfigError(problems)
    return selection


def sort_runs(runs: Iterable[RunEntry], column: Column, *, reverse: bool = False) -> list[RunEntry]:
    """Runs by a column: numbers and times from the largest on, text by the alphabet; those without a value come last.

    Args:
        runs: in the order that they keep where values are equal.
        column: to sort by.
        reverse: the other way round, but for those without a value.
    """
    values = [(column.value(run), run) for run in runs]
    there = [(value, run) for value, run in values if value not in (None, "")]
    if all(isinstance(value, int | float) for value, _ in there) or column.numeric:
        there.sort(key=lambda pair: pair[0], reverse=not reverse)
    else:
        there.sort(key=lambda pair: str(pair[0]), reverse=reverse)
    return [run for _, run in there] + [run for value, run in values if value in (None, "")]


def age_text(seconds: float) -> str:
    """``12 s``, ``3 min``, ``5 h`` or ``12 d``."""
    for unit, size, most in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 48 * 3600)):
        if seconds < most:
            return f"{max(seconds, 0) / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def typed(text: str) -> Any:
    """A parameter as the configuration had it: MLflow keeps text."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text


def _refuse(constant: str) -> None:
    """NaN and Infinity are no JSON, which Python reads all the same."""
    raise ValueError(constant)


def _unknown(name: str, by_name: Mapping[str, Column], keys: Mapping[str, set[str]] | None = None) -> str:
    """Return the problem with a name that is no column, and the one that may be meant."""
    own = {f"{prefix}.{key}": key for prefix, some in (keys or {}).items() for key in sorted(some)}
    bare = [column for column, key in own.items() if key == name]
    hint = f"; did you mean {bare[0]}?" if bare else suggestion(name, [*by_name, *own])
    if name.partition(".")[0] in PREFIXES:
        return f"{name}: must be in one of the runs, is in none{hint}"
    return f"{name}: must be one of {', '.join(by_name)}, params.KEY, metrics.KEY, tags.KEY{hint}"


def _carried(name: str, prefix: str, key: str) -> Column:
    if prefix == "metrics":
        return Column(name=name, value=lambda run: score(run, key), text=lambda value: f"{value:.4g}", numeric=True)
    if prefix == "tags":
        return Column(name=name, value=lambda run: run.tags.get(key))
    return Column(name=name, value=lambda run: typed(run.params[key]) if key in run.params else None, text=value_text)


def _data(run: RunEntry) -> str | None:
    """The last part of the shards' place."""
    return run.params.get("data.shards", "").rstrip("/").rpartition("/")[2] or None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _seconds(run: RunEntry, now: datetime) -> float:
    # What was taken over from another study has ended before its run began.
    return max(0.0, ((run.ended or now) - run.started).total_seconds())


def _minute(started: str) -> str:
    return local_minute(datetime.fromisoformat(started))
