from pathlib import Path

import pytest
import yaml

from dclf.objective import Objective
from tune.config.overrides import apply
from tune.config.settings import load_config
from tune.config.study_files import StudyFile, VariantsSpec, read_study_file, shipped_studies
from tune.config.yaml_files import ConfigError
from tune.runner.named_study import NamedStudy
from tune.runner.variants import plan_study

WRONG = """\
base: iemocap
title: 3
layot: main
seeds: 0
models: {mmgcn: 3}
variants:
  leave_one_out: [no_cacl, no_x]
  grid: {loss.window: 3}
  listed: [{name: a, sets: 3}, {set: 4, reference: 3}]
evaluations: [perturbation, taste]
published: {mmgcn: {DCLF: {wf1: x}}, ddin: 3}
places: {}
"""
EXPECTED = [
    ":2: title: must be text, is 3",
    ":3: layot: unknown key; did you mean layout?",
    ":7: variants.leave_one_out: must be a list, each one of none, base, no_cacl, no_ce, no_mccl, no_ica, is",
    ":10: evaluations: must be a list, each one of perturbation, speed, is",
    ":12: places: unknown key",
    ":4: seeds: must be at least 1, is 0",
    ":8: variants.grid.loss.window: must be a list of values, is 3",
    ":9: variants.listed: variant 1: must have name, set and reference only, has sets",
    ":9: variants.listed: variant 2: must have a name, has None",
    ":9: variants.listed: variant 2: set must be a mapping of dotted keys to values, is 4",
    ":9: variants.listed: variant 2: reference must be true or false, is 3",
    ":5: models.mmgcn: must be a preset, a YAML file or a mapping of keys, is 3",
    ":11: published.mmgcn.DCLF: must be a mapping of scores to numbers in percent, is {'wf1': 'x'}",
    ":11: published.ddin: must be a mapping of variants to scores, is 3",
]

IMPOSSIBLE = """\
base: iemocap
set:
  loss.gama_mc: 1
  train: {epochs: -3}
  train.patience: -1
models:
  mmgcn: {}
  sdt: {loss.gamma_mc: -1}
  ddin: {model.options.encoder_width: 0}
  mmgn: {}
  aghmn: iemocap-agmn
variants:
  leave_one_out: [base]
  grid:
    loss.window: [4, 0, wide]
  listed:
    - {name: own, set: {loss.gamma_ca: -1}}
    - {name: other, set: {loss.gamma_cb: 1}}
published: {mmgcn: {w/o CACL: {wf1: 69.95}}}
"""
UNPLANNED = [
    ":3: set.loss.gama_mc: unknown key; did you mean loss.gamma_mc?",
    ":19: published.mmgcn: must name variants of the study",
    ":11: models.aghmn: must be a YAML file or a preset (",
    ":15: variants.grid.loss.window: must be at least 1, is 0",
    ":15: variants.grid.loss.window: must be a whole number, is 'wide'",
    ":16: variants.listed: own: loss.gamma_ca: must be 0 or more, is -1.0",
    ":16: variants.listed: other: loss.gamma_cb: unknown key; did you mean loss.gamma_mc?",
    ":8: models.sdt.loss.gamma_mc: must be 0 or more, is -1.0",
    ":9: models.ddin.model.options: encoder_width must be a whole number of 1 or more, is 0",
    ":10: models.mmgn: model.name: must be one of aghmn, ",
    ":4: set.train.epochs: must be at least 1, is -3",
]
FROM_COMMAND_LINE = ["train.patience: must be 0 or more, is -2", "sweep.concurrency: must be 0 or more, is -1"]


def test_all_mistakes_are_told_at_once_with_their_places(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(WRONG)
    with pytest.raises(ConfigError) as error:
        read_study_file(file)
    problems = error.value.problems
    assert len(problems) == len(EXPECTED)
    for line, expected in zip(problems, EXPECTED, strict=True):
        assert line.startswith(f"{file}{expected}")


def test_what_cannot_be_planned_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(IMPOSSIBLE)
    overrides = {"data.shards": "shards", "train.patience": -2, "sweep.concurrency": -1}
    problems = plan_study(read_study_file(file), overrides).every_problem()
    own = [line.removeprefix(str(file)) for line in problems if line.startswith(str(file))]
    for line, expected in zip(own, UNPLANNED, strict=True):
        assert line.startswith(expected)
    assert [line for line in problems if not line.startswith(str(file))] == FROM_COMMAND_LINE


def test_a_study_must_say_what_it_changes_and_how(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text("title: nothing\n")
    with pytest.raises(ConfigError) as error:
        read_study_file(file)
    assert [line.removeprefix(f"{file}: ") for line in error.value.problems] == [
        "base: must name the configuration that the variants change, is missing",
        "variants: must name leave_one_out, grid or listed, names none",
    ]


def test_an_unknown_study_is_told_with_those_there_are() -> None:
    message = r"must be a YAML file or one of iemocap/figure4.*did you mean iemocap/table4\?"
    with pytest.raises(ConfigError, match=message):
        read_study_file("iemocap/tabel4")


def test_the_paper_ships_a_study_per_table_with_trainings_of_its_own() -> None:
    common = ["figure4", "table3", "table4", "table5"]
    expected = sorted(["iemocap/table1", *(f"{dataset}/{name}" for dataset in ("iemocap", "meld") for name in common)])
    assert list(shipped_studies()) == expected


@pytest.mark.parametrize("name", shipped_studies())
def test_the_papers_studies_can_be_planned(name: str) -> None:
    file = read_study_file(name)
    planned = plan_study(file, {"data.shards": "shards"})
    assert not planned.problems
    assert not planned.config.problems()
    assert file.seeds == planned.settings.seeds == 5
    assert len(planned.variants) == planned.settings.trials == len(planned.settings.start_points)


@pytest.mark.parametrize("dataset", ["iemocap", "meld"])
@pytest.mark.parametrize("model", ["mmgcn", "ddin"])
def test_published_values_are_those_of_the_preset(dataset: str, model: str) -> None:
    """Presets have them too, for single runs; both were copied from the paper."""
    paper = load_config(dataset, {"data.shards": "shards"}).published[model]
    main = read_study_file(f"{dataset}/table3").published[model]
    for method, name in (("base", "base model"), ("dclf", "DCLF")):
        row = main[name]
        assert {key: row[key] for key in ("wa", "wf1")} == paper["table3"][method]
        assert {key: row[key] for key in ("raw", "eccs", "eics")} == paper["table6"][method]
        shift = {"whole": row["wf1"], "without_shift": row["no_shift/wf1"], "with_shift": row["shift/wf1"]}
        assert shift == paper["table7"][method]
        for kind in ("accuracy", "f1"):
            per_class = {key.split("/")[1]: value for key, value in row.items() if key.startswith(f"{kind}/")}
            assert per_class == paper["table3"].get(f"{method}_{kind}", {})
    parts = {"none": "DCLF", "no_cacl": "w/o CACL", "no_ce": "w/o CE", "no_mccl": "w/o MCCL", "no_ica": "w/o ICA"}
    ablations = read_study_file(f"{dataset}/table4").published[model]
    assert {parts[part]: {"wf1": value} for part, value in paper["table4"].items()} == ablations
    windows = read_study_file(f"{dataset}/table5").published[model]
    for window, value in paper["table5_window"].items():
        assert windows[f"window {window}"] == {"wf1": value}


def test_every_published_row_belongs_to_a_variant() -> None:
    for name in shipped_studies():
        file = read_study_file(name)
        planned = plan_study(file, {"data.shards": "shards"})
        rows = {(model, row) for model, rows in file.published.items() for row in rows}
        assert rows <= {(variant["model"], variant["name"]) for variant in planned.variants}
        for variant in planned.variants:
            # heads + ICA, and the base model among ablations, are ours.
            rows = file.published.get(variant["model"], {})
            assert variant["published"] == rows.get(variant["name"], {})


@pytest.mark.parametrize("dataset", ["iemocap", "meld"])
def test_tables_3_and_4_tell_the_parts_apart_with_the_same_trainings(dataset: str) -> None:
    parts = {"base model", "DCLF", "heads + ICA", "w/o CACL", "w/o CE", "w/o MCCL", "w/o ICA"}
    rows, trained = {}, {}
    for table in ("table3", "table4"):
        planned = plan_study(read_study_file(f"{dataset}/{table}"), {"data.shards": "shards"})
        rows[table] = [variant["name"] for variant in planned.variants if variant["model"] == "ddin"]
        assert {*rows[table]} == parts
        assert {variant["model"] for variant in planned.variants} == {"mmgcn", "ddin"}
        trained[table] = NamedStudy.of(dataset, table, planned, "").trainings
    assert rows["table3"][:2] == ["base model", "DCLF"]
    assert trained["table3"] == trained["table4"]


def test_heads_and_ica_without_contrasts_are_trained_by_cross_entropy_alone() -> None:
    planned = plan_study(read_study_file("iemocap/table3"), {"data.shards": "shards"})
    (own,) = [one for one in planned.variants if (one["model"], one["name"]) == ("mmgcn", "heads + ICA")]
    loss = apply(planned.config, own["params"]).loss
    assert loss.uses_modality_contrast, "else there were no heads"
    assert loss.uses_ica
    weights = Objective(loss, ("text", "audio")).weights
    assert {name: weight for name, weight in weights.items() if weight} == {
        "ce": 1.0,
        "unimodal/text": 1.0,
        "unimodal/audio": 1.0,
    }


def test_the_example_in_the_documentation_runs(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "comparisons.md").read_text()
    example = text.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "mine.yaml").write_text(example)
    planned = plan_study(read_study_file(tmp_path / "mine.yaml"), {"data.shards": "shards"})
    assert not planned.problems
    names = [variant["name"] for variant in planned.variants if variant["model"] == "mmgcn"]
    # MMGCN's preset has window 10, so that the grid's second cell is the whole framework.
    assert names == ["DCLF", "w/o CACL", "base model", "window 4", "text alone", "no weights"]
    assert planned.config.train.epochs == 40


def test_names_of_variants_are_rows_of_tables(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    names = ["one", "one", "two\nlines", "x" * 101, "x" * 100]
    listed = [{"name": name, "set": {"loss.window": place}} for place, name in enumerate(names, start=1)]
    file.write_text(yaml.safe_dump({"base": "iemocap", "variants": {"listed": listed}}), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_study_file(file)
    assert [line.partition("variants.listed: ")[2][:71] for line in error.value.problems] == [
        "variant 3: its name, a row of every table, must be one line of at most ",
        "variant 4: its name, a row of every table, must be one line of at most ",
        "the name 'one' must stand for one variant, stands for 2",
    ]


def test_a_study_file_that_is_a_folder_or_in_another_encoding_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"is the folder {tmp_path}$"):
        read_study_file(tmp_path)
    file = tmp_path / "mine.yaml"
    file.write_bytes("base: iemocap\ntitle: Übung\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"mine.yaml:2: must be text in UTF-8, has the byte 0xdc"):
        read_study_file(file)


def test_what_would_be_dropped_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "base: iemocap\nset: {sweep.trials: 5}\ndefaults:\n  sweep: {sampler: gp}\nvariants:\n  listed:\n"
        "    - {name: one, reference: true}\n    - {name: two, set: {loss.window: 3}, reference: true}\n"
    )
    with pytest.raises(ConfigError) as error:
        read_study_file(file)
    assert [line.removeprefix(f"{file}:") for line in error.value.problems] == [
        "2: set.sweep.trials: is for searches; a study trains every variant to its end, leave it out",
        "4: defaults.sweep.sampler: is for searches; a study trains every variant to its end, leave it out",
        "6: variants.listed: must have one variant with reference: true at most, has one, two",
    ]


def test_published_values_of_no_variant_are_told() -> None:
    published = {"mmgcn": {"w/o CACK": {"wf1": 69.0}}, "ddni": {}}
    variants = VariantsSpec(leave_one_out=("no_cacl",))
    study = StudyFile(base="iemocap", models={"mmgcn": {}, "ddin": {}}, variants=variants, published=published)
    assert plan_study(study, {"data.shards": "shards"}, models=["mmgcn"]).problems == (
        "published.mmgcn: must name variants of the study (DCLF, w/o CACL), has 'w/o CACK'; did you mean w/o CACL?",
        "published: must name base models of the study (mmgcn, ddin), has 'ddni'; did you mean ddin?",
    )
