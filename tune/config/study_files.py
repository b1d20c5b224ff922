"""Reads study files, and reports every mistake in one at once.

A study file says which configurations are compared and what else is measured on them; docs/comparisons.md describes its
keys. Those of the paper ship with the package, ``iemocap/table4`` and so on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal

from dclf.config import Ablation
from dclf.labels import quoted_value
from dclf.prose import suggestion
from tune.config.overrides import OPTIONS, TERMS
from tune.config.settings import FILE_SECTIONS, override_entries
from tune.config.sweep_settings import SET_KEYS
from tune.config.typed_values import CheckedValues, class_parser, config_types, place_of
from tune.config.yaml_files import ConfigError, is_file, is_folder, read_config_file

PageLayout = Literal["variants", "main", "window", "gammas", "perturbation", "leaderboard"]
Evaluation = Literal["perturbation", "speed"]
LONGEST_VARIANT = 100


@dataclass(frozen=True, kw_only=True)
class VariantsSpec:
    """Which configurations are compared; what the parts name is joined, the same configuration once.

    Attributes:
        leave_one_out: values of ``loss.ablate``, beside the whole framework, which they are compared with.
        grid: dotted key -> values; every combination.
        listed: mappings with ``name``, ``set`` (dotted key -> value), and ``reference: true`` for the one that the
            others are compared with.
    """

    leave_one_out: tuple[Ablation, ...] = ()
    grid: dict[str, Any] = field(default_factory=dict)
    listed: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class StudyFile:
    """One study as somebody wrote it.

    Attributes:
        base: the configuration that variants change: a preset, or a YAML file beside the study file.
        title: what is asked, in words.
        paper: the table or figure of the paper, such as ``Table 4``; empty for none.
        layout: how the report lays it out.
        models: base model -> preset, YAML file or mapping of dotted keys with what it needs; the base configuration's
            own model where empty.
        defaults: dotted key -> value, where a base model's preset says nothing of its own.
        set: dotted key -> value, for all variants.
        variants: what is compared.
        seeds: trainings per variant, the same for all.
        evaluations: what is measured beside the test scores.
        published: base model -> name of a variant -> score -> the paper's value in percent.
        places: where each key was written, ``file:line: ``; no key of the file itself.
    """

    base: str = ""
    title: str = ""
    paper: str = ""
    layout: PageLayout = "variants"
    models: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    set: dict[str, Any] = field(default_factory=dict)
    variants: VariantsSpec = field(default_factory=VariantsSpec)
    seeds: int = 5
    evaluations: tuple[Evaluation, ...] = ()
    published: dict[str, Any] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)

    def located(self, part: str, problem: str) -> str:
        """A mistake behind the place of what it lies in; as it is where no file was written.

        Args:
            part: of the file, such as ``set.``, ahead of the mistake's key.
            problem: ``key: what must hold, what came``.
        """
        if not self.places:
            return problem
        whole = f"{part}{problem}"
        return f"{place_of(whole.partition(': ')[0], self.places)}{whole}"


def shipped_studies() -> tuple[str, ...]:
    """Names of the paper's studies, ``DATASET/STUDY``, sorted."""
    papers = files("tune").joinpath("config", "papers")
    return tuple(
        sorted(f"{dataset.name}/{Path(entry.name).stem}" for dataset in papers.iterdir() for entry in dataset.iterdir())
    )


def datasets() -> tuple[str, ...]:
    """Data sets whose tables the paper has."""
    return tuple(dict.fromkeys(name.split("/")[0] for name in shipped_studies()))


def read_study_file(study: str | Path) -> StudyFile:
    """Read a study file, checked as far as it can be without its base configuration.

    Args:
        study: path of a YAML file, or one of ``shipped_studies``.

    Raises:
        ConfigError: with every unknown key, wrong type and impossible value; or there is no such file.
    """
    name = str(study)
    if is_file(study):
        return _read(Path(study))
    if name not in (shipped := shipped_studies()):
        what = f"the folder {name}" if is_folder(study) else f"{name!r}{suggestion(name, shipped)}"
        raise ConfigError([f"study: must be a YAML file or one of {', '.join(shipped)}, is {what}"])
    with as_file(files("tune").joinpath("config", "papers", f"{name}.yaml")) as path:
        return _read(path)


def _read(path: Path) -> StudyFile:
    reading = read_config_file(path, ("variants",))
    types = {key: kind for key, kind in config_types(StudyFile).items() if key != "places"}
    checked = CheckedValues(types=types, parser=class_parser(StudyFile))
    for entry in reading.entries:
        checked.add(entry)
    values = checked.nested()
    study = StudyFile(**{**values, "variants": VariantsSpec(**values.get("variants", {}))}, places=checked.places)
    impossible = [] if reading.unread else list(_impossible(study))
    problems = [*reading.unread, *reading.problems, *checked.problems, *checked.located(impossible, f"{path}: ")]
    if problems:
        raise ConfigError(problems)
    return study


def flat_keys(sets: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key -> value: sections, a base model's options and terms of the loss taken apart."""
    sections = {entry.key: entry.value for entry in override_entries(sets, FILE_SECTIONS)}
    return {entry.key: entry.value for entry in override_entries(sections, (OPTIONS, TERMS))}


def _impossible(study: StudyFile) -> Iterator[str]:
    variants = study.variants
    if not study.base:
        yield "base: must name the configuration that the variants change, is missing"
    if not (variants.leave_one_out or variants.grid or variants.listed):
        yield "variants: must name leave_one_out, grid or listed, names none"
    if study.seeds < 1:
        yield f"seeds: must be at least 1, is {study.seeds}"
    for key, values in variants.grid.items():
        if not isinstance(values, list) or not values:
            yield f"variants.grid.{key}: must be a list of values, is {values!r}"
    yield from _search_problems("set", study.set)
    yield from _search_problems("defaults", study.defaults)
    yield from _listing_problems(variants.listed)
    for model, sets in study.models.items():
        if not isinstance(sets, str | Mapping | None):
            yield f"models.{model}: must be a preset, a YAML file or a mapping of keys, is {sets!r}"
    for model, rows in study.published.items():
        yield from _published_problems(model, rows)


def _search_problems(name: str, sets: Mapping[str, Any]) -> Iterator[str]:
    for key in flat_keys(sets):
        if key in SET_KEYS:
            yield f"{name}.{key}: is for searches; a study trains every variant to its end, leave it out"


def _listing_problems(listed: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for place, one in enumerate(listed, start=1):
        yield from _listed_problems(place, one)
    for name, count in Counter(str(one["name"]) for one in listed if "name" in one).items():
        if count > 1:
            yield f"variants.listed: the name {name!r} must stand for one variant, stands for {count}"
    if len(references := [str(one.get("name")) for one in listed if one.get("reference") is True]) > 1:
        yield f"variants.listed: must have one variant with reference: true at most, has {', '.join(references)}"


def _listed_problems(place: int, one: Mapping[str, Any]) -> Iterator[str]:
    where = f"variants.listed: variant {place}"
    if unknown := sorted(set(one) - {"name", "set", "reference"}):
        yield f"{where}: must have name, set and reference only, has {', '.join(unknown)}"
    if not isinstance(one.get("name"), str) or not one["name"]:
        yield f"{where}: must have a name, has {one.get('name')!r}"
    elif len(one["name"]) > LONGEST_VARIANT or not one["name"].isprintable():
        most = f"one line of at most {LONGEST_VARIANT} characters"
        yield f"{where}: its name, a row of every table, must be {most}, is {quoted_value(one['name'])}"
    if not isinstance(one.get("set", {}), Mapping):
        yield f"{where}: set must be a mapping of dotted keys to values, is {one['set']!r}"
    if not isinstance(one.get("reference", False), bool):
        yield f"{where}: reference must be true or false, is {one['reference']!r}"


def _published_problems(model: str, rows: Any) -> Iterator[str]:
    if not isinstance(rows, Mapping):
        yield f"published.{model}: must be a mapping of variants to scores, is {rows!r}"
        return
    for name, scores in rows.items():
        numbers = isinstance(scores, Mapping) and all(_is_number(value) for value in scores.values())
        if not numbers:
            yield f"published.{model}.{name}: must be a mapping of scores to numbers in percent, is {scores!r}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
