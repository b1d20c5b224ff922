"""From a study file to a study's trials: every variant of every base model as a point of one space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from dclf.config import Config
from dclf.prose import suggestion
from tune.analysis.comparison.variants import NAMES
from tune.config.overrides import OPTIONS, apply, refusals, value_of
from tune.config.settings import read_config
from tune.config.study_files import StudyFile, VariantsSpec, flat_keys
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import ConfigError, is_file, plain
from tune.search.checks import sweep_problems
from tune.search.domains import same
from tune.search.read import read_sweep
from tune.study.scores import short_names, value_text

ABLATE, MODEL = "loss.ablate", "model.name"
_OWN = ("data.shards", MODEL)


@dataclass(frozen=True, kw_only=True)
class PlannedStudy:
    """What ``tune.sweeps.sweep`` needs to run a study file.

    Attributes:
        config: the base configuration, with what all variants share.
        settings: the variants as start points, and how to run them.
        variants: as ``StudyDefinition.variants``.
        plan: as ``StudyDefinition.plan``.
        problems: what cannot be run, each one line; the variants are then those that can.
        file_keys: dotted key -> the file's own that says it for all variants, behind its place.
    """

    config: Config
    settings: SweepSettings
    variants: tuple[Mapping[str, Any], ...] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    file_keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def described(self) -> dict[str, Any]:
        """What ``tune.sweeps.sweep`` keeps of the study file."""
        return {"variants": self.variants, "plan": self.plan}

    def every_problem(self) -> list[str]:
        """Every mistake: ``problems``, and every impossible value of the configuration and of the settings."""
        # Without variants the settings are not yet those of the study.
        impossible = sweep_problems(self.settings, self.config) if self.variants else []
        problems = [*self.problems, *self.config.problems(), *impossible]
        return list(dict.fromkeys(self._in_file(problem) for problem in problems))

    def _in_file(self, problem: str) -> str:
        """The mistake with the key as the file has it, where it is the file's."""
        key, colon, rest = problem.partition(": ")
        return f"{self.file_keys.get(key, key)}{colon}{rest}"


@dataclass(frozen=True)
class _Variant:
    name: str
    set: Mapping[str, Any]
    reference: bool
    part: str
    """Of the file, ahead of a key in ``set``."""


def plan_study(
    study: StudyFile,
    overrides: Mapping[str, Any] | None = None,
    *,
    seeds: int | None = None,
    models: Sequence[str] = (),
    beside: Path | None = None,
) -> PlannedStudy:
    """Work out a study's trials.

    Args:
        study: the file.
        overrides: dotted keys for all variants, ``sweep.KEY`` among them.
        seeds: trainings per variant; as the file says where None.
        models: base models of the file to run; all where empty.
        beside: the study file, where relative paths in it start.

    Raises:
        ConfigError: the base configuration cannot be read at all.
    """
    overrides, study = overrides or {}, _flattened(study)
    base = _beside(study.base, beside)
    try:
        config, settings, problems, _ = read_sweep(base, {**study.defaults, **study.set, **overrides}, values=False)
    except ConfigError as error:
        raise ConfigError(_of_file(error, "base: ", study)) from None
    problems = [*problems, *_varied_by_user(study.variants, overrides), *_unknown_models(study, models)]
    problems += [study.located("", problem) for problem in _unknown_rows(study, config)]
    parts = {"defaults.": study.defaults, "set.": study.set}
    file_keys = {key: study.located(part, key) for part, sets in parts.items() for key in sets if key not in overrides}
    empty = PlannedStudy(config=config, settings=settings, file_keys=file_keys)
    selection = {model: sets for model, sets in study.models.items() if not models or model in models}
    if study.models and not selection:
        return replace(empty, problems=tuple(problems))
    sets_by_model = {}
    for model, sets in (selection or {config.model.name: {}}).items():
        try:
            sets_by_model[model] = _model_sets(sets, base, beside, {*study.set, *overrides} - {"data.modalities"})
        except ConfigError as error:
            problems += _of_file(error, f"models.{model}: ", study)
    pairs, impossible = _sound_pairs(study, config, sets_by_model)
    problems += dict.fromkeys(impossible)
    planned = _planned(pairs, study, empty, sets_by_model, seeds or study.seeds) if pairs else empty
    return replace(planned, problems=tuple(problems))


def _flattened(study: StudyFile) -> StudyFile:
    """The file with dotted keys alone, so that the same key is found whichever way it was written."""
    listed = tuple({**one, "set": flat_keys(one.get("set", {}))} for one in study.variants.listed)
    models = {model: flat_keys(sets) if isinstance(sets, Mapping) else sets for model, sets in study.models.items()}
    variants = replace(study.variants, listed=listed)
    return replace(
        study, models=models, set=flat_keys(study.set), defaults=flat_keys(study.defaults), variants=variants
    )


def _of_file(error: ConfigError, part: str, study: StudyFile) -> list[str]:
    """What is wrong with a configuration that a part of the study file names, behind the place of that part."""
    return [study.located(part, problem.removeprefix("config: ")) for problem in error.problems]


def _sound_pairs(
    study: StudyFile, config: Config, models: Mapping[str, Mapping[str, Any]]
) -> tuple[list[tuple[str, _Variant]], list[str]]:
    """Every variant of every base model that can be trained, and why the others cannot."""
    pairs, problems, own = [], [], config.problems()
    for model, sets in models.items():
        for variant in _variants_of(study.variants, config):
            reasons = refusals(config, {MODEL: model, **sets, **variant.set}, own)
            problems += [study.located(_part_of(reason, variant, model, sets), reason) for reason in reasons]
            if not reasons:
                pairs.append((model, variant))
    return pairs, problems


def _part_of(problem: str, variant: _Variant, model: str, sets: Mapping[str, Any]) -> str:
    """What part of the file brings a problem of a variant about, where it is one alone."""
    key = problem.partition(": ")[0]
    if _says(variant.set, key):
        return variant.part
    if key == MODEL:
        return f"models.{model}: "
    return f"models.{model}." if _says(sets, key) else f"variants: {variant.name}: "


def _says(sets: Iterable[str], key: str) -> bool:
    return any(own == key or own.startswith(f"{key}.") for own in sets)


def _planned(
    pairs: Sequence[tuple[str, _Variant]],
    study: StudyFile,
    empty: PlannedStudy,
    models: Mapping[str, Mapping[str, Any]],
    seeds: int,
) -> PlannedStudy:
    config = empty.config
    sets = [{MODEL: model, **models[model], **variant.set} for model, variant in pairs]
    whole = [_completed(one, sets, config) for one in sets]
    once = [place for place, point in enumerate(whole) if not any(_same(point, before) for before in whole[:place])]
    common = _common([whole[place] for place in once])
    points = [{key: value for key, value in whole[place].items() if key not in common} for place in once]
    variants = [
        {
            "name": variant.name,
            "model": model,
            "params": point,
            "reference": variant.reference,
            "published": dict(study.published.get(model, {}).get(variant.name, {})),
            **({"changes": changes} if (changes := _changes(variant, point, model, models[model], config)) else {}),
        }
        for (model, variant), point in zip((pairs[place] for place in once), points, strict=True)
    ]
    return replace(
        empty,
        config=apply(config, common),
        settings=_settings(empty.settings, points, seeds, keep_all=bool(study.evaluations)),
        variants=tuple(variants),
        plan={
            "title": study.title,
            "paper": study.paper,
            "layout": study.layout,
            "evaluations": list(study.evaluations),
            "source": config.published.get("source", ""),
        },
    )


def _settings(
    settings: SweepSettings, points: Sequence[Mapping[str, Any]], seeds: int, *, keep_all: bool
) -> SweepSettings:
    return replace(
        settings,
        space=_space(points),
        start_points=tuple(dict(point) for point in points),
        sampler="listed",
        scheduler="none",
        trials=len(points),
        seeds=seeds,
        test="all",
        time="",
        warm_start=(),
        stop_at=None,
        stop_after=0,
        # What is still to be measured on the models needs all of them.
        keep=len(points) if keep_all else settings.keep,
    )


def _variants_of(spec: VariantsSpec, config: Config) -> Iterator[_Variant]:
    """The variants of every base model, as the file has them."""
    if spec.leave_one_out:
        yield _Variant(NAMES["none"], {ABLATE: "none"}, True, "variants.leave_one_out: ")
    for ablation in spec.leave_one_out:
        yield _Variant(NAMES[ablation], {ABLATE: ablation}, ablation == "none", "variants.leave_one_out: ")
    names = short_names(list(spec.grid))
    for values in product(*spec.grid.values()) if spec.grid else ():
        cell = dict(zip(spec.grid, values, strict=True))
        name = ", ".join(f"{names[key]} {value_text(value)}" for key, value in cell.items())
        reference = all(same(value_of(config, key), value) for key, value in cell.items())
        yield _Variant(name, cell, reference, "variants.grid.")
    for one in spec.listed:
        part = f"variants.listed: {one['name']}: "
        yield _Variant(one["name"], dict(one.get("set", {})), one.get("reference", False), part)


def _changes(
    variant: _Variant, point: Mapping[str, Any], model: str, preset: Mapping[str, Any], config: Config
) -> list[str]:
    """Keys beside the part of the framework that a variant has otherwise than its base model's preset."""
    own = apply(config, {MODEL: model, **preset})
    others = [key for key in variant.set if key in point and key not in (ABLATE, MODEL)]
    return [key for key in others if not same(value_of(own, key), point[key])]


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)


def _completed(own: Mapping[str, Any], sets: Iterable[Mapping[str, Any]], config: Config) -> dict[str, Any]:
    """A variant with a value for every key that any sets; options of base models only where the model has them."""
    changed = apply(config, own)
    keys = {key: None for one in sets for key in one if _has(key, one[MODEL], own[MODEL])}
    return {key: value_of(changed, key) for key in keys}


def _has(key: str, setter: str, model: str) -> bool:
    return not key.startswith(f"{OPTIONS}.") or setter == model


def _common(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Keys with one value in all variants; the base model stays to be told apart where it is all there is."""
    first, *others = points
    common = {key: value for key, value in first.items() if all(key in one and same(one[key], value) for one in others)}
    if len(common) == len(first):
        common.pop(MODEL)
    return common


def _space(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Dotted key -> the values that variants have, the base model first, as others may depend on it."""
    keys = sorted({key: None for point in points for key in point}, key=lambda key: key != MODEL)
    return {key: {"choices": _distinct(key, points), **_when(key, points)} for key in keys}


def _distinct(key: str, points: Sequence[Mapping[str, Any]]) -> list[Any]:
    values: list[Any] = []
    for point in points:
        if key in point and not any(same(point[key], value) for value in values):
            values.append(plain(point[key]))
    return values


def _when(key: str, points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if all(key in point for point in points):
        return {}
    return {"when": {MODEL: list(dict.fromkeys(point[MODEL] for point in points if key in point))}}


def _model_sets(sets: Any, base: str | Path, beside: Path | None, set_keys: Iterable[str]) -> dict[str, Any]:
    """What a base model needs, as dotted keys.

    What the whole study or its user sets holds for it too, but for modalities: a model of text alone stays one.
    """
    if not isinstance(sets, str):
        return {key: value for key, value in (sets or {}).items() if key not in set_keys}
    before = read_config(base, values=False)[0]
    after, problems, _ = read_config(_beside(sets, beside), values=False)
    if problems:
        raise ConfigError(problems)
    flat = {key: value for key, value in after.flat().items() if key != OPTIONS}
    flat |= {f"{OPTIONS}.{name}": value for name, value in after.model.options.items()}
    return {
        key: plain(value)
        for key, value in flat.items()
        if key not in (*_OWN, *set_keys) and not same(value_of(before, key), value)
    }


def _beside(config: str, study: Path | None) -> str | Path:
    """Return the path; a relative one starts at the folder of the study file."""
    candidate = (study.parent if study is not None else Path()) / config
    return candidate if is_file(candidate) else config


def _varied_by_user(spec: VariantsSpec, overrides: Mapping[str, Any]) -> Iterator[str]:
    varied = {ABLATE} if spec.leave_one_out else set()
    varied |= {*spec.grid, *(key for one in spec.listed for key in one.get("set", {}))}
    for key in overrides:
        if key in (varied | {MODEL}):
            yield f"{key}: must be left to the study, whose variants differ in it; use another study file to change it"


def _unknown_models(study: StudyFile, models: Iterable[str]) -> Iterator[str]:
    names = list(study.models)
    for model in models:
        if model not in names:
            yield f"--models: must be among {', '.join(names) or 'none'}, has {model!r}{suggestion(model, names)}"


def _unknown_rows(study: StudyFile, config: Config) -> Iterator[str]:
    """Published values that stand beside no variant."""
    models = list(study.models) or [config.model.name]
    variants = [one.name for one in _variants_of(study.variants, config)]
    for model, rows in study.published.items():
        if model not in models:
            must = f"must name base models of the study ({', '.join(models)})"
            yield f"published: {must}, has {model!r}{suggestion(model, models)}"
        for row in rows:
            if row not in variants:
                must = f"must name variants of the study ({', '.join(variants)})"
                yield f"published.{model}: {must}, has {row!r}{suggestion(row, variants)}"
