"""Shards of format version 1, which every earlier DCLF wrote, are read as they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dclf.data import DatasetInfo, Dialogue, read_shards, validate_shards, write_shards
from dclf.data.manifest import read_manifest
from tests.dclf.data.support import assert_same, make_dialogues, make_info


def facts_of(info: DatasetInfo) -> dict[str, Any]:
    return {
        "format_version": 1,
        "dataset": info.dataset,
        "class_names": list(info.class_names),
        "widths": dict(info.widths),
        "speaker_count": info.speaker_count,
        "provenance": dict(info.provenance),
    }


def rows_of(dialogue: Dialogue) -> dict[str, Any]:
    numbers = {"speakers": dialogue.speakers.tolist(), "labels": dialogue.labels.tolist()}
    return {"dialogue_id": dialogue.dialogue_id, "split": dialogue.split, **numbers}


def write_file(path: Path, schema: pa.Schema, rows: list[dict[str, Any]]) -> dict[str, Any]:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for row in rows:
            writer.write_batch(pa.RecordBatch.from_pylist([row], schema))
    content = path.read_bytes()
    return {"file": path.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def write_first_format(dialogues: list[Dialogue], folder: Path, info: DatasetInfo) -> None:
    """One shard per split, as version 1 had them."""
    folder.mkdir()
    integers = pa.list_(pa.int32())
    plain = [pa.field(name, pa.string(), nullable=False) for name in ("dialogue_id", "split")]
    plain += [pa.field(name, integers, nullable=False) for name in ("speakers", "labels")]
    features = [pa.field(m, pa.list_(pa.list_(pa.float32(), w)), nullable=False) for m, w in info.widths.items()]
    words = pa.field("utterances", pa.list_(pa.string()), nullable=False)
    schema = pa.schema([*plain, words, *features], metadata={"dclf": json.dumps(facts_of(info))})
    shards, places = [], []
    for split in ("train", "val", "test"):
        part = [d for d in dialogues if d.split == split]
        name = f"{split}-00000.arrow"
        rows = [
            {**rows_of(d), "utterances": list(d.utterances), **{m: x.tolist() for m, x in d.features.items()}}
            for d in part
        ]
        entry = write_file(folder / name, schema, rows)
        shards.append({**entry, "split": split, "rows": len(part), "utterances": sum(map(len, part))})
        places += [{**rows_of(d), "shard": name, "row": row} for row, d in enumerate(part)]
    place = [pa.field("shard", pa.string(), nullable=False), pa.field("row", pa.int64(), nullable=False)]
    index = write_file(folder / "index.arrow", pa.schema([*plain, *place]), places)
    digest = hashlib.sha256("".join(f"{s['file']} {s['sha256']}\n" for s in shards).encode()).hexdigest()
    manifest = {**facts_of(info), "index": index, "shards": shards, "sha256": digest}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_first_format(make_dialogues(), tmp_path / "set", make_info())
    return tmp_path / "set"


def test_they_hold_what_they_held(folder: Path) -> None:
    shards = read_shards(folder)
    assert shards.info == make_info()
    for dialogue, original in zip(shards, make_dialogues(), strict=True):
        assert_same(dialogue, original)
        assert not dialogue.present
        assert dialogue.sentiments is None
    np.testing.assert_array_equal(shards.index("val").labels, np.concatenate([d.labels for d in make_dialogues()[5:7]]))
    assert validate_shards(folder).problems == ()


def test_their_hash_stays_that_of_their_files(folder: Path) -> None:
    assert read_manifest(folder).sha256 == json.loads((folder / "manifest.json").read_text())["sha256"]


def test_written_again_they_are_of_this_version_and_hold_the_same(folder: Path, tmp_path: Path) -> None:
    shards = read_shards(folder)
    write_shards(shards, tmp_path / "again", shards.info)
    assert json.loads((tmp_path / "again" / "manifest.json").read_text())["format_version"] == 2
    for dialogue, original in zip(read_shards(tmp_path / "again"), shards, strict=True):
        assert_same(dialogue, original)
