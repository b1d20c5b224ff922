"""Conversations from tables: a CSV of one's own, data sets of the hub, DAG-ERC's JSON, MELD's own names."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dclf.data import DataError, SourceError, import_dataset, read_shards, write_shards
from dclf.data.importers import import_meld_csv
from dclf.data.importers.dag_erc import import_dag_erc
from dclf.data.importers.huggingface import import_huggingface
from dclf.data.importers.tables import import_csv
from tests.dclf.data.feature_files import (
    CSV_COLUMNS,
    HF_NAMES,
    MELD_NAMES,
    TABLE,
    Talks,
    iemocap,
    save,
    table_rows,
    write_csv,
    write_dag_erc,
    write_huggingface,
)
from tests.dclf.data.test_features import assert_own_rows
from tests.dclf.data.test_meld_tables import ROWS, write_tables
from tests.own_packages import files_of


def rewrite(file: Path, **changes: str) -> None:
    """Change cells of the third row."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    rows[2] |= changes
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, TABLE)
        writer.writeheader()
        writer.writerows(rows)


def test_a_table_of_ones_own_becomes_shards(tmp_path: Path) -> None:
    source, talks = write_csv(tmp_path, iemocap()), iemocap()
    audio = save(tmp_path / "audio.pkl", talks.rows("audio", 7))
    turns = {f"{name}_{turn}": talks.row(name, turn, "visual", 6) for name in talks.names for turn in range(4)}
    visual = save(tmp_path / "visual.pkl", {key: row for key, row in turns.items() if key != "Ses01F_impro02_1"})
    files: dict[str, Any] = {"text": tmp_path / "rows.npy", "audio": audio, "visual": visual}
    import_dataset("csv", source, tmp_path / "out", columns=CSV_COLUMNS, **files)
    shards = read_shards(tmp_path / "out")
    assert shards.info.dataset == "talks"
    assert shards.info.class_names == tuple(dict.fromkeys(row["Mood"] for row in table_rows(talks) if row["Mood"]))
    assert shards.info.provenance["class order"] == "first appearance in the table"
    for dialogue in shards:
        assert dialogue.labels[-1] == -1
        assert {*dialogue.labels[:-1].tolist()} <= {*range(6)}
        if dialogue.dialogue_id != "Ses01F_impro02":
            assert_own_rows(dialogue, talks)
    (gap,) = [d for d in shards if d.dialogue_id == "Ses01F_impro02"]
    assert gap.present["visual"].tolist() == [True, False, True]
    assert not gap.features["visual"][1].any()


def test_the_classes_may_be_told_in_another_order(tmp_path: Path) -> None:
    source = write_csv(tmp_path, iemocap())
    options: dict[str, Any] = {"columns": CSV_COLUMNS, "text": tmp_path / "rows.npy"}
    names = tuple(reversed(MELD_NAMES[:6]))
    info, _ = import_csv(source, classes=",".join(names), dataset="own", **options)
    assert (info.dataset, info.class_names) == ("own", names)
    assert info.provenance["class order"] == "as --classes gives it"
    with pytest.raises(DataError, match=r"row \d+, dialogue \w+: 'disgust' is none of neutral, joy") as error:
        import_csv(source, classes="neutral, joy", **options)
    # Every unknown name once, with how often it is there.
    assert len(error.value.problems) == 4
    assert any(problem.endswith(" rows") for problem in error.value.problems)
    with pytest.raises(SourceError, match="must be different names with commas"):
        import_csv(source, classes="joy,joy", **options)


def test_utterances_follow_their_numbers(tmp_path: Path) -> None:
    source = write_csv(tmp_path, iemocap())
    lines = source.read_text(encoding="utf-8").splitlines()
    lines[1:3] = lines[2:0:-1]
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    rows = np.load(tmp_path / "rows.npy")
    np.save(tmp_path / "rows.npy", np.concatenate([rows[1::-1], rows[2:]]))
    _, dialogues = import_csv(source, columns=CSV_COLUMNS, text=tmp_path / "rows.npy")
    for dialogue in dialogues:
        assert_own_rows(dialogue, iemocap())


def test_an_array_does_not_follow_several_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    """In which test comes before train."""
    root = write_huggingface(tmp_path)
    counts = {"train": 12, "validation": 6, "test": 9}
    for split, count in counts.items():
        np.save(tmp_path / f"{split}.npy", np.full((count, 2), count, np.float32))
    np.save(tmp_path / "rows.npy", np.concatenate([np.load(tmp_path / f"{split}.npy") for split in counts]))
    with pytest.raises(
        SourceError, match=r"rows\.npy: is an array of 27 rows for a table of several .*\{split\} in its"
    ):
        import_huggingface(root, text=tmp_path / "rows.npy")
    _, dialogues = import_huggingface(root, text=tmp_path / "{split}.npy")
    whole = {"train": 12, "val": 6, "test": 9}
    assert all((dialogue.features["text"] == whole[dialogue.split]).all() for dialogue in dialogues)


def test_an_array_follows_the_one_file_that_there_is(tmp_path: Path) -> None:
    root = write_huggingface(tmp_path)
    tables = {file: pq.read_table(file) for file in sorted(root.glob("*.parquet"))}
    splits = [name.name.partition("-")[0] for name, table in tables.items() for _ in range(len(table))]
    for file in tables:
        file.unlink()
    whole = pa.concat_tables(tables.values())
    pq.write_table(whole.append_column("split", pa.array(splits)), root / "all.parquet")
    np.save(tmp_path / "rows.npy", np.array(whole["text_features"].to_pylist(), np.float32))
    _, dialogues = import_huggingface(root, text=tmp_path / "rows.npy")
    for dialogue in dialogues:
        number = float(dialogue.dialogue_id.partition("-")[2])
        assert dialogue.features["text"].tolist() == [[number, turn, 1] for turn in range(3)]


def test_a_clip_that_was_cut_anew_is_not_a_second_utterance(tmp_path: Path) -> None:
    root = write_huggingface(tmp_path)
    file = root / "test-00000-of-00001.parquet"
    table = pq.read_table(file)
    names = [*table["path"].to_pylist()[:-1], "clips/final_videos_testdia0_utt0.mp4"]
    pq.write_table(table.set_column(0, "path", pa.array(names)), file)
    with pytest.raises(DataError, match="row 8, dialogue test-0: the utterance '0' is there already, in row 0; keep"):
        import_huggingface(root)


def test_dialogues_of_the_hub_may_have_blanks_around_their_numbers(tmp_path: Path) -> None:
    root = write_huggingface(tmp_path)
    for file in root.glob("*.parquet"):
        table = pq.read_table(file)
        numbers = [f"{row // 3}{' ' * (row % 3)}" for row in range(len(table))]
        pq.write_table(table.append_column("dialogue", pa.array(numbers)), file)
    assert {len(dialogue) for dialogue in import_huggingface(root)[1]} == {3}


def test_a_row_of_the_hub_without_a_speaker_is_named(tmp_path: Path) -> None:
    root = write_huggingface(tmp_path)
    file = root / "train-00000-of-00001.parquet"
    table = pq.read_table(file)
    names = [None, *table["speaker"].to_pylist()[1:]]
    pq.write_table(table.set_column(2, "speaker", pa.array(names)), file)
    with pytest.raises(DataError, match=r"row 9, dialogue train-0: speaker must be a name, is empty; say who speaks"):
        import_huggingface(root)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"Turn": "01", "Talk": " Ses01F_impro01"},
            "row 4, dialogue Ses01F_impro01: the utterance '01' is there already, in row 3",
        ),
        ({"Who": " "}, "row 4, dialogue Ses01F_impro02: speaker must be a name, is empty; say who speaks"),
        ({"Talk": " "}, "row 4: dialogue must be an id, is empty"),
        ({"Mood": "NEUTRAL"}, "row 4: the emotion 'NEUTRAL' differs in case alone from 'neutral' in row 2; write them"),
        ({"Part": "trial"}, "row 4: split must be train, val or test, is 'trial'"),
        ({"Part": "test"}, "dialogue 'Ses01F_impro02' is in two splits, test and train; dialogue ids must be unique"),
    ],
)
def test_wrong_cells_are_named(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    source = write_csv(tmp_path, iemocap())
    rewrite(source, **changes)
    with pytest.raises(DataError, match=words):
        import_csv(source, columns=CSV_COLUMNS, text=tmp_path / "rows.npy")


def test_blanks_around_a_dialogues_id_make_no_second_dialogue(tmp_path: Path) -> None:
    source = write_csv(tmp_path, iemocap())
    rewrite(source, Talk=" Ses01F_impro02 ")
    _, dialogues = import_csv(source, columns=CSV_COLUMNS, text=tmp_path / "rows.npy")
    for dialogue in dialogues:
        assert_own_rows(dialogue, iemocap())


def test_names_that_differ_in_case_may_be_two_classes_on_request(tmp_path: Path) -> None:
    source = write_csv(tmp_path, iemocap())
    rewrite(source, Mood="NEUTRAL")
    names = (*MELD_NAMES[:6], "NEUTRAL")
    info, _ = import_csv(source, columns=CSV_COLUMNS, classes=",".join(names), text=tmp_path / "rows.npy")
    assert info.class_names == names


def test_a_column_called_utterance_may_have_the_words(tmp_path: Path) -> None:
    talks = iemocap()
    source = write_csv(tmp_path, talks)
    text = source.read_text(encoding="utf-8").replace("Turn,Who,Words", "Turn,Who,utterance")
    source.write_text(re.sub(r"\w+ says \d", "Yes.", text), encoding="utf-8")
    columns = "dialogue=Talk,speaker=Who,emotion=Mood,split=Part"
    with pytest.raises(DataError, match=r"the utterance 'Yes\.' is there already, .* or say --columns text=COLUMN if"):
        import_csv(source, columns=columns, text=tmp_path / "rows.npy")
    info, dialogues = import_csv(source, columns=f"{columns},text=utterance", text=tmp_path / "rows.npy")
    assert "utterance" not in info.provenance["columns"]  # type: ignore[operator]
    assert all(set(dialogue.utterances) == {"Yes."} for dialogue in dialogues)


def test_keys_that_are_numbers_are_those_of_a_table(tmp_path: Path) -> None:
    talks = Talks({"train": [0, 3], "val": [1], "test": [12]})
    source = write_csv(tmp_path, talks)
    rows = save(tmp_path / "rows.pkl", talks.rows("text", 6))
    _, dialogues = import_csv(source, columns=CSV_COLUMNS, text=rows)
    for dialogue in dialogues:
        assert_own_rows(dialogue, talks)


def test_rows_beyond_the_range_of_shards_are_refused(tmp_path: Path) -> None:
    talks = iemocap()
    source = write_csv(tmp_path, talks)
    rows = save(tmp_path / "rows.pkl", {key: row.astype(float) * 1e300 for key, row in talks.rows("text", 6).items()})
    info, dialogues = import_csv(source, columns=CSV_COLUMNS, text=rows)
    with pytest.raises(DataError, match="text features hold NaN or infinity in float32"):
        write_shards(dialogues, tmp_path / "out", info)


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_other_separators_are_named(tmp_path: Path, mark: str, name: str) -> None:
    source = write_csv(tmp_path, iemocap())
    source.write_text(source.read_text(encoding="utf-8").replace(",", mark), encoding="utf-8")
    with pytest.raises(SourceError, match=rf"talks\.csv: must have commas between .*, and its head has {name}: .*sep="):
        import_csv(source, columns=CSV_COLUMNS, text=tmp_path / "rows.npy")


@pytest.mark.parametrize(("table", "file"), [(0, 1), (1, 0)])
def test_a_file_that_counts_utterances_from_another_number_is_refused(tmp_path: Path, table: int, file: int) -> None:
    talks = iemocap()
    source = write_csv(tmp_path, talks)
    with source.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, TABLE)
        writer.writeheader()
        writer.writerows(row | {"Turn": str(table + int(row["Turn"]))} for row in table_rows(talks))
    keyed = {
        f"{name}_{file + turn}": talks.row(name, turn, "audio", 7)
        for name in talks.names
        for turn in range(talks.lengths[name])
    }
    words = rf"number the utterances as the table does, has '\w+_{file}' for '\w+_{table}'"
    with pytest.raises(SourceError, match=words):
        import_csv(source, columns=CSV_COLUMNS, audio=save(tmp_path / "audio.pkl", keyed))


def test_ids_that_are_numbers_are_counted_from_one_number_too(tmp_path: Path) -> None:
    talks = iemocap()
    source = write_csv(tmp_path, talks)
    rows = table_rows(talks)
    with source.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, TABLE)
        writer.writeheader()
        writer.writerows(row | {"Turn": str(place + 1)} for place, row in enumerate(rows))
    keyed = {str(place): talks.row(row["Talk"], int(row["Turn"]), "audio", 7) for place, row in enumerate(rows)}
    with pytest.raises(SourceError, match="number the utterances as the table does, has '0' for '1'"):
        import_csv(source, columns=CSV_COLUMNS, audio=save(tmp_path / "audio.pkl", keyed))


def test_a_spreadsheets_columns_without_a_name_are_left_alone(tmp_path: Path) -> None:
    source = write_csv(tmp_path, iemocap())
    source.write_text(source.read_text(encoding="utf-8").replace("\n", ",,\n"), encoding="utf-8")
    info, _ = import_csv(source, columns=CSV_COLUMNS, text=tmp_path / "rows.npy")
    assert info.dataset == "talks"


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    source = write_csv(tmp_path, iemocap())
    head, rest = source.read_text(encoding="utf-8").split("\n", 1)
    source.write_text(head.replace(TABLE[-1], TABLE[0]) + "\n" + rest, encoding="utf-8")
    with pytest.raises(DataError, match=f"its head has '{TABLE[0]}' more than once"):
        import_csv(source, columns=CSV_COLUMNS)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            None,
            "must have a column for dialogue, speaker, emotion and split; it has Talk, Turn, .*--columns dialogue=...",
        ),
        ("dialogue=Talk,mood=Mood", "'mood=Mood' must be WHAT=COLUMN, WHAT one of dialogue, speaker"),
        ("text=Words,text=Turn", "text must be named once, is 'Words' and 'Turn'"),
        ("dialogue=Talks", "there is no column 'Talks' for dialogue. The columns are Talk, Turn"),
    ],
)
def test_columns_that_are_not_there_are_named(tmp_path: Path, columns: str | None, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        import_csv(write_csv(tmp_path, iemocap()), columns=columns, text=tmp_path / "rows.npy")


def test_the_importer_on_its_page_reads_what_spreadsheets_write(tmp_path: Path) -> None:
    """With a mark of the encoding at the beginning, and lines that break within a cell."""
    module: dict[str, Any] = {"__name__": "utterance_rows"}
    exec(files_of("own-importer")["utterance_rows.py"], module)
    text = 'dialogue,split,speaker,emotion,text_0\r\nd,train,"Ann\nLee",calm,1\r\nd,train,Bo\u2028Li,calm,2\r\n'
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8-sig", newline="")
    info, dialogues = module["import_rows"](tmp_path / "rows.csv")
    (dialogue,) = dialogues
    assert (info.class_names, info.speaker_count) == (("calm",), 2)
    assert dialogue.features["text"].tolist() == [[1], [2]]


@pytest.mark.parametrize("text", ["", "Talk,Turn\n", "\xff"])
def test_what_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "talks.csv").write_bytes(text.encode("latin1"))
    with pytest.raises(SourceError, match=r"talks\.csv: (has no rows|must be UTF-8, and is not)"):
        import_csv(tmp_path / "talks.csv", columns=CSV_COLUMNS)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"talks\.csv: there must be a CSV file here, and there is none"):
        import_csv(tmp_path / "talks.csv", columns=CSV_COLUMNS)


@pytest.mark.parametrize("kind", ["parquet", "saved on disk"])
def test_a_data_set_of_the_hub_keeps_its_own_class_order(tmp_path: Path, kind: str) -> None:
    import_dataset("huggingface", write_huggingface(tmp_path, kind=kind), tmp_path / "out")
    shards = read_shards(tmp_path / "out")
    assert shards.info.class_names == HF_NAMES
    assert {split: len(shards.index(split).dialogue_ids) for split in ("train", "val", "test")} == {
        "train": 4, "val": 2, "test": 3,
    }  # fmt: skip
    for dialogue in shards:
        split, _, number = dialogue.dialogue_id.partition("-")
        whole = {"val": "validation"}.get(split, split)
        assert dialogue.utterances == tuple(f"{whole} {number} {turn}" for turn in range(3))
        assert dialogue.features["text"].tolist() == [[float(number), turn, 1] for turn in range(3)]
        assert dialogue.labels.tolist() == [(int(number) + turn) % 7 for turn in range(3)]
        assert dialogue.speakers.tolist() == [0, 1, 0]
    assert "numbered anew in each split" in str(shards.info.provenance["numbering"])


def test_classes_without_names_are_asked_for(tmp_path: Path) -> None:
    root = write_huggingface(tmp_path, names=None)
    with pytest.raises(SourceError, match=r"does not name its classes; .*--classes NAME,NAME,.* It holds 0, 1, 2"):
        import_huggingface(root)
    assert import_huggingface(root, classes=",".join(HF_NAMES))[0].class_names == HF_NAMES
    with pytest.raises(DataError, match="'2' is none of a, b"):
        import_huggingface(root, classes="a,b")


def test_a_data_set_without_speakers_says_what_it_has(tmp_path: Path) -> None:
    root = write_huggingface(tmp_path)
    for file in root.glob("*.parquet"):
        pq.write_table(pq.read_table(file).drop_columns(["speaker"]), file)
    with pytest.raises(SourceError, match="must have a column for speaker; it has path, text, emotion"):
        import_huggingface(root)
    with pytest.raises(SourceError, match=r"must be a folder that save_to_disk wrote"):
        import_huggingface(tmp_path / "nowhere")


@pytest.mark.parametrize("several", [False, True])
def test_dag_ercs_json_with_context(tmp_path: Path, several: bool) -> None:
    talks = iemocap()
    info, stream = import_dag_erc(write_dag_erc(tmp_path, talks, several=several))
    assert (info.dataset, info.class_names[:2]) == ("iemocap", ("excited", "neutral"))
    assert info.modalities == (("text", "audio", "visual") if several else ("text",))
    dialogues = {dialogue.dialogue_id: dialogue for dialogue in stream}
    for split, short in (("train", "train"), ("val", "dev"), ("test", "test")):
        for number, name in enumerate(talks.splits[split]):
            dialogue = dialogues[f"{short}-{number}"]
            assert dialogue.labels.tolist() == [*talks.labels()[name][:-1], -1]
            for modality, matrix in dialogue.features.items():
                expected = [talks.row(name, turn, modality, matrix.shape[1]) for turn in range(len(dialogue))]
                np.testing.assert_array_equal(matrix, np.stack(expected))


def test_dag_erc_variants_are_asked_for(tmp_path: Path) -> None:
    write_dag_erc(tmp_path, iemocap())
    write_dag_erc(tmp_path, iemocap(), several=True)
    with pytest.raises(SourceError, match="has files of roberta and roberta_mm; say which with --variant"):
        import_dag_erc(tmp_path)
    assert import_dag_erc(tmp_path, variant="roberta_mm")[0].modalities == ("text", "audio", "visual")
    (tmp_path / "dev_data_roberta.json.feature").unlink()
    with pytest.raises(SourceError, match="has no file of the val split"):
        import_dag_erc(tmp_path, variant="roberta")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"label": "bored"}, DataError, "train_data_roberta.json.feature, dialogue 0, utterance 0: 'bored' is none of"),
        ({"cls": [[0.0] * 1024, [0.0] * 342]}, DataError, "utterance 0: cls must be a vector, or three of them"),
        ({"speaker": None}, DataError, "utterance 0: speaker must be a name, is None; say who speaks"),
        ({"cls": None}, DataError, "utterance 0: cls must be a vector, or three of them"),
        ({"cls": [[0.0], [0.0], [0.0]]}, DataError, "dialogue train-0: cls must have as many vectors as the first"),
        ({"cls": [0.0] * 1582}, SourceError, "the text is openSMILE's IS10 set"),
    ],
)
def test_wrong_dag_erc_utterances_are_named(tmp_path: Path, change: dict[str, Any], error: Any, words: str) -> None:
    file = write_dag_erc(tmp_path, iemocap()) / "train_data_roberta.json.feature"
    content = json.loads(file.read_text())
    content[0][0] |= change
    file.write_text(json.dumps(content))
    with pytest.raises(error, match=words):
        import_dag_erc(tmp_path)
    file.write_text("{")
    with pytest.raises(SourceError, match="cannot be read as JSON"):
        import_dag_erc(tmp_path)


def test_dag_ercs_vectors_in_another_order_are_refused(tmp_path: Path) -> None:
    file = write_dag_erc(tmp_path, iemocap(), several=True) / "train_data_roberta_mm.json.feature"
    content = json.loads(file.read_text())
    for dialogue in content:
        for utterance in dialogue:
            utterance["cls"] = [utterance["cls"][place] for place in (0, 2, 1)]
    file.write_text(json.dumps(content))
    with pytest.raises(SourceError, match="the audio is DenseNet's rows, visual of IEMOCAP and MELD"):
        import_dag_erc(tmp_path)


def test_melds_own_names_sentiments_and_authors_features(tmp_path: Path) -> None:
    write_tables(tmp_path)
    feelings = {"joy": "positive", "neutral": "neutral", "surprise": "positive"}
    audio: list[dict[str, Any]] = []
    for name in ("train", "dev", "test"):
        file = tmp_path / f"{name}.csv"
        with file.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        for row in rows:
            row["Sentiment"] = feelings.get(row["Emotion"].lower(), "negative")
        with (tmp_path / f"{name}_sent_emo.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        keys = [f"{row['Dialogue_ID']}_{row['Utterance_ID']}" for row in rows]
        audio.append({key: np.full(1611, place, np.float32) for place, key in enumerate(keys)})
    with pytest.raises(SourceError, match=r"has both train_sent_emo\.csv and train\.csv"):
        import_meld_csv(tmp_path, audio="timing")
    for name in ROWS:
        (tmp_path / f"{name}.csv").unlink()
    del audio[0]["0_1"]
    path = save(tmp_path / "audio_embeddings_feature_selection_emotion.pkl", audio)
    info, stream_ = import_meld_csv(tmp_path, audio=str(path), text=str(tmp_path / "{split}_rows.npy"))
    assert dict(info.widths) == {"text": 3, "audio": 1611}
    assert info.sentiment_names == ("neutral", "positive", "negative")
    dialogues = {dialogue.dialogue_id: dialogue for dialogue in stream_}
    first = dialogues["train-0"]
    assert first.sentiments is not None
    assert first.sentiments.tolist() == [1, 2, 0]
    assert first.present["audio"].tolist() == [True, False, True]
    assert dialogues["test-1"].features["audio"][:, 0].tolist() == [1, 2, 3]
    assert info.provenance["audio"]["read as"] == "train, dev and test, numbered anew"  # type: ignore[index]


def test_dialogues_in_an_order_of_their_own_stay_apart(tmp_path: Path) -> None:
    talks = Talks({"train": ["b", "a"], "val": ["d"], "test": ["c"]})
    source = write_csv(tmp_path, talks)
    _, dialogues = import_csv(source, columns=CSV_COLUMNS, text=tmp_path / "rows.npy")
    for dialogue in dialogues:
        assert_own_rows(dialogue, talks)
