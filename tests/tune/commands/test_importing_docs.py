"""The commands of docs/importing.md, on small files of the kinds that they name."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.dclf.data.feature_files import (
    LAYOUTS,
    iemocap,
    in_table_order,
    save,
    tuple_of,
    write_csv,
    write_dag_erc,
    write_huggingface,
    write_mosei,
    write_multiemo,
)
from tests.dclf.data.test_features import shuffled
from tests.dclf.data.test_meld_tables import ROWS, write_tables
from tune.commands.main import main

PAGE = Path(__file__).parents[3] / "docs" / "importing.md"


def commands() -> list[list[str]]:
    """Every command of the page, without its comment."""
    text = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^ {4}dclf (.*)$|`dclf (data import [^`]* shards/\w+)`", text, re.MULTILINE)
    return [shlex.split(first or second, comments=" # " in first) for first, second in lines]


def write_sources(folder: Path) -> None:
    """The files that the page names."""
    talks = iemocap()
    names = {
        "IEMOCAP_features.pkl": "MMGCN, IEMOCAP",
        "MELD_features_raw1.pkl": "MMGCN, MELD",
        "iemocap_features_roberta.pkl": "COSMIC, IEMOCAP",
        "meld_features_roberta.pkl": "COSMIC, MELD",
    }
    for file, layout in names.items():
        save(folder / file, LAYOUTS[layout].content(LAYOUTS[layout].talks))
    save(folder / "own.pkl", tuple_of(talks, 7, 6, 5, talks.genders()))
    order = ["speakers", "labels", "text", "audio", "sentences", "train", "test"]
    save(folder / "other.pkl", shuffled(talks, order, {"text": 4, "audio": 5})[0])
    save(folder / "sbert.pkl", talks.rows("text", 9))
    audio = talks.rows("audio", 8)
    vectors = {f"{n}_{turn}": torch.from_numpy(row) for n, rows in audio.items() for turn, row in enumerate(rows)}
    torch.save(vectors, folder / "wav2vec.pt")
    write_multiemo(folder, talks)
    write_mosei(folder)
    for name in ("IEMOCAP_json", "MELD"):
        (folder / name).mkdir()
    write_dag_erc(folder / "IEMOCAP_json", talks)
    write_tables(folder / "MELD")
    write_melds_features(folder)
    write_csv(folder, talks)
    write_text_alone(folder)
    np.save(folder / "rows.npy", in_table_order(talks, "text", 5))
    write_huggingface(folder, label="label").rename(folder / "hub")


def write_text_alone(folder: Path) -> None:
    """Tables without words, and a row of features for each of their rows."""
    turns = [(f"{split}{n}", split, turn) for split in ("train", "val", "test") for n in range(2) for turn in range(3)]
    for name in ("IEMOCAP", "EmoryNLP"):
        (folder / name).mkdir()
        with (folder / name / "utterances.csv").open("w", encoding="utf-8", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerow(["dialogue", "split", "position", "speaker", "emotion"])
            rows.writerows([dialogue, split, turn, "MF"[turn % 2], "neutral"] for dialogue, split, turn in turns)
        np.save(folder / name / "minilm.npy", np.ones((len(turns), 4), np.float16))


def write_melds_features(folder: Path) -> None:
    """Rows for the tables, and what MELD's authors publish."""
    text: list[dict[str, np.ndarray]] = []
    audio: list[dict[str, np.ndarray]] = []
    for name in ROWS:
        (folder / "MELD" / f"{name}_rows.npy").rename(folder / "MELD" / f"{name}_minilm.npy")
        with (folder / "MELD" / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        audio.append({f"{row['Dialogue_ID']}_{row['Utterance_ID']}": np.ones(1611, np.float32) for row in rows})
        padded = np.zeros((33, 600), np.float32)
        padded[0] = 1
        text.append({row["Dialogue_ID"]: padded for row in rows})
    save(folder / "audio_embeddings_feature_selection_emotion.pkl", audio)
    save(folder / "text_emotion.pkl", text)


def test_every_command_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_sources(tmp_path)
    lines = commands()
    assert len(lines) > 18
    for line in sorted(lines, key=lambda words: words[1] != "import"):
        assert main(line) == 0, (line, capsys.readouterr().err)
