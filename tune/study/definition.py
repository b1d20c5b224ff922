"""What a study was asked to do, as ``study.yaml`` keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import yaml

from dclf.config import Config
from dclf.paper_data import differences_from_paper
from tune.config.moved_folders import relocated, same_folder, with_places
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import plain
from tune.study.ledger import TrialRecord

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Libyaml's, ten times as fast, where PyYAML was built with it."""


@dataclass(frozen=True, kw_only=True)
class StudyDefinition:
    """What a study was asked to do; never changes.

    Attributes:
        name: folder of the study, name of its MLflow parent run and of its Optuna study.
        kind: ``sweep``, ``ablation``, ``grid``, ``leaderboard``, or ``study`` for one that a study file describes.
        config: base configuration as nested dictionaries, without passwords.
        settings: the ``sweep`` section as nested dictionaries.
        space: dotted key -> domain, the default space spelt out.
        shards_sha256: hash of the shard set's manifest; the trials of one study see one data set.
        created: ISO 8601 time.
        versions: package -> version at creation.
        variants: of a study file, in the order to report: mappings with ``name``, ``model`` (the base model),
            ``params`` (as the trial's), ``reference`` (whether the model's others are compared with it),
            ``published`` (the paper's scores in percent) and, where there are any, ``changes`` (keys beside the part of
            the framework that differ from the base model's preset); empty for anything else.
        folder: path of the study when it was created; empty for one at a URI.
        plan: of a study file: ``title``, ``paper`` (such as Table 4), ``layout``, ``evaluations``, ``source``; of a
            leaderboard also ``perturbation`` (settings of the test) and ``authors`` (model -> what they published).
    """

    name: str
    kind: str = "sweep"
    config: Mapping[str, Any]
    settings: Mapping[str, Any]
    space: Mapping[str, Any] = field(default_factory=dict)
    shards_sha256: str = ""
    created: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    variants: Sequence[Mapping[str, Any]] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)
    folder: str = ""

    @property
    def base(self) -> Config:
        """The base configuration."""
        return Config.from_dict(self.config)

    @property
    def sweep(self) -> SweepSettings:
        """The sweep's settings."""
        return SweepSettings.from_dict(self.settings)

    @cached_property
    def differences_from_paper(self) -> tuple[str, ...]:
        """``dclf.paper_data.differences_from_paper`` of the shards that the study began on: read once."""
        return differences_from_paper(self.base)

    def with_settings(self, settings: Mapping[str, Any]) -> StudyDefinition:
        """The same with other values of some settings."""
        return replace(self, settings={**self.settings, **settings})

    def moved_to(self, folder: Path) -> StudyDefinition:
        """Return the definition of a study that was moved to ``folder``; places below its old folder follow it."""
        if not self.folder or same_folder(Path(self.folder), folder):
            return self
        here = partial(relocated, old=Path(self.folder), new=folder)
        settings = {**self.settings, "optuna": here(self.settings.get("optuna", ""))}
        return replace(self, config=with_places(self.config, here), settings=settings)

    def to_yaml(self) -> str:
        """Text of ``study.yaml``."""
        return yaml.safe_dump(plain(asdict(self)), sort_keys=False)

    @classmethod
    def from_yaml(cls, text: str) -> StudyDefinition:
        """The inverse of ``to_yaml``.

        Raises:
            yaml.YAMLError: the text is no YAML.
            TypeError: it is no definition.
        """
        return cls(**yaml.load(text, _LOADER))  # noqa: S506 - a safe one


def child_name(definition: StudyDefinition, trial: TrialRecord, seed: int) -> str:
    """Name of the run of a trial and seed, such as ``trial 12, seed 0 of gammas``.

    It begins with what tells the run from the study's others, as tables cut long names short: of a study file that is
    the variant, ``mmgcn w/o MCCL, seed 0 of parts``.
    """
    params = plain(trial.params)
    planned = (f"{one['model']} {one['name']}" for one in definition.variants if plain(one["params"]) == params)
    which = next(planned, f"trial {trial.number}")
    return f"{which}{f', seed {seed}' if definition.sweep.seeds > 1 else ''} of {definition.name}"
