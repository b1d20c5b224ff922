"""What all peers of a sweep share: their command line, and what a trial trains."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dclf.config import Config
from dclf.data import read_shards
from dclf.training.local import LocalSource
from dclf.training.loop import train
from dclf.training.reports import EpochReport
from dclf.training.source import Reporter
from tune.config.overrides import apply
from tune.config.settings import load_config


def parse_arguments(description: str | None) -> argparse.Namespace:
    """Return ``shards`` and ``out`` as absolute paths, ``trials``, ``epochs`` and ``concurrency``."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=_absolute, help="folder of shards, as `dclf data generate` writes it")
    parser.add_argument("out", type=_absolute, help="folder for the study and for mlflow.db")
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--concurrency", type=int, default=2, help="trials at a time")
    arguments = parser.parse_args()
    Path(arguments.out).mkdir(parents=True, exist_ok=True)
    return arguments


def _absolute(folder: str) -> str:
    # Ray's workers have a working folder of their own.
    return str(Path(folder).resolve())


def train_model(shards: str, epochs: int, params: Mapping[str, Any], reporter: Reporter | None = None) -> None:
    """Train the model of the preset ``iemocap`` on one thread, to its last epoch.

    Args:
        shards: their folder.
        epochs: how many.
        params: dotted keys of the configuration and their values.
        reporter: hears of every epoch.
    """
    torch.set_num_threads(1)
    config = configuration(shards, epochs, params)
    data = read_shards(shards)
    train(config, LocalSource(data, config.data.modalities), data, reporter=reporter, score=())


def configuration(shards: str, epochs: int, params: Mapping[str, Any]) -> Config:
    """Return the preset with a trial's values; nothing ends it early."""
    preset = load_config("iemocap", {"data.shards": shards})
    return apply(replace(preset, train=replace(preset.train, epochs=epochs, patience=0)), params)


def metrics(report: EpochReport) -> dict[str, float]:
    """Return what is told of an epoch."""
    losses = {f"loss_{name}": value for name, value in report.losses.items()}
    return {**losses, **{f"val_{name}": value for name, value in report.validation.items()}}
