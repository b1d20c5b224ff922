"""Columns of a list of runs: what counts as a value."""

import json
import time
from datetime import UTC, datetime
from math import inf, nan

import pytest

from tune.analysis.run_columns import Column, select_columns, sort_runs, typed
from tune.tracking.run_entries import RunEntry

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SPREAD = "perturb/eics/wf1_std"


def entry(name: str, **metrics: float) -> RunEntry:
    return RunEntry(
        run_id=name, name=name, status="finished", started=NOW, ended=NOW, params={}, metrics=metrics, tags={}
    )


@pytest.fixture
def runs() -> list[RunEntry]:
    """One test of several draws, one of a single draw, whose deviation is no number, and none."""
    some = {"low": {SPREAD: 0.1}, "single": {SPREAD: nan}, "high": {SPREAD: 0.3}, "none": {}, "mid": {SPREAD: 0.2}}
    return [entry(name, **metrics) for name, metrics in some.items()]


def spread(runs: list[RunEntry]) -> Column:
    (column,) = select_columns({"--columns": [f"metrics.{SPREAD}"]}, NOW, runs)
    return column


@pytest.mark.parametrize("reverse", [False, True])
def test_a_metric_that_is_no_number_is_sorted_last(runs: list[RunEntry], reverse: bool) -> None:
    names = [run.name for run in sort_runs(runs, spread(runs), reverse=reverse)]
    assert names == [*(["low", "mid", "high"] if reverse else ["high", "mid", "low"]), "single", "none"]


def test_it_is_shown_and_written_as_none(runs: list[RunEntry]) -> None:
    column = spread(runs)
    assert [column.cell(run) for run in runs] == ["0.1", "–", "0.3", "–", "0.2"]
    assert json.dumps([column.value(run) for run in runs]) == "[0.1, null, 0.3, null, 0.2]"
    assert column.value(entry("endless", **{SPREAD: inf})) is None


def test_parameters_are_never_what_json_cannot_say() -> None:
    assert [typed(text) for text in ("0.5", "NaN", "-Infinity", "[1, 2]", "mmgcn")] == [
        *(0.5, "NaN", "-Infinity", [1, 2], "mmgcn")
    ]


def test_when_a_run_started_is_shown_in_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC-9")
    time.tzset()
    try:
        run = entry("one")
        (started,) = select_columns({"--columns": ["started"]}, NOW, [run])
        assert started.cell(run) == "2026-01-02 09:00"
        assert started.value(run) == "2026-01-02T00:00:00+00:00"
    finally:
        monkeypatch.undo()
        time.tzset()
