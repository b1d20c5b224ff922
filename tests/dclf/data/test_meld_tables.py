"""MELD's tables, small ones made here: ids, speakers, order of rows, and every way they can be wrong."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dclf.data import DataError, OutputFolderError, SourceError, import_dataset, read_shards
from dclf.data.importers import import_meld_csv

COLUMNS = ("Sr No.", "Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "StartTime", "EndTime")
ROWS = {
    "train": [("Joey", "joy", 0), ("Ross ", "anger", 0), ("Joey", "neutral", 0), ("Monica", "fear", 7)],
    "dev": [("Ross", "Surprise", 0)],
    "test": [("Rachel", "disgust", 0), ("Ross", "sadness", 1), ("Joey", "joy", 1), ("Rachel", "joy", 1)],
}


def write_tables(folder: Path, changes: dict[tuple[str, int, str], str] | None = None, width: int = 3) -> str:
    """Tables, and rows whose first column is the row's number in the table; the rows' pattern."""
    changes = changes or {}
    for name, rows in ROWS.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            for place, row in enumerate(rows):
                values = full_row(place, *row)
                writer.writerow({column: changes.get((name, place, column), values[column]) for column in COLUMNS})
        np.save(folder / f"{name}_rows.npy", row_numbers(len(rows), width))
    return str(folder / "{split}_rows.npy")


def row_numbers(count: int, width: int) -> np.ndarray[Any, Any]:
    return np.stack([np.arange(count)] * width, axis=1).astype(np.float16)


def full_row(place: int, speaker: str, emotion: str, dialogue: int) -> dict[str, str]:
    times = {"StartTime": f"00:00:{2 * place:02d},000", "EndTime": f"00:00:{2 * place + 1 + place % 2:02d},500"}
    plain = {"Sr No.": str(place), "Utterance": f"naïve “{place}”", "Speaker": speaker, "Emotion": emotion}
    return {**plain, **times, "Dialogue_ID": str(dialogue), "Utterance_ID": str(place)}


def test_dialogues_follow_the_tables(tmp_path: Path) -> None:
    info, stream = import_meld_csv(tmp_path, visual=write_tables(tmp_path), audio="timing")
    dialogues = {dialogue.dialogue_id: dialogue for dialogue in stream}
    assert list(dialogues) == ["train-0", "train-7", "dev-0", "test-0", "test-1"]
    assert [d.split for d in dialogues.values()] == ["train", "train", "val", "test", "test"]
    assert info.speaker_count == 3
    assert dict(info.widths) == {"audio": 4, "visual": 3}
    first, last = dialogues["train-0"], dialogues["test-1"]
    assert first.speakers.tolist() == [0, 1, 0]
    assert last.speakers.tolist() == [0, 1, 2]
    assert first.labels.tolist() == [4, 6, 0]
    assert dialogues["dev-0"].labels.tolist() == [1]
    assert first.utterances[1] == "naïve “1”"
    assert last.features["visual"][:, 0].tolist() == [1, 2, 3]
    assert last.features["visual"].dtype == np.float32


def test_rows_of_a_dialogue_may_be_apart_in_the_table(tmp_path: Path) -> None:
    pattern = write_tables(tmp_path, {("train", 1, "Dialogue_ID"): "7"})
    dialogues = {d.dialogue_id: d for d in import_meld_csv(tmp_path, text=pattern)[1]}
    assert dialogues["train-0"].features["text"][:, 0].tolist() == [0, 2]
    assert dialogues["train-7"].features["text"][:, 0].tolist() == [1, 3]


def test_utterances_follow_their_numbers(tmp_path: Path) -> None:
    numbers = {0: "10", 1: " 9", 2: "0"}
    pattern = write_tables(tmp_path, {("train", place, "Utterance_ID"): turn for place, turn in numbers.items()})
    first = next(d for d in import_meld_csv(tmp_path, text=pattern)[1] if d.dialogue_id == "train-0")
    assert first.features["text"][:, 0].tolist() == [2, 1, 0]
    assert first.utterances == ("naïve “2”", "naïve “1”", "naïve “0”")
    assert first.labels.tolist() == [0, 6, 4]


def test_blanks_around_a_dialogues_number_make_no_second_dialogue(tmp_path: Path) -> None:
    pattern = write_tables(tmp_path, {("train", 1, "Dialogue_ID"): " 0 "})
    assert [len(d) for d in import_meld_csv(tmp_path, text=pattern)[1]] == [3, 1, 1, 1, 3]


def test_timing_is_standardised_on_the_training_split(tmp_path: Path) -> None:
    write_tables(tmp_path)
    info, stream = import_meld_csv(tmp_path, audio="timing")
    train = np.concatenate([d.features["audio"] for d in stream if d.split == "train"])
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-6)
    deviation = train.std(axis=0)
    assert (np.isclose(deviation, 1, atol=1e-5) | (deviation == 0)).all()
    assert set(info.provenance) >= {"importer", "sources", "validation"}
    assert "mean" in str(info.provenance["sources"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({("dev", 0, "Emotion"): "ennui"}, "row 2, dialogue 0: 'ennui' is none of neutral, surprise"),
        ({("test", 2, "Utterance_ID"): "1"}, "row 4, dialogue 1: Utterance_ID 1 is there already, in row 3; keep one"),
        ({("train", 3, "Speaker"): " "}, "row 5, dialogue 7: Speaker must be a name, is empty; say who speaks"),
        ({("train", 3, "Dialogue_ID"): ""}, "row 5, dialogue : Dialogue_ID and Utterance_ID must be numbers, one is"),
        ({("test", 2, "EndTime"): "soon"}, "row 4, dialogue 1: EndTime must be a time like"),
    ],
)
def test_wrong_cells_are_named_with_file_and_row(
    tmp_path: Path, changes: dict[tuple[str, int, str], str], words: str
) -> None:
    write_tables(tmp_path, changes)
    with pytest.raises(DataError, match=words) as error:
        import_meld_csv(tmp_path, audio="timing")
    assert str(tmp_path) in str(error.value)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    write_tables(tmp_path)
    (tmp_path / "dev.csv").unlink()
    with pytest.raises(SourceError, match=r"dev\.csv: there must be a CSV file here"):
        import_meld_csv(tmp_path, audio="timing")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no column Utterance, Speaker"),
        ("a,b\n", "has no column Utterance, Speaker"),
        (",".join(COLUMNS) + "\n", "has no rows"),
        (",".join(COLUMNS) + "\n1,hello\n", "row 2 has too few fields"),
    ],
)
def test_a_table_of_another_shape_is_refused(tmp_path: Path, text: str, words: str) -> None:
    write_tables(tmp_path)
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises((SourceError, DataError), match=words):
        import_meld_csv(tmp_path, audio="timing")


def test_all_tables_and_all_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    write_tables(tmp_path)
    for split in ("train", "test"):
        file = tmp_path / f"{split}.csv"
        file.write_text(file.read_text(encoding="utf-8").replace("Speaker", "Who"), encoding="utf-8")
    with pytest.raises(SourceError, match=r"(?s)train\.csv: has no column Speaker.*test\.csv: has no column Speaker"):
        import_meld_csv(tmp_path, audio="timing")
    write_tables(tmp_path)
    rows = str(tmp_path / "{split}.npy")
    with pytest.raises(SourceError) as error:
        import_meld_csv(tmp_path, text=rows, visual=tmp_path / "faces.pkl")
    files = ("train.npy", "dev.npy", "test.npy", "faces.pkl")
    assert [line.split(": cannot")[0] for line in str(error.value).splitlines()] == [str(tmp_path / f) for f in files]


def test_a_table_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    write_tables(tmp_path)
    (tmp_path / "train.csv").write_bytes(b"\xff\xfe\x92")
    with pytest.raises(SourceError, match=r"train\.csv: must be UTF-8, and is not"):
        import_meld_csv(tmp_path, audio="timing")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (row_numbers(5, 3), r"train_rows\.npy: has 5 rows, the train table has 4"),
        (row_numbers(4, 2), "must be equally wide, train is 2 wide, val is 3 wide"),
        (np.arange(4.0), r"must hold floats \[rows, D\], holds float64 \[4\]"),
        (np.ones((4, 3), np.int64), "must hold floats"),
    ],
)
def test_rows_of_another_shape_are_refused(tmp_path: Path, rows: np.ndarray[Any, Any], words: str) -> None:
    pattern = write_tables(tmp_path)
    np.save(tmp_path / "train_rows.npy", rows)
    with pytest.raises(SourceError, match=words):
        import_meld_csv(tmp_path, text=pattern)


def test_rows_that_are_pickled_objects_are_not_loaded(tmp_path: Path) -> None:
    pattern = write_tables(tmp_path)
    np.save(tmp_path / "train_rows.npy", np.array([[object]] * 4), allow_pickle=True)
    with pytest.raises(
        SourceError, match=r"train_rows\.npy: cannot be read as an \.npy array .*: it holds objects; save"
    ):
        import_meld_csv(tmp_path, text=pattern)


def test_patterns_and_choices_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    write_tables(tmp_path)
    with pytest.raises(SourceError, match="no features asked for"):
        import_meld_csv(tmp_path)
    with pytest.raises(SourceError, match=r"train_rows\.npy: is an array of 4 rows, .*\{split\} in its name"):
        import_meld_csv(tmp_path, text=str(tmp_path / "train_rows.npy"))
    with pytest.raises(SourceError, match="'timing' is known for audio only"):
        import_meld_csv(tmp_path, text="timing")
    with pytest.raises(SourceError, match=r"nowhere-train\.npy: cannot be read"):
        import_meld_csv(tmp_path, text="nowhere-{split}.npy")


def test_the_one_step_import_passes_on_its_options(tmp_path: Path) -> None:
    pattern = write_tables(tmp_path)
    out = tmp_path / "out"
    manifest = import_dataset("meld-csv", tmp_path, out, text=pattern, audio=None)
    assert read_shards(out).info == manifest.info
    assert manifest.info.modalities == ("text",)
    with pytest.raises(OutputFolderError, match="not empty"):
        import_dataset("meld-csv", tmp_path, out, text=pattern)
    import_dataset("meld-csv", tmp_path, out, text=pattern, audio="timing", overwrite=True)
    assert read_shards(out).info.modalities == ("text", "audio")


def test_the_one_step_import_refuses_what_the_importer_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"importer: must be one of .*, huggingface, or a class path .*, is 'meld'"):
        import_dataset("meld", tmp_path, tmp_path / "out")
    with pytest.raises(ValueError, match="meld-csv takes no seed; it takes text, audio, visual"):
        import_dataset("meld-csv", tmp_path, tmp_path / "out", seed=1)
