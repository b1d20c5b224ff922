"""Tables of utterances: where words, recordings and times come from, and every way they can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from dclf.data import DataError, SourceError
from dclf.extraction.table import UtteranceTable, moment, read_table
from tests.dclf.data.test_meld_tables import write_tables

CSV = """\
dialogue,speaker,emotion,split,text,media,start,end
a,Ann,joy,train,Hello there,calls/one.wav,0.5,2
a,Bob,,train,Oh?,calls/one.wav,0:00:02.000,"0:00:03,250"
b,Ann,sad,val,No,,,
c,Bob,joy,test,,/elsewhere/two.mp4,,
"""


def table_of(tmp_path: Path, text: str = CSV, media: Path | None = None, **options: str) -> UtteranceTable:
    (tmp_path / "talks.csv").write_text(text, encoding="utf-8")
    return read_table(tmp_path / "talks.csv", media, **options)


def test_a_long_speech_is_one_utterance(tmp_path: Path) -> None:
    speech = "so " * 60_000
    assert table_of(tmp_path, CSV.replace("Hello there", speech)).utterances[0].text.strip() == speech.strip()


def test_a_csv_says_what_is_said_and_where_it_is_heard(tmp_path: Path) -> None:
    table = table_of(tmp_path)
    assert [u.text for u in table.utterances] == ["Hello there", "Oh?", "No", ""]
    assert [u.recording for u in table.utterances] == [
        str(tmp_path / "calls/one.wav"),
        str(tmp_path / "calls/one.wav"),
        "",
        "/elsewhere/two.mp4",
    ]
    assert [(u.start, u.end) for u in table.utterances] == [(0.5, 2.0), (2.0, 3.25), (None, None), (None, None)]
    assert table.names[1] == "dialogue a utterance 1"
    assert table.places == {"a": 0, "b": 2, "c": 3}
    assert table.transcript.provenance["table"] == "csv"
    assert table.recorded


def test_paths_are_absolute_as_other_processes_read_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert read_table("talks.csv").utterances[0].recording == str(tmp_path / "calls/one.wav")
    assert read_table("talks.csv", "disk").utterances[0].recording == str(tmp_path / "disk/calls/one.wav")


def test_recordings_may_lie_elsewhere_and_columns_be_called_otherwise(tmp_path: Path) -> None:
    table = table_of(tmp_path, CSV.replace("media", "file"), tmp_path / "disk", columns="media=file")
    assert table.utterances[0].recording == str(tmp_path / "disk/calls/one.wav")
    assert not table_of(tmp_path, CSV.replace("media", "file")).recorded


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("0.5", "soon", "row 2: start must be seconds from 0 on, or a time like 0:00:12.500, is 'soon'"),
        ("0.5", "-1", "row 2: start must be seconds from 0 on"),
        ("0.5", "nan", "row 2: start must be seconds"),
        ("0.5,2", "2.5,2", "row 2: end must be after start, is 2 after 2.5"),
        ("0:00:03,250", "0:00:02.000", "row 3: end must be after start, is 2 after 2"),
        ("sad,val", "sad,later", "row 4: split must be train, val or test"),
    ],
)
def test_wrong_cells_are_named(tmp_path: Path, before: str, after: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        table_of(tmp_path, CSV.replace(before, after))


def test_all_wrong_times_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        table_of(tmp_path, CSV.replace("0.5", "x").replace("0:00:03,250", "y"))
    assert "row 2: start" in str(error.value)
    assert "row 3: end" in str(error.value)


def test_seconds_and_clock_times() -> None:
    assert (moment("12.5"), moment("0"), moment("00:01:02,5")) == (12.5, 0.0, 62.5)


def meld(tmp_path: Path, *clips: str) -> UtteranceTable:
    tables = tmp_path / "tables"
    tables.mkdir()
    write_tables(tables)
    for clip in clips:
        (tmp_path / "raw" / clip).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "raw" / clip).touch()
    return read_table(tables, tmp_path / "raw")


def test_melds_clips_are_found_where_its_archive_has_them(tmp_path: Path) -> None:
    table = meld(
        tmp_path,
        "train/train_splits/dia0_utt0.mp4",
        "train/train_splits/dia0_utt1.wav",
        "dev_splits_complete/dia0_utt0.mp4",
        "output_repeated_splits_test/._dia0_utt0.mp4",
        "output_repeated_splits_test/final_videos_testdia0_utt0.mp4",
        "output_repeated_splits_test/final_videos_testdia1_utt1.mp4",
        "output_repeated_splits_test/dia1_utt1.mp4",
    )
    clips = [str(Path(u.recording).relative_to(tmp_path / "raw")) for u in table.utterances]
    assert clips[:3] == [f"train/train_splits/dia0_utt{n}" for n in ("0.mp4", "1.wav", "2.mp4")]
    assert clips[4:7] == [
        "dev_splits_complete/dia0_utt0.mp4",
        "output_repeated_splits_test/final_videos_testdia0_utt0.mp4",
        "output_repeated_splits_test/final_videos_testdia1_utt1.mp4",
    ]
    assert table.names[3] == "dialogue train-7 utterance 3"
    assert table.transcript.provenance["table"] == "meld-csv"


def test_melds_clips_may_lie_in_plain_folders_or_nowhere(tmp_path: Path) -> None:
    table = meld(tmp_path, "train/dia0_utt0.mp4", "train/dia0_utt0.wav", "test/dia1_utt2.flac")
    recordings = [Path(u.recording) for u in table.utterances]
    assert recordings[0] == tmp_path / "raw/train/dia0_utt0.mp4"
    assert recordings[7] == tmp_path / "raw/test/dia1_utt2.flac"
    assert [path.exists() for path in recordings] == [True, *[False] * 6, True, False]


def test_a_csvs_options_are_not_for_a_folder(tmp_path: Path) -> None:
    write_tables(tmp_path)
    with pytest.raises(SourceError, match=r"whose tables must be MELD's, and --columns, --dataset is for a CSV file"):
        read_table(tmp_path, columns="text=Utterance", dataset="mine")
    with pytest.raises(SourceError, match=r"nowhere\.csv: there must be a CSV file here"):
        read_table(tmp_path / "nowhere.csv")
