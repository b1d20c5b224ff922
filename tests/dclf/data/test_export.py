"""Shards in other programs' forms, and back: features keep every bit, and what a form cannot hold is told."""

from __future__ import annotations

import pickle
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dclf.data import Dialogue, OutputFolderError, export_shards, generate, import_dataset, read_shards, write_shards
from dclf.data.dialogue import DatasetInfo
from dclf.data.readable import readable
from tests.dclf.data.support import make_dialogue, make_dialogues, make_info
from tests.dclf.data.test_mmgcn_variants import pickle_of
from tune.commands.main import main


def gaps() -> tuple[DatasetInfo, list[Dialogue]]:
    """Dialogues with an utterance that has no label and no audio, and with sentiments."""
    info = make_info(sentiment_names=("bad", "good"))
    dialogues = make_dialogues()
    labels, audio = dialogues[2].labels.copy(), dialogues[2].features["audio"].copy()
    labels[1], audio[1] = -1, 0
    there = np.arange(len(labels)) != 1
    features = {**dialogues[2].features, "audio": audio}
    changes: dict[str, Any] = {"labels": labels, "features": features, "present": {"audio": there}}
    dialogues[2] = make_dialogue(2, "train", len(labels), **changes, sentiments=np.ones(len(labels), np.int32))
    return info, dialogues


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    info, dialogues = gaps()
    write_shards(dialogues, tmp_path / "shards", info)
    return tmp_path / "shards"


def assert_alike(first: Path, second: Path, *, whole: bool) -> None:
    """The same dialogues with the same features, bit for bit; ``whole``: also what pickles cannot hold."""
    expected = {dialogue.dialogue_id: dialogue for dialogue in read_shards(first)}
    dialogues = {dialogue.dialogue_id: dialogue for dialogue in read_shards(second)}
    assert dialogues.keys() == expected.keys()
    for name, dialogue in dialogues.items():
        other = expected[name]
        assert (dialogue.split, dialogue.utterances) == (other.split, other.utterances)
        assert dialogue.labels.tolist() == other.labels.tolist()
        assert dialogue.speakers.tolist() == other.speakers.tolist()
        assert dialogue.features.keys() == other.features.keys()
        assert all(rows.tobytes() == other.features[m].tobytes() for m, rows in dialogue.features.items())
        if whole:
            assert {m: there.tolist() for m, there in dialogue.present.items()} == {
                m: there.tolist() for m, there in other.present.items()
            }
            mine, theirs = ([-1] * len(d) if d.sentiments is None else d.sentiments.tolist() for d in (dialogue, other))
            assert mine == theirs


def again(notes: str, out: Path) -> list[str]:
    """The command that reads an export again, as it is told."""
    (words,) = re.findall(r"read it again with: dclf (.*)", notes)
    return [str(out) if word == "SHARDS" else word for word in shlex.split(words)]


@pytest.mark.parametrize("preset", ["iemocap-small", "meld-small"])
@pytest.mark.parametrize("form", ["mmgcn", "huggingface"])
def test_there_and_back_by_the_command_that_is_told(
    tmp_path: Path, preset: Any, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    info, dialogues = generate(preset, 14, seed=2)
    write_shards(dialogues, tmp_path / "shards", info)
    command = ["data", "export", str(tmp_path / "shards"), str(tmp_path / "exported"), "--format", form]
    assert main(command) == 0
    output = capsys.readouterr().out
    assert str(tmp_path / "exported") in output
    assert main(again(output, tmp_path / "back")) == 0
    assert_alike(tmp_path / "shards", tmp_path / "back", whole=True)
    assert read_shards(tmp_path / "back").info.class_names == info.class_names
    assert main(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


@pytest.mark.parametrize("names", [("quite calm", "anger, cold", 'the "joy"'), ("one alone",)])
@pytest.mark.parametrize("form", ["mmgcn", "huggingface"])
def test_names_of_any_form_come_back_by_the_command_that_is_told(
    tmp_path: Path, form: str, names: tuple[str, ...]
) -> None:
    info = make_info(dataset="our calls; first", class_names=names)
    dialogues = [replace(one, labels=np.minimum(one.labels, len(names) - 1)) for one in make_dialogues()]
    write_shards(dialogues, tmp_path / "shards", info)
    notes = export_shards(tmp_path / "shards", tmp_path / "the export's", form).notes
    assert main(again("\n".join(notes), tmp_path / "back")) == 0
    back = read_shards(tmp_path / "back").info
    assert (back.dataset, back.class_names) == (info.dataset, info.class_names)


def test_gaps_and_sentiments_survive_the_data_sets_library(shards: Path, tmp_path: Path) -> None:
    export_shards(shards, tmp_path / "hub", "huggingface")
    import_dataset("huggingface", tmp_path / "hub", tmp_path / "back", dataset="toy")
    assert_alike(shards, tmp_path / "back", whole=True)
    assert read_shards(tmp_path / "back").info.sentiment_names == ("bad", "good")


def test_what_mmgcns_pickle_cannot_hold_is_told(shards: Path, tmp_path: Path) -> None:
    notes = export_shards(shards, tmp_path / "toy.pkl", "mmgcn").notes
    assert notes[:3] == (
        "1 missing row became zeros",
        "1 utterance without a label have -1, which other programs may not know",
        "the sentiments are left out",
    )
    assert main(again("\n".join(notes), tmp_path / "back")) == 0
    assert_alike(shards, tmp_path / "back", whole=False)


def test_mmgcns_own_file_comes_back(tmp_path: Path) -> None:
    from tests.dclf.data.feature_files import LAYOUTS  # noqa: PLC0415

    layout = LAYOUTS["MMGCN, IEMOCAP"]
    source = pickle_of(tmp_path, layout.content(layout.talks))
    import_dataset("features", source, tmp_path / "first")
    export_shards(tmp_path / "first", tmp_path / "again.pkl", "mmgcn")
    content = pickle.loads((tmp_path / "again.pkl").read_bytes())
    assert (type(content), len(content)) == (tuple, 9)
    assert {*content[7]} == {*layout.talks.train}
    val_ids = tmp_path / "again.pkl.val.txt"
    import_dataset("features", tmp_path / "again.pkl", tmp_path / "second", val_ids=val_ids)
    assert_alike(tmp_path / "first", tmp_path / "second", whole=True)


def test_an_absent_modality_stays_absent(tmp_path: Path) -> None:
    info = make_info(widths={"text": 5})
    dialogues = [make_dialogue(n, split, 3) for n, split in enumerate(("train", "train", "val", "test"))]
    write_shards([dialogue.only(["text"]) for dialogue in dialogues], tmp_path / "shards", info)
    notes = export_shards(tmp_path / "shards", tmp_path / "text.pkl", "mmgcn").notes
    assert notes[0].startswith("its audio and visual is None")
    assert main(again("\n".join(notes), tmp_path / "back")) == 0
    assert_alike(tmp_path / "shards", tmp_path / "back", whole=True)


def test_numpys_archive_holds_everything(shards: Path, tmp_path: Path) -> None:
    export_shards(shards, tmp_path / "toy.npz", "npz")
    arrays = np.load(tmp_path / "toy.npz", allow_pickle=False)
    starts = np.cumsum([0, *arrays["lengths"]])
    for place, dialogue in enumerate(read_shards(shards)):
        rows = slice(starts[place], starts[place + 1])
        assert (arrays["dialogue_ids"][place], arrays["splits"][place]) == (dialogue.dialogue_id, dialogue.split)
        assert arrays["labels"][rows].tolist() == dialogue.labels.tolist()
        assert arrays["utterances"][rows].tolist() == list(dialogue.utterances)
        for modality, matrix in dialogue.features.items():
            assert arrays[modality][rows].tobytes() == matrix.tobytes()
            there = dialogue.present.get(modality, np.ones(len(dialogue), bool))
            assert arrays[f"{modality}_present"][rows].tolist() == there.tolist()
    assert arrays["class_names"].tolist() == list(make_info().class_names)


def test_a_failed_export_leaves_what_was_there(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "kept.pkl").write_text("precious")
    with pytest.raises(OutputFolderError, match=r"kept\.pkl: is there already"):
        export_shards(shards, tmp_path / "kept.pkl", "mmgcn")
    next(shards.glob("test-*.arrow")).write_bytes(b"damaged")
    with pytest.raises(ValueError, match="test-00000"):
        export_shards(shards, tmp_path / "kept.pkl", "mmgcn", overwrite=True)
    assert (tmp_path / "kept.pkl").read_text() == "precious"
    assert [file.name for file in tmp_path.iterdir() if "kept" in file.name] == ["kept.pkl"]
    with pytest.raises(ValueError, match="--format must be one of huggingface, npz, mmgcn, is 'csv'"):
        export_shards(shards, tmp_path / "x", "csv")


def test_an_export_to_a_uri_is_refused(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(OutputFolderError, match=r"s3://bucket/data\.npz: an export must be on this machine, is a URI"):
        export_shards(shards, "s3://bucket/data.npz", "npz")
    assert not list(Path().iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, at any depth."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("form", ["npz", "mmgcn", "huggingface"])
def test_overwriting_replaces_exports_alone(shards: Path, tmp_path: Path, form: str) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "thesis.tex").write_text("precious")
    before = contents(tmp_path)
    with pytest.raises(OutputFolderError, match=r"results: must .* to be overwritten, .* delete it yourself"):
        export_shards(shards, tmp_path / "results", form, overwrite=True)
    for place in (shards, shards / "toy", shards / "below" / "toy"):
        with pytest.raises(OutputFolderError, match="must lie outside the shards"):
            export_shards(shards, place, form, overwrite=True)
    assert contents(tmp_path) == before
    export_shards(shards, tmp_path / "toy", form)
    first = contents(tmp_path)
    export_shards(shards, tmp_path / "toy", form, overwrite=True)
    assert contents(tmp_path) == first
    assert len(first) > len(before)


def test_an_export_that_cannot_take_its_place_loses_nothing(shards: Path, tmp_path: Path, monkeypatch: Any) -> None:
    export_shards(shards, tmp_path / "hub", "huggingface")
    before = contents(tmp_path)

    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(target))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputFolderError, match="hub: cannot be written"):
        export_shards(shards, tmp_path / "hub", "huggingface", overwrite=True)
    assert contents(tmp_path) == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["hub", "shards"]


def test_what_a_killed_export_moved_aside_comes_back(shards: Path, tmp_path: Path) -> None:
    export_shards(shards, tmp_path / "hub", "huggingface")
    before = contents(tmp_path)
    aside = tmp_path / ".hub.unfinished" / "before"
    aside.mkdir(parents=True)
    (tmp_path / "hub").rename(aside / "hub")
    with pytest.raises(OutputFolderError, match="hub: is there already"):
        export_shards(shards, tmp_path / "hub", "huggingface")
    assert contents(tmp_path) == before


def test_a_file_where_a_folder_goes_is_not_replaced(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "hub").write_text("precious")
    with pytest.raises(OutputFolderError, match="hub: must be a folder to be overwritten, is a file"):
        export_shards(shards, tmp_path / "hub", "huggingface", overwrite=True)
    assert (tmp_path / "hub").read_text() == "precious"


def test_a_list_beside_mmgcns_pickle_is_not_replaced_unasked(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "toy.pkl.val.txt").write_text("precious")
    with pytest.raises(OutputFolderError, match=r"toy\.pkl\.val\.txt: is there already"):
        export_shards(shards, tmp_path / "toy.pkl", "mmgcn")
    next(shards.glob("test-*.arrow")).write_bytes(b"damaged")
    with pytest.raises(ValueError, match="test-00000"):
        export_shards(shards, tmp_path / "toy.pkl", "mmgcn", overwrite=True)
    assert (tmp_path / "toy.pkl.val.txt").read_text() == "precious"


def test_a_dialogue_as_a_person_reads_it(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info, dialogues = gaps()
    lines = readable(dialogues[2], info).splitlines()
    assert lines[0] == "d2: train, 3 utterances, text 5, audio 4, visual 3"
    assert re.fullmatch(r"  1  speaker \d  \(no label\) \(good\) +words 2 1  \[no audio\]", lines[2])
    assert readable(make_dialogue(0, utterances=()), info).count("(no transcript)") == 4
    steering = make_dialogue(0, dialogue_id="d\x1b[2J", length=1, utterances=("one\x1b[31m\x9b1A\r\ntwo",))
    names = make_info(class_names=("\x07a", "\x07b", "\x07c"))
    assert readable(steering, names).splitlines()[0].startswith("d?[2J: train")
    assert readable(steering, names).splitlines()[1].endswith("one?[31m?1A two")
    assert readable(steering, names).replace("\n", "").isprintable()
    assert main(["data", "head", str(shards), "-n", "3"]) == 0
    output = capsys.readouterr().out
    assert [line.partition(":")[0] for line in output.splitlines() if line[:1].strip()] == ["d0", "d1", "d2"]
    assert main(["data", "head", str(shards), "--split", "val"]) == 0
    assert capsys.readouterr().out.count(": val, ") == 2
    assert main(["data", "head", str(shards), "-n", "0"]) == 2
