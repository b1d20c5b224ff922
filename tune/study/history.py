"""The epochs of one training of a trial, kept beside its checkpoint, which may go before them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dclf.training import checkpoint
from dclf.training.reports import EpochReport
from tune.config.local_files import save_text

HISTORY_FILE = "history.json"


def write_history(folder: Path, history: Sequence[EpochReport]) -> None:
    """Keep the reports of all epochs beside the checkpoint, which may go before them."""
    save_text(folder / HISTORY_FILE, json.dumps([report.to_dict() for report in history]))


def read_history(folder: Path) -> list[EpochReport]:
    """What ``write_history`` kept; empty where nothing was."""
    try:
        text = (folder / HISTORY_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [EpochReport(**report) for report in json.loads(text)]


def saved_history(folder: Path) -> list[EpochReport]:
    """The epochs of a training that was cut short, from its history or its checkpoint."""
    history = read_history(folder)
    if history or not (folder / checkpoint.STATE_FILE).exists():
        return history
    return history_in(checkpoint.load(folder))


def history_in(state: Mapping[str, Any]) -> list[EpochReport]:
    """The finished epochs in a loaded checkpoint."""
    return [EpochReport(**report) for report in state["progress"]["history"]]
