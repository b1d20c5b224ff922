import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclf.config import Ablation, Config
from tune.config.settings import config_types, describe, load_config, preset_names, read_config
from tune.config.yaml_files import ConfigError, read_config_file
from tune.search.read import load_sweep

SOUND = {"data.shards": "shards"}
TABLE1_PRESETS = ("iemocap-aghmn", "iemocap-dialogue-rnn", "meld-aghmn", "meld-dialogue-rnn")
DCLF_PRESETS = ("iemocap", "iemocap-ddin", "meld", "meld-ddin")
ROBUST_PRESETS = ("iemocap-robust", "meld-robust")
OTHER_PRESETS = tuple(name for name in preset_names() if name not in TABLE1_PRESETS + DCLF_PRESETS + ROBUST_PRESETS)


def write(folder: Path, text: str, name: str = "run.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def problems_of(config: str | Path | None, overrides: dict[str, Any] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as error:
        load_config(config, overrides)
    return error.value.problems


def test_all_mistakes_are_reported_at_once_with_their_lines(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """\
data:
  modalities: [text, smell]
loss:
  gama_ca: 0.5
  window: 0
train:
  epochs: 1.5
  device: gpuu
model:
  options: {layers: two, depth: 3}
epochs: 3
""",
    )
    problems = problems_of(file, {"train.lr": "-3", "gamma_ca": "1"})
    expected = [
        (2, "data.modalities: must be a list, each one of text, audio, visual, is ['text', 'smell']"),
        (4, "loss.gama_ca: unknown key; did you mean loss.gamma_ca?"),
        (7, "train.epochs: must be a whole number, is 1.5"),
        (8, "train.device: must be one of auto, cpu, gpu, is 'gpuu'"),
        (11, "epochs: unknown key; did you mean train.epochs?"),
        (10, "model.options.layers: must be a whole number, is 'two'"),
        (5, "loss.window: must be at least 1, is 0"),
    ]
    assert {f"{file}:{line}: {text}" for line, text in expected} <= set(problems)
    assert "gamma_ca: unknown key; did you mean loss.gamma_ca?" in problems
    assert "train.lr: must be above 0 and finite, is -3.0" in problems
    assert any(text.startswith(f"{file}:10: model.options.depth: mmgcn has no such option") for text in problems)
    assert any(text.startswith(f"{file}: data.shards: must name a folder") for text in problems)
    assert len(problems) == len(expected) + 4


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("loss.gamma_ca", "0.6", 0.6),
        ("train.lr", "1e-4", 1e-4),
        ("train.lr", 1, 1.0),
        ("train.epochs", "3", 3),
        ("train.workers", "2", 2),
        ("train.workers", "[1,4]", (1, 4)),
        ("train.workers", "1,4", (1, 4)),
        ("train.workers", [1, 4], (1, 4)),
        ("train.workers", (1, 4), (1, 4)),
        ("data.modalities", "text,audio", ("text", "audio")),
        ("data.modalities", "[text, audio]", ("text", "audio")),
        ("data.modalities", "text", ("text",)),
        ("data.modalities", ["audio"], ("audio",)),
        ("model.causal", "false", False),
        ("model.options", "{layers: 2}", {"layers": 2}),
        ("model.options.layers", "2", {"layers": 2}),
        ("model.options.dropout", "0.25", {"dropout": 0.25}),
        ("track.tags.owner", "me", {"owner": "me"}),
        ("track.name", "7", "7"),
    ],
)
def test_values_from_the_command_line_and_from_python(key: str, text: Any, value: Any) -> None:
    config = load_config(None, {**SOUND, key: text})
    section, name = key.split(".")[:2]
    assert getattr(getattr(config, section), name) == value


@pytest.mark.parametrize(
    ("key", "value", "must"),
    [
        ("train.epochs", True, "a whole number"),
        ("train.epochs", None, "a whole number"),
        ("train.lr", "fast", "a number"),
        ("model.causal", 1, "true or false"),
        ("track.name", 5, "text"),
        ("train.workers", [1, 2, 3], "a whole number or a list of 2, each a whole number"),
        ("track.tags", "x", "a mapping of keys to values"),
        ("loss.ablate", "all", f"one of {', '.join(get_args(Ablation))}"),
    ],
)
def test_wrong_types_are_refused(key: str, value: Any, must: str) -> None:
    assert problems_of(None, {**SOUND, key: value}) == (f"{key}: must be {must}, is {value!r}",)


def test_sections_may_be_given_as_mappings() -> None:
    config = load_config(None, {"data": {"shards": "x"}, "loss": {"window": 3}})
    assert (config.data.shards, config.loss.window) == ("x", 3)


def test_overrides_win_over_the_file_and_merge_into_mappings(tmp_path: Path) -> None:
    file = write(tmp_path, "data: {shards: a}\nmodel:\n  options: {layers: 2, hidden: 8}\n")
    config = load_config(file, {"data.shards": "b", "model.options.layers": "3"})
    assert config.data.shards == "b"
    assert config.model.options == {"layers": 3, "hidden": 8}


def test_options_are_checked_against_the_model_that_is_asked_for(tmp_path: Path) -> None:
    file = write(tmp_path, "data: {shards: a}\nmodel: {options: {layers: 2}}\n")
    assert load_config(file).model.options == {"layers": 2}
    assert [text for text in problems_of(file, {"model.name": "ddin"}) if "ddin has no such option" in text]


def test_an_override_mends_the_file_s_impossible_value(tmp_path: Path) -> None:
    file = write(tmp_path, "data: {shards: a}\nloss: {window: 0}\n")
    assert load_config(file, {"loss.window": 1}).loss.window == 1


def test_a_file_extends_another_and_its_lines_are_kept_apart(tmp_path: Path) -> None:
    write(tmp_path, "loss:\n  window: 3\n  temperature: hot\n", "base.yaml")
    file = write(tmp_path, "extends: base.yaml\ndata: {shards: x}\nloss: {window: 5}\n")
    (problem,) = problems_of(file)
    assert problem == f"{tmp_path / 'base.yaml'}:3: loss.temperature: must be a number, is 'hot'"
    assert read_config(file)[0].loss.window == 5


def test_extending_a_preset(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "extends: meld\ndata: {shards: x}\n"))
    assert (config.loss.window, config.train.batch_size) == (4, 8)


def test_extending_in_a_circle_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "extends: other.yaml\n")
    write(tmp_path, "extends: run.yaml\n", "other.yaml")
    assert any("must not lead back to itself" in text for text in problems_of(file, SOUND))


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("loss:\n  window: 1\n  window: 2\n", 3, "loss.window: must stand once"),
        ("loss:\n  window: 1\nloss.window: 2\n", 3, "loss.window: must stand once"),
        ("loss: 3\n", 1, "loss: must be a mapping of keys to values, is a scalar"),
        ("- loss\n", 1, "must be a mapping of keys to values, is a sequence"),
        ("loss:\n  window: [1\n", 3, "must be YAML"),
        ("a: !!python/object:os.system {}\n", 1, "must be YAML"),
        ("extends: nowhere\n", 1, "extends: must be a YAML file or a preset"),
        ("\nextends: .\n", 2, "extends: must be a YAML file or a preset"),
        ("loss:\n  <<: 3\n", 2, "must be YAML, expected a mapping or list of mappings for merging"),
        ("loss:\n  window: 3\n  \0\n", 3, "must be YAML, which has no character U+0000"),
        ("track:\n  name: 2026-13-01\n", 2, "track.name: must be a value that YAML can read (month must be in 1..12)"),
        ("track:\n  2026-13-01: x\n", 2, "track.2026-13-01: unknown key"),
        ("track:\n  tags: {2026-13-01: x}\n", 2, "track.tags: must be a value that YAML can read"),
        (f"loss:\n  window: {'9' * 5000}\n", 2, "loss.window: must be a value that YAML can read (Exceeds the limit"),
        ("model: &a {options: *a}\n", 1, "must be YAML, found unconstructable recursive node"),
        ("train:\n  seed: 9223372036854775808\n", 2, "train.seed: must be a whole number of at most 64 bits, is 92233"),
        ("data:\n  cache_mb: -99999999999999999999\n", 2, "data.cache_mb: must be a whole number of at most 64 bits"),
        (
            "train:\n  workers: [1, 9223372036854775808]\n",
            2,
            "train.workers: must be a whole number of at most 64 bits",
        ),
        ('train: {storage: "a\\0b"}\n', 1, "train.storage: must be text without NUL characters, is 'a\\x00b'"),
        ("train:\n  lr: 1e400\n", 2, "train.lr: must be above 0 and finite, is inf"),
        ("loss:\n  gamma_ca: .nan\n", 2, "loss.gamma_ca: must be 0 or more, is nan"),
        ('track:\n  experiment: ""\n', 2, "track.experiment: must be the name of an experiment, is ''"),
        (f"track:\n  experiment: {'e' * 3000}\n", 2, "track.experiment: must have at most 250 bytes, has 3000"),
        ("track:\n  tags:\n    ok: x\n    'a?b': y\n", 4, "track.tags.a?b: a tag's name must have letters"),
        ("track:\n  tags:\n    ok: x\n    host: y\n", 4, "track.tags.host: must have another name"),
        ("track:\n  tags: {year: 2026}\n", 2, "track.tags: must be a mapping of keys to text, numbers in quotes"),
    ],
)
def test_mistakes_of_form_name_their_line(tmp_path: Path, text: str, line: int, part: str) -> None:
    file = write(tmp_path, text)
    assert any(problem.startswith(f"{file}:{line}: ") and part in problem for problem in problems_of(file, SOUND))


def test_an_empty_file_and_empty_sections_mean_the_defaults(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, ""), SOUND) == load_config(None, SOUND)
    assert load_config(write(tmp_path, "loss:\ntrain:\n"), SOUND) == load_config(None, SOUND)


def test_a_mistyped_preset_is_named(tmp_path: Path) -> None:
    (problem,) = problems_of("imocap")
    assert "is 'imocap'; did you mean iemocap?" in problem


@pytest.mark.parametrize("name", [*DCLF_PRESETS])
def test_presets_are_sound_and_carry_their_published_results(name: str) -> None:
    config = load_config(name, SOUND)
    results = config.published[config.model.name]
    assert results["table3"]["dclf"]["wf1"] == results["table4"]["none"] == results["table6"]["dclf"]["raw"]
    assert results["table3"]["base"]["wf1"] == results["table6"]["base"]["raw"] == results["table7"]["base"]["whole"]
    assert set(results["table4"]) == set(get_args(Ablation)) - {"base"}
    assert config.published["source"]


def test_presets_hold_the_paper_s_values() -> None:
    values = {name: load_config(name, SOUND) for name in DCLF_PRESETS}
    assert {
        name: (c.model.name, c.loss.window, c.loss.gamma_ca, c.loss.gamma_mc, c.loss.temperature, c.train.batch_size)
        for name, c in values.items()
    } == {
        "iemocap": ("mmgcn", 10, 0.8, 0.4, 0.07, 16),
        "iemocap-ddin": ("ddin", 10, 0.8, 0.4, 0.07, 16),
        "meld": ("mmgcn", 4, 0.6, 0.4, 0.07, 8),
        "meld-ddin": ("ddin", 4, 0.6, 0.4, 0.07, 8),
    }
    assert {name: (c.train.lr, c.train.weight_decay, c.loss.class_weights) for name, c in values.items()} == {
        "iemocap": (3e-4, 3e-5, "balanced"),
        "iemocap-ddin": (1e-4, 1e-5, "balanced"),
        "meld": (1e-3, 0.0, "none"),
        "meld-ddin": (1e-4, 1e-5, "none"),
    }


@pytest.mark.parametrize("name", TABLE1_PRESETS)
def test_the_older_models_presets_are_the_setting_of_table_1(name: str) -> None:
    config = load_config(name, SOUND)
    dataset, _, model = name.partition("-")
    assert config.model.name == model.replace("-", "_")
    assert (config.data.modalities, config.loss.ablate, config.model.causal) == (("text",), "base", True)
    assert config.published["dataset"] == dataset
    assert ("table1" in config.published.get(config.model.name, {})) == (dataset == "iemocap")


def test_the_older_models_presets_hold_their_authors_values() -> None:
    values = {name: load_config(name, SOUND) for name in TABLE1_PRESETS}
    assert {
        name: (c.train.lr, c.train.weight_decay, c.train.batch_size, c.train.epochs, c.train.clip_norm)
        for name, c in values.items()
    } == {
        "iemocap-aghmn": (5e-4, 0.0, 1, 60, 5.0),
        "iemocap-dialogue-rnn": (1e-4, 1e-5, 30, 60, 0.0),
        "meld-aghmn": (5e-4, 0.0, 1, 20, 5.0),
        "meld-dialogue-rnn": (5e-4, 1e-5, 30, 100, 0.0),
    }
    weighted = {name for name, c in values.items() if c.loss.class_weights == "balanced"}
    assert weighted == {"iemocap-dialogue-rnn"}


def test_the_authors_of_dialogue_rnn_read_the_text_alone() -> None:
    assert load_config("iemocap", SOUND).published["dialogue_rnn"]["authors"]["modalities"] == ["text"]


@pytest.mark.parametrize("name", OTHER_PRESETS)
def test_the_other_presets_are_sound_and_carry_their_authors_results(name: str) -> None:
    config = load_config(name, SOUND)
    dataset, _, model = name.partition("-")
    assert config.model.name == model.replace("-", "_")
    assert config.loss.ablate == "none"
    assert config.published["dataset"] == dataset
    authors = config.published[config.model.name]["authors"]
    assert authors["source"]
    scores = authors.keys() & {"wa", "wf1"}
    assert scores
    assert all(50 < authors[score] < 80 for score in scores)
    assert authors.keys() <= {"wa", "wf1", "source", "best_on_test", "curriculum", "unverified", "modalities"}
    # DialogueGCN's paper has the text alone.
    assert authors.get("modalities") == (["text"] if model == "dialogue-gcn" else None)


@pytest.mark.parametrize("name", ROBUST_PRESETS)
def test_robust_presets_seek_two_objectives_from_another_form_of_the_same_method(name: str) -> None:
    config, settings = load_sweep(name, SOUND)
    ordinary = load_config(name.removesuffix("-robust"), SOUND)
    assert config == load_config(name, SOUND)
    assert replace(config, loss=ordinary.loss, train=ordinary.train) == ordinary
    assert (config.loss.gamma_ca, config.loss.denominator, config.loss.projection) == (0.1, "negatives", "linear")
    assert replace(config.train, perturb_every=0) == ordinary.train
    assert (settings.objectives, settings.scheduler) == ({"wf1": "maximize", "eics/wf1": "maximize"}, "none")


@pytest.mark.parametrize("name", TABLE1_PRESETS + DCLF_PRESETS + ROBUST_PRESETS)
def test_presets_leave_the_model_s_options_to_the_model(name: str) -> None:
    other = "ddin" if load_config(name, SOUND).model.name == "mmgcn" else "mmgcn"
    assert load_config(name, {**SOUND, "model.name": other}).model.name == other


def test_every_key_of_the_flat_config_is_known() -> None:
    keys = [key for key in config_types() if not key.startswith(("track", "published"))]
    assert keys == list(Config().flat())


@pytest.mark.parametrize("key", config_types())
def test_every_type_has_words(key: str) -> None:
    assert "typing" not in describe(config_types()[key])
    assert "class" not in describe(config_types()[key])


@settings(max_examples=40)
@given(st.dictionaries(st.text("abcdefg_.", min_size=1, max_size=12), st.integers() | st.text(max_size=4), max_size=6))
def test_every_unknown_override_is_named(overrides: dict[str, Any]) -> None:
    unknown = {key: value for key, value in overrides.items() if key not in config_types()}
    problems = read_config(None, {**SOUND, **unknown})[1]
    assert len(problems) == len(unknown)
    assert all(any(text.startswith(f"{key}: ") for text in problems) for key in unknown)


@pytest.mark.parametrize("text", ["extends: nowhere\ntrain: {lr: abc, lrr: 1}\n", "train: [\n"])
def test_a_file_that_cannot_be_read_hides_no_other_mistake(tmp_path: Path, text: str) -> None:
    file = write(tmp_path, text)
    problems = problems_of(file, {"loss.gamma_ca": "much", "data.shard": "x"})
    own = (
        ["extends: must be a YAML file", "train.lr: must be", "train.lrr: unknown"]
        if "abc" in text
        else ["must be YAML"]
    )
    words = [*own, "loss.gamma_ca: must be a number", "data.shard: unknown key"]
    assert len(problems) == len(words)
    assert [word for word, problem in zip(words, problems, strict=True) if word not in problem] == []


def test_whoever_changes_what_was_read_changes_no_later_reading(tmp_path: Path) -> None:
    file = write(tmp_path, "published: {mmgcn: {base: {wf1: 66}}}\ndata: {shards: x}\n")
    for entry in read_config_file(file, ["data"]).entries:
        if isinstance(entry.value, dict):
            entry.value.clear()
    assert load_config(file).published == {"mmgcn": {"base": {"wf1": 66}}}


def test_entries_know_where_they_stand(tmp_path: Path) -> None:
    file = write(tmp_path, "loss:\n  window: 3\n\n  temperature: 1\n")
    entries = read_config_file(file, ["loss"]).entries
    assert [(e.key, e.value, e.where) for e in entries] == [
        ("loss.window", 3, f"{file}:2"),
        ("loss.temperature", 1, f"{file}:4"),
    ]


def test_mistakes_inside_a_mapping_have_their_own_line(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """\
data: {shards: shards}
model:
  options:
    layers: two
    depth: 3
    layers: 4
track:
  tags: {by: me, by: you}
""",
    )
    first, second, *others = problems_of(file)
    assert first == f"{file}:6: model.options.layers: must stand once, but stands at {file}:4 already"
    assert second == f"{file}:8: track.tags.by: must stand once, but stands at {file}:8 already"
    assert [text.split(" mmgcn")[0] for text in others] == [f"{file}:5: model.options.depth:"]


def test_merged_keys_of_yaml(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """\
data: {shards: shards}
model:
  options:
    <<: {layers: 2, alpha: 0.2}
    layers: 3
""",
    )
    assert load_config(file).model.options == {"layers": 3, "alpha": 0.2}


def test_sections_may_merge_others_in(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """\
data: {shards: shards}
loss: &mine
  window: 3
  gamma_ca: 0.5
train:
  <<: [{epochs: 4, lr: 0.1}, {lr: 0.2, patience: 0}]
  epochs: 5
<<:
  track: {name: merged}
  loss: {window: 9}
""",
    )
    config = load_config(file)
    assert (config.train.epochs, config.train.lr, config.loss.window, config.track.name) == (5, 0.1, 3, "merged")


def test_mistakes_in_what_is_merged_name_its_own_line(tmp_path: Path) -> None:
    file = write(tmp_path, "data: {shards: x}\ntrain:\n  <<:\n    epochs: 0\n    lerning: 1\n  <<: {seed: -1}\n")
    assert [text.split(": must")[0] for text in problems_of(file)] == [
        f"{file}:5: train.lerning: unknown key; did you mean train.lr?",
        f"{file}:4: train.epochs",
        f"{file}:6: train.seed",
    ]


@pytest.mark.parametrize(
    ("content", "line", "byte"),
    [("track:\n  name: café\n".encode("latin-1"), 2, "0xe9"), ("train: {}\n".encode("utf-16"), 1, "0xff")],
)
def test_a_file_in_another_encoding_is_named_with_its_line(
    tmp_path: Path, content: bytes, line: int, byte: str
) -> None:
    file = tmp_path / "run.yaml"
    file.write_bytes(content)
    assert problems_of(file) == (f"{file}:{line}: must be text in UTF-8, has the byte {byte}; save the file as UTF-8",)


def test_a_mark_of_byte_order_is_no_part_of_the_text(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_bytes(b"\xef\xbb\xbfdata: {shards: x}\n")
    assert load_config(file).data.shards == "x"


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    presets = ", ".join(preset_names())
    for place, text in ((tmp_path, f"the folder '{tmp_path}'"), ("", "''"), ("x" * 5000, f"'{'x' * 299}…")):
        assert problems_of(place, SOUND) == (f"config: must be a YAML file or a preset ({presets}), is {text}",)
    deep = write(tmp_path, "[" * 5_000)
    assert problems_of(deep) == (f"{deep}: must be YAML that can be read, is nested too deeply",)


def test_text_stays_text_in_tags_on_the_command_line() -> None:
    config = load_config(
        None, {**SOUND, "track.tags.year": "2026", "track.tags.day": "2026-13-01", "track.tags.a.b": "true"}
    )
    assert config.track.tags == {"year": "2026", "day": "2026-13-01", "a.b": "true"}


def test_presets_are_checked_without_torch() -> None:
    code = (
        "import sys; from tune.search.read import read_sweep; from tune.search.checks import sweep_problems\n"
        "for preset in ('iemocap', 'iemocap-ddin', 'meld'):\n"
        "    config, settings, problems, _ = read_sweep(preset, {'data.shards': 'shards'})\n"
        "    print([*problems, *config.problems(), *sweep_problems(settings, config)], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[] False"] * 3


@pytest.mark.parametrize("value", ["!!bool maybe", "!!int ''", "!!timestamp foo", "!!float []"])
def test_a_tag_that_does_not_fit_its_text_is_told_with_its_place(value: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"train:\n  lr: {value}\n")
    with pytest.raises(ConfigError, match=f"{file}:2: "):
        load_config(file, {"data.shards": "shards"})
    with pytest.raises(ConfigError, match=r"loss\.terms"):
        load_config("iemocap", {"data.shards": "shards", "loss.terms.mine": value})
