import json
import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dclf.data import SPLITS, DatasetInfo, Dialogue, generate, read_shards, write_shards
from dclf.data.presets import PRESETS
from tests.dclf.data.test_mmgcn_variants import iemocap_content
from tests.dclf.sparse import made_sparse
from tune.commands import data as commands
from tune.commands.main import main

Streams = pytest.CaptureFixture[str]


@pytest.fixture
def shards(tmp_path: Path, capsys: Streams) -> Path:
    folder = tmp_path / "shards"
    assert main(["data", "generate", str(folder), "--preset", "meld-small", "--dialogues", "12", "--seed", "3"]) == 0
    assert capsys.readouterr().out.startswith(f"{folder}: 12 dialogues (")
    return folder


def test_generating_again_needs_overwrite(shards: Path, capsys: Streams) -> None:
    again = ["data", "generate", str(shards), "--preset", "iemocap-small", "--dialogues", "5"]
    assert main(again) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*again, "--overwrite"]) == 0
    assert sum(1 for _ in read_shards(shards)) == 5


def test_generating_for_long_says_how_far_it_is(
    tmp_path: Path, capsys: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "PROGRESS_SECONDS", 0.0)
    assert main(["data", "generate", str(tmp_path / "shards"), "--preset", "meld-small", "--dialogues", "1200"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.endswith("dialogues")] == [f"{n:,} of 1,200 dialogues" for n in range(1200)]


def test_inspect_prints_the_card(shards: Path, capsys: Streams) -> None:
    assert main(["data", "inspect", str(shards)]) == 0
    assert "generated-meld-small" in capsys.readouterr().out
    assert main(["data", "inspect", str(shards), "--output", "json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert sum(split["dialogues"] for split in card["splits"].values()) == 12


def test_foreign_names_do_not_steer_the_terminal(tmp_path: Path, capsys: Streams) -> None:
    info, dialogues = generate("meld-small", 12)
    names = (*info.class_names[:-1], "\x1b[2Jlast", "\x9b1Anever")
    facts = {"dataset": "toy\x1b]0;", "class_names": names, "provenance": {"importer": "own\x07"}}
    write_shards(dialogues, tmp_path / "shards", replace(info, **facts))  # type: ignore[arg-type]
    assert main(["data", "inspect", str(tmp_path / "shards")]) == 0
    output = capsys.readouterr()
    assert "no utterance is ?1Anever" in output.err
    assert "?[2Jlast" in output.out
    assert (output.out + output.err).replace("\n", "").isprintable()


@pytest.mark.slow
def test_probe_prints_a_table_and_the_card_shows_it(tmp_path: Path, capsys: Streams) -> None:
    shards = tmp_path / "shards"
    assert main(["data", "generate", str(shards), "--preset", "meld-small", "--dialogues", "40"]) == 0
    capsys.readouterr()
    assert main(["data", "probe", str(shards), "--output", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [probe["modality"] for probe in report["modalities"]] == ["text", "audio", "visual"]
    assert main(["data", "probe", str(shards), "--modalities", "audio"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["linear", "probe,", "WF1"]
    assert row.startswith("audio")
    assert main(["data", "inspect", str(shards)]) == 0
    assert "| visual | " in capsys.readouterr().out


def test_the_best_answers_are_printed_and_the_card_shows_them(tmp_path: Path, capsys: Streams) -> None:
    shards = tmp_path / "shards"
    words = ["--preset", "iemocap-small", "--dialogues", "9", "--test-keep", "0.2"]
    assert main(["data", "generate", str(shards), *words]) == 0
    capsys.readouterr()
    assert main(["data", "bayes", str(shards), "--modalities", "audio"]) == 0
    head, middle, train = capsys.readouterr().out.splitlines()
    assert head.split()[-6:] == ["WF1", "accuracy", "expected", "WF1", "on", "shifts"]
    assert (middle.startswith("all is known"), train.startswith("train's shares")) == (True, True)
    assert not (shards / "bayes.json").exists()
    assert main(["data", "bayes", str(shards), "--output", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["modalities"] == ["text", "audio", "visual"]
    assert main(["data", "inspect", str(shards)]) == 0
    assert "| all is known | " in capsys.readouterr().out


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_generated(preset: str, tmp_path: Path, capsys: Streams) -> None:
    shards = tmp_path / "shards"
    assert main(["data", "generate", str(shards), "--preset", preset, "--dialogues", "3"]) == 0
    assert read_shards(shards).info.dataset == f"generated-{preset}"


def test_no_share_is_refused_before_anything_is_written(tmp_path: Path, capsys: Streams) -> None:
    assert main(["data", "generate", str(tmp_path / "shards"), "--test-keep", "2"]) == 2
    assert "test_keep" in capsys.readouterr().err
    assert not (tmp_path / "shards").exists()


def test_what_is_missing_is_told_per_split(tmp_path: Path, capsys: Streams) -> None:
    info, dialogues = generate("meld-small", 12, 0)
    write_shards(made_sparse(dialogues), tmp_path / "sparse", info)
    assert main(["data", "inspect", str(tmp_path / "sparse"), "--output", "json"]) == 0
    splits = json.loads(capsys.readouterr().out)["splits"]
    assert main(["data", "inspect", str(tmp_path / "sparse")]) == 0
    (row,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("| without audio"))
    assert [int(cell) for cell in row.split("|")[2:-1]] == [splits[s]["missing"].get("audio", 0) for s in SPLITS]
    assert main(["data", "validate", str(tmp_path / "sparse")]) == 0
    output = capsys.readouterr().err
    assert f"note: train: {splits['train']['unlabelled']} utterances without a label" in output
    assert f"note: train: {splits['train']['missing']['text']} utterances without text features" in output
    assert main(["data", "validate", str(tmp_path / "sparse"), "--output", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["unlabelled"]["train"] == splits["train"]["unlabelled"]
    assert report["missing"]["train"] == splits["train"]["missing"]


def test_validate_counts_problems(shards: Path, capsys: Streams) -> None:
    assert main(["data", "validate", str(shards)]) == 0
    assert capsys.readouterr().out == f"{shards}: 0 problems, 0 warnings\n"
    damaged = sorted(shards.glob("train-*.arrow"))[0]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    assert main(["data", "validate", str(shards), "--output", "json"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert damaged.name in problem


@pytest.mark.parametrize("option", [["--dialogues", "many"], ["--preset", "emorynlp"], ["--seeds", "1"]])
def test_wrong_options_are_code_2(tmp_path: Path, option: list[str], capsys: Streams) -> None:
    assert main(["data", "generate", str(tmp_path / "out"), *option]) == 2
    assert "dclf data generate --help" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "problem"),
    [(["--seed", "-1"], "--seed must be 0 or more"), (["--dialogues", "2"], "--dialogues must be")],
)
def test_wrong_values_are_code_2(tmp_path: Path, option: list[str], problem: str, capsys: Streams) -> None:
    assert main(["data", "generate", str(tmp_path / "out"), *option]) == 2
    assert f"dclf: error: {problem}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_seed_of_a_probe_is_0_or_more(tmp_path: Path, capsys: Streams) -> None:
    assert main(["data", "probe", str(tmp_path), "--seed", "-1"]) == 2
    assert "dclf: error: seed must be 0 or more, is -1" in capsys.readouterr().err


class Payload:
    """A pickle that would run code on reading."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


def test_a_pickle_with_code_is_refused_and_nothing_runs(tmp_path: Path, capsys: Streams) -> None:
    source, trace = tmp_path / "bad.pkl", tmp_path / "trace"
    source.write_bytes(pickle.dumps(Payload(trace)))
    assert main(["data", "import", "mmgcn-iemocap", str(source), str(tmp_path / "out")]) == 2
    assert "mkdir" in capsys.readouterr().err
    assert not trace.exists()


def test_meld_tables_become_shards(tmp_path: Path, capsys: Streams) -> None:
    head = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
    rows = (
        '1,Hi there,Ann,joy,positive,0,0,1,1,"00:00:01,000","00:00:02,000"\n'
        '2,Well,Bo,anger,negative,0,1,1,1,"00:00:03,000","00:00:04,500"\n'
    )
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.csv").write_text(head + rows, encoding="utf-8")
        np.save(tmp_path / f"{name}_text.npy", np.ones((2, 3), dtype=np.float32) * np.array([[1], [2]]))
    out = tmp_path / "out"
    pattern = str(tmp_path / "{split}_text.npy")
    assert main(["data", "import", "meld-csv", str(tmp_path), str(out), "--text", pattern, "--audio", "timing"]) == 0
    assert "3 dialogues (1 train, 1 val, 1 test), 6 utterances" in capsys.readouterr().out
    assert read_shards(out).info.modalities == ("text", "audio")


def write_meld(folder: Path, dialogues: int) -> None:
    """Tables of dialogues of one utterance each, whose text features are all zero."""
    head = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
    rows = [f'1,Hi,Ann,joy,positive,{n},0,1,1,"00:00:01,000","00:00:02,000"\n' for n in range(dialogues)]
    for name in ("train", "dev", "test"):
        (folder / f"{name}.csv").write_text(head + "".join(rows), encoding="utf-8")
        np.save(folder / f"{name}_text.npy", np.zeros((dialogues, 3), dtype=np.float32))


@pytest.mark.parametrize(("dialogues", "rest"), [(1, ""), (3, "and 4 further warnings; all of them: dclf data valid")])
def test_all_zero_rows_are_told_on_importing(tmp_path: Path, capsys: Streams, dialogues: int, rest: str) -> None:
    write_meld(tmp_path, dialogues)
    out, pattern = str(tmp_path / "out"), str(tmp_path / "{split}_text.npy")
    assert main(["data", "import", "meld-csv", str(tmp_path), out, "--text", pattern]) == 0
    output = capsys.readouterr()
    assert output.out.startswith(f"{out}: {3 * dialogues} dialogues")
    assert output.err.count("text features are all zero at utterance 0") == min(3 * dialogues, 5)
    *_, last, steps = output.err.splitlines()
    assert last.startswith(rest or "warning: dialogue ")
    assert steps == f"next: dclf data inspect {out} · dclf train meld --data.shards {out} --data.modalities text"


def test_classes_that_no_utterance_has_are_told_once(tmp_path: Path, capsys: Streams) -> None:
    write_meld(tmp_path, 2)
    out, pattern = str(tmp_path / "out"), str(tmp_path / "{split}_text.npy")
    words = "warning: no utterance is neutral, surprise, fear, sadness, disgust, anger: 6 of the 7 classes are empty, "
    assert main(["data", "import", "meld-csv", str(tmp_path), out, "--text", pattern]) == 0
    assert capsys.readouterr().err.count(words) == 1
    assert main(["data", "inspect", out]) == 0
    assert capsys.readouterr().err.startswith(words)
    assert main(["data", "inspect", out, "--output", "json"]) == 0
    assert [words.removeprefix("warning: ") in line for line in json.loads(capsys.readouterr().out)["warnings"]] == [
        True
    ]
    assert main(["data", "validate", out]) == 0
    assert capsys.readouterr().err.count(words) == 1
    generate = ["data", "generate", str(tmp_path / "few"), "--preset", "meld-small", "--dialogues", "3"]
    assert main(generate) == 0
    assert capsys.readouterr().err.startswith("warning: no utterance is ")
    assert main([*generate[:-1], "60", "--overwrite"]) == 0
    assert capsys.readouterr().err.startswith("next: ")


def test_the_text_element_is_told_and_can_be_chosen(tmp_path: Path, capsys: Streams) -> None:
    source, text, out = tmp_path / "features.pkl", tmp_path / "roberta.pkl", str(tmp_path / "out")
    content = iemocap_content()
    layers = [{name: np.full((2, 8), layer / 4) for name in content[2]} for layer in range(2)]
    source.write_bytes(pickle.dumps(content, protocol=2))
    text.write_bytes(pickle.dumps([content[1], *layers], protocol=2))
    command = ["data", "import", "mmgcn-iemocap", str(source), out, "--val_dialogues", "2", "--text", str(text)]
    assert main(command) == 0
    line = "text: element 1 of roberta.pkl, 8 wide; 2 are as wide, --text FILE#K takes another\n"
    assert line in capsys.readouterr().out
    assert main([*command, "--overwrite", "--text-element", "2"]) == 0
    assert "text: element 2 of roberta.pkl, 8 wide\n" in capsys.readouterr().out
    assert {float(dialogue.features["text"][0, 0]) for dialogue in read_shards(out)} == {0.25}
    assert main([*command, "--overwrite", "--text-element", "2.0"]) == 2
    text.write_bytes(pickle.dumps([*layers, {name: np.ones((2, 6)) for name in content[2]}], protocol=2))
    assert main([*command, "--overwrite"]) == 2
    assert "element 2: rows of numbers, 6 wide" in capsys.readouterr().err


def test_an_importer_without_any_modality_says_so(tmp_path: Path, capsys: Streams) -> None:
    assert main(["data", "import", "meld-csv", str(tmp_path), str(tmp_path / "out")]) == 2
    assert "give at least one of text" in capsys.readouterr().err


def rows(table: str, width: int = 2, text_only: bool = True) -> tuple[DatasetInfo, Iterator[Dialogue]]:
    """Dialogues that are all alike.

    Args:
        table: a file with the ids.
        width: of the text features, 100 % of it.
        text_only: no audio.
    """
    widths = {"text": width} if text_only else {"text": width, "audio": 1}
    info = DatasetInfo(dataset="own", class_names=("a", "b"), widths=widths, speaker_count=1, provenance={"a": "b"})

    def dialogues() -> Iterator[Dialogue]:
        for name in Path(table).read_text(encoding="utf-8").split():
            features = {modality: np.ones((2, size), dtype=np.float32) for modality, size in widths.items()}
            codes = np.array([0, 0], dtype=np.int32), np.array([0, 1], dtype=np.int32)
            split = name.partition("-")[0]
            yield Dialogue(dialogue_id=name, split=split, speakers=codes[0], labels=codes[1], features=features)

    return info, dialogues()


def test_an_importer_by_its_class_path_has_its_own_options(tmp_path: Path, capsys: Streams) -> None:
    (tmp_path / "ids").write_text("train-1 val-1 test-1", encoding="utf-8")
    command = ["data", "import", f"{__name__}:rows", str(tmp_path / "ids"), str(tmp_path / "out")]
    assert main([*command, "--text_only", "false", "--width", "3"]) == 0
    assert "3 dialogues (1 train, 1 val, 1 test), 6 utterances" in capsys.readouterr().out
    assert dict(read_shards(tmp_path / "out").info.widths) == {"text": 3, "audio": 1}
    assert main([*command, "--width", "wide"]) == 2
    assert "--width" in capsys.readouterr().err
    assert main([*command[:3], "--help"]) == 0
    output = capsys.readouterr().out
    assert "Dialogues that are all alike." in output
    assert "of the text features, 100 % of it (type: int, default: 2)" in " ".join(output.split())


def plain_rows(table, width=2):  # type: ignore[no-untyped-def]
    """As ``rows``, without types."""
    return rows(table, width)


def test_an_option_without_a_type_has_that_of_its_default(tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("train-1 val-1 test-1", encoding="utf-8")
    command = ["data", "import", f"{__name__}:plain_rows", str(tmp_path / "ids"), str(tmp_path / "out")]
    assert main([*command, "--width", "3"]) == 0
    assert read_shards(tmp_path / "out").info.widths["text"] == 3
    assert main([*command, "--overwrite"]) == 0
    assert read_shards(tmp_path / "out").info.widths["text"] == 2


def test_an_importer_that_is_not_there_is_wrong_usage(tmp_path: Path, capsys: Streams) -> None:
    assert main(["data", "import", "no_such_module:rows", "ids", str(tmp_path / "out")]) == 2
    assert "importer: 'no_such_module:rows' cannot be imported: ModuleNotFoundError" in capsys.readouterr().err
