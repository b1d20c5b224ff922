"""What one does next: the last line of a command on stderr, with the command lines themselves."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection, Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from dclf.modalities import MODALITIES
from tune.config.defaults import ID_SHOWN

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from dclf.data import Manifest
    from tune.study.folder import StudyFolder

ID_LENGTH = 32
"""Digits of a run's id."""


def print_next(options: Namespace | Mapping[str, Any], *commands: str) -> None:
    """Print ``next: dclf show gammas · dclf report gammas`` on stderr, below what the command has printed.

    Nothing where the options ask for the result only, or for one that a program reads.

    Args:
        options: of the command that ends.
        commands: command lines, the likeliest first; those that are empty do not count.
    """
    steps = " · ".join(command for command in commands if command)
    terse = options.get("quiet") or options.get("log") in ("quiet", "jsonl") or options.get("output") in ("json", "csv")
    if steps and not terse:
        sys.stdout.flush()
        print(f"next: {steps}", file=sys.stderr, flush=True)


def run_line(verb: str, run: str = "", uri: str = "", more: str = "") -> str:
    """A command line about a run, or about all of them.

    Args:
        verb: the command, such as ``perturb``.
        run: its id, of which the first digits are enough, or its name; empty for none.
        uri: where the user has said that it is tracked; empty for the usual place.
        more: further options.
    """
    is_id = len(run) == ID_LENGTH and run.isalnum()
    word = shlex.quote(run[:ID_SHOWN] if is_id else run) if run else ""
    return " ".join(part for part in (f"dclf {verb}", word, more, uri) if part)


def study_line(verb: str, name: str, storage: str) -> str:
    """A command line about a study, without its folder where that is the usual one."""
    from tune.config.sweep_settings import SweepSettings  # noqa: PLC0415 - help does not wait for it

    place = "" if storage == SweepSettings().storage else f" --storage {shlex.quote(storage)}"
    return f"dclf {verb} {shlex.quote(name)}{place}"


def uri_option(uri: str) -> str:
    """The option that finds the runs; empty in the usual place."""
    return f"--uri {shlex.quote(uri)}" if uri else ""


def store_option(uri: str) -> str:
    """As ``uri_option``, without the store's password; empty where it is the usual store.

    Args:
        uri: what the configuration says.
    """
    from tune.tracking.address import resolve_tracking_uri  # noqa: PLC0415
    from tune.tracking.redact import without_secrets  # noqa: PLC0415

    own = resolve_tracking_uri(uri)
    return "" if own == resolve_tracking_uri() else uri_option(without_secrets(own))


def after_shards(out: str, manifest: Manifest) -> list[str]:
    """What one does with shards that are written: look at them, and train on them."""
    return [f"dclf data inspect {shlex.quote(out)}", training_line(out, manifest.info.dataset, manifest.info.widths)]


def training_line(shards: str, dataset: str, modalities: Collection[str]) -> str:
    """The command that trains on shards, by the preset of their data where there is one.

    Args:
        shards: their place.
        dataset: its name.
        modalities: that it has.
    """
    from tune.config.yaml_files import preset_names  # noqa: PLC0415

    preset = next((name for name in preset_names() if name in dataset.lower()), "")
    own = [modality for modality in MODALITIES if modality in modalities]
    some = "" if len(own) == len(MODALITIES) else f"--data.modalities {','.join(own)}"
    return " ".join(part for part in ("dclf train", preset, "--data.shards", shlex.quote(shards), some) if part)


def after_study(folder: StudyFolder, best: str = "") -> Iterator[str]:
    """Give what one does with a study that has ended.

    Args:
        folder: the study.
        best: file of its best configuration; empty where there is none.
    """
    from tune.analysis.comparison.variants import is_comparison  # noqa: PLC0415
    from tune.analysis.perturbation.files import load_study_perturbations  # noqa: PLC0415
    from tune.report.facts import study_command  # noqa: PLC0415

    if best:
        yield f"dclf train {shlex.quote(best)}"
    if is_comparison(folder.definition) and load_study_perturbations(folder) is None:
        yield study_command("perturb", folder)
    yield study_command("show", folder)
    yield f"dclf runs --study {shlex.quote(folder.definition.name)}"
    if find_spec("optuna_dashboard") is not None and not is_comparison(folder.definition):
        yield study_command("dashboard", folder)
