"""A leaderboard as one study: every base model without and with DCLF, each from a preset of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from dclf.data import feature_card
from dclf.data.dialogue import MODALITIES
from dclf.data.presets import GENERATED
from dclf.errors import UserError, require_names
from dclf.models import BASE_MODELS
from dclf.prose import suggestion
from tune.analysis.comparison.variants import LEADERBOARD, NAMES
from tune.analysis.perturbation.study_tables import CONTRASTED
from tune.config.compared_systems import compared_systems
from tune.config.defaults import SEEDS
from tune.config.settings import read_config
from tune.config.study_files import StudyFile, VariantsSpec, datasets
from tune.config.yaml_files import ConfigError, preset_names
from tune.runner.named_study import NamedStudy
from tune.runner.variants import plan_study

ALL = "all"
COMPARED, TABLE = "compared", "Table 3"
_DATA, _MODALITIES_KEY = "data.shards", "data.modalities"
_DRAWS = 5
_PATIENCE = 15
"""As in the paper's studies, whose trainings so serve a leaderboard too; a preset may say otherwise."""


def plan_leaderboard(
    shards: str | Path,
    *,
    models: Sequence[str] = (),
    seeds: int = SEEDS,
    draws: int = _DRAWS,
    preset_family: str = "",
    overrides: Mapping[str, Any] | None = None,
    name: str = "",
) -> NamedStudy:
    """Work out the study of a leaderboard, checked; the same call names the same study.

    A training ends after 15 epochs without a better validation WF1, unless preset or overrides say otherwise.

    Args:
        shards: folder or URI of the data.
        models: names of base models; all that ship and have a preset for the data set where empty. Others than those
            take the data set's base preset.
        seeds: trainings per variant.
        draws: of contexts of other emotions (EICS) that every model is scored under; 0 for none.
        preset_family: whose presets are taken, ``iemocap`` or ``meld``; told by the name of the data where empty.
        overrides: dotted keys for all variants, and ``sweep.KEY``. Without ``data.modalities`` all that the shards
            have are read.
        name: of the study; made of all that it trains where empty.

    Raises:
        ConfigError: with every unknown name and key, wrong type and impossible value.
        OSError: the shards are not there.
        DataError: they cannot be read.
    """
    require_names(models=models)
    overrides = {**(overrides or {}), _DATA: str(shards)}
    names = {model: list(_name_problems(model)) for model in models}
    problems = [*_number_problems(seeds, draws), *chain(*names.values()), *_family_problems(preset_family)]
    if preset_family and preset_family not in datasets():
        raise ConfigError(problems)
    try:
        card = feature_card(str(shards)).to_dict()
    except (OSError, UserError) as error:
        if problems:
            raise ConfigError([*problems, str(error)]) from error
        raise
    family = preset_family or family_of(str(card["dataset"]))
    present = overrides.pop(_MODALITIES_KEY, [modality for modality in MODALITIES if modality in card["widths"]])
    evaluations = ("perturbation", "speed") if draws else ("speed",)
    try:
        presets = _presets(family, [model for model in models if not names[model]])
        planned = plan_study(_file(family, presets, present, max(seeds, 1), evaluations=evaluations), overrides)
        problems += planned.every_problem()
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(dict.fromkeys(problems))
    # The only substitution that a leaderboard has a column for.
    test = {"perturbation": {"kinds": [CONTRASTED], "draws": draws}} if draws else {}
    planned = replace(planned, plan={**planned.plan, **test, "authors": _authors(presets, family)})
    study = NamedStudy.of(family, LEADERBOARD, planned, str(card["sha256"]))
    # Another test is another study, which takes the trainings over.
    return replace(study, name=name or (study.name if draws == _DRAWS else f"{study.name}-{draws}"))


def plan_compared(
    dataset: str, overrides: Mapping[str, Any], *, seeds: int | None = None, to_run: bool = True
) -> NamedStudy:
    """The leaderboard of the systems that the paper's Table 3 compares with, as far as they are base models here.

    Args:
        dataset: ``iemocap`` or ``meld``.
        overrides: as for ``plan_leaderboard``, with ``data.shards``.
        seeds: trainings per variant; five where None.
        to_run: whether it is to be run.

    Raises:
        Exception: as ``plan_leaderboard``.
    """
    models = [system.model for system in compared_systems() if system.model and preset_of(system.model, dataset)]
    keys, seeds = dict(overrides), SEEDS if seeds is None else seeds
    plan = plan_leaderboard(keys.pop(_DATA), models=models, seeds=seeds, draws=0, preset_family=dataset, overrides=keys)
    title = {"paper": f"{TABLE}, the compared systems", "title": "What others are without and with DCLF"}
    planned = replace(plan.planned, plan={**plan.planned.plan, **title})
    name = plan.name.replace(f"-{LEADERBOARD}-", f"-{COMPARED}-").removesuffix("-0")
    return replace(plan, item=COMPARED, name=name, planned=planned, to_run=to_run)


def family_of(dataset: str) -> str:
    """Return the family whose presets data of this name take.

    Raises:
        ConfigError: the name says nothing of it.
    """
    name = dataset.removeprefix(GENERATED)
    for family in datasets():
        if name == family or name.startswith((f"{family}-", f"{family}_")):
            return family
    families = " or ".join(datasets())
    raise ConfigError(
        [f"--preset-family: must be {families} for data called {dataset!r}, which no preset is for; name the nearest"]
    )


def preset_of(model: str, family: str) -> str:
    """The preset of a base model that ships; empty where it has none for this family."""
    own = f"{family}-{model.replace('_', '-')}"
    return own if own in preset_names() else family if model == _base_model(family) else ""


def _base_model(family: str) -> str:
    return read_config(family, values=False)[0].model.name


def _presets(family: str, models: Sequence[str]) -> dict[str, str]:
    """Base model -> its preset; empty for one that only its user knows, which takes the family's.

    Raises:
        ConfigError: a model that ships has no preset for this family.
    """
    shipped = {model: preset for model in BASE_MODELS.shipped if (preset := preset_of(model, family))}
    names = [model for model in models if model != ALL]
    if not models or ALL in models:
        names = [*shipped, *(model for model in names if model not in shipped)]
    if lacking := [model for model in names if model in BASE_MODELS.shipped and model not in shipped]:
        has = f"must have a preset for {family}, as {', '.join(shipped)} have"
        raise ConfigError([f"--models: {has}, {', '.join(lacking)} has none"])
    return {model: shipped.get(model, "") for model in dict.fromkeys(names)}


def _file(
    family: str, presets: Mapping[str, str], modalities: Any, seeds: int, *, evaluations: tuple[Any, ...]
) -> StudyFile:
    parts = ("base", "none")
    listed = tuple(
        {"name": NAMES[part], "set": {"loss.ablate": part, _MODALITIES_KEY: modalities}, "reference": part == "base"}
        for part in parts
    )
    return StudyFile(
        base=family,
        title="Base models without and with DCLF, each from its own preset",
        layout="leaderboard",
        defaults={"train.patience": _PATIENCE},
        models={model: preset or {} for model, preset in presets.items()},
        variants=VariantsSpec(listed=listed),
        seeds=seeds,
        evaluations=evaluations,
        published=dict(_published(presets, family)),
    )


def _published(presets: Mapping[str, str], family: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Base model -> name of a variant -> the paper's scores in percent, of the systems that it compares DCLF with."""
    for system in compared_systems():
        if system.model in presets:
            yield system.model, {NAMES["base"]: dict(system.published(family))}


def _authors(presets: Mapping[str, str], family: str) -> dict[str, Any]:
    """Base model -> what its authors published, as far as its preset says."""
    published = {}
    for model, preset in presets.items():
        tables = read_config(preset or family, values=False)[0].published.get(model)
        authors = tables.get("authors") if isinstance(tables, Mapping) else None
        if isinstance(authors, Mapping):
            published[model] = dict(authors)
    return published


def _number_problems(seeds: int, draws: int) -> Iterator[str]:
    if seeds < 1:
        yield f"--seeds: must be at least 1, is {seeds}"
    if draws < 0:
        yield f"--draws: must be 0 or more, is {draws}"


def _name_problems(model: str) -> Iterator[str]:
    names = (ALL, *BASE_MODELS.names())
    if ":" not in model and model not in names:
        must = f"must be among {', '.join(names)}, or class paths MODULE:NAME"
        yield f"--models: {must}, has {model!r}{suggestion(model, names)}"


def _family_problems(family: str) -> Iterator[str]:
    if family and family not in datasets():
        yield f"--preset-family: must be {' or '.join(datasets())}, is {family!r}"
