"""Shards on S3, through a real server of its protocol."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cluster.storage import latest_checkpoint, load_checkpoint
from dclf.data import ShardError, read_shards, write_shards
from dclf.data.dialogue import Dialogue
from dclf.data.errors import ShardsUnavailableError
from dclf.data.generator import generate
from dclf.data.storage import Folder
from dclf.training import checkpoint
from tests.ports import free_ports
from tests.stores import Store, use


@pytest.fixture
def bucket(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    use(store, monkeypatch, tmp_path)
    return f"s3://{store.bucket()}"


def test_dialogues_come_back_as_they_were_written(bucket: str) -> None:
    info, dialogues = generate("iemocap-small", seed=3)
    written = list(dialogues)
    write_shards(written, f"{bucket}/shards/small", info)
    shards = read_shards(f"{bucket}/shards/small")
    assert shards.info == info
    read = {dialogue.dialogue_id: dialogue for dialogue in shards}
    assert sorted(read) == sorted(dialogue.dialogue_id for dialogue in written)
    for dialogue in written:
        for modality, features in dialogue.features.items():
            assert np.array_equal(read[dialogue.dialogue_id].features[modality], features)


@pytest.mark.slow
def test_a_set_is_replaced_once_the_new_one_is_written(bucket: str) -> None:
    info, dialogues = generate("iemocap-small", 12, seed=3)
    place = f"{bucket}/shards/replaced"
    first = write_shards(dialogues, place, info)
    anew = list(generate("iemocap-small", 12, seed=4)[1])

    def failing() -> Iterator[Dialogue]:
        yield from anew[:5]
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        write_shards(failing(), place, info, overwrite=True)
    before = read_shards(place)
    assert (before.manifest, sum(1 for _ in before)) == (first, 12)
    second = write_shards(anew, place, info, overwrite=True)
    after = read_shards(place)
    assert (after.manifest, sum(1 for _ in after)) == (second, 12)
    assert first.sha256 != second.sha256
    assert Folder.of(place).names() == sorted(
        ["index.arrow", "manifest.json", *(entry.file for entry in second.shards)]
    )


@pytest.mark.slow
def test_what_keeps_shards_from_being_read_is_told(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ShardError, match=r"no manifest\.json here"):
        read_shards(f"{bucket}/nothing")
    with pytest.raises(ShardsUnavailableError, match="the bucket does not exist: create it or correct its name"):
        read_shards("s3://no-such-bucket/shards")
    (port,) = free_ports(1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(ShardsUnavailableError, match="the store does not answer: check the network, AWS_ENDPOINT_URL"):
        read_shards(f"{bucket}/shards")


def test_a_checkpoint_is_loaded_from_a_uri(bucket: str, tmp_path: Path) -> None:
    assert latest_checkpoint(f"{bucket}/checkpoints", "run") is None
    checkpoint.save(tmp_path / "state", {"epoch": 3})
    place = f"{bucket}/checkpoints/run/checkpoint_1"
    Folder.of(place).write_bytes(checkpoint.STATE_FILE, (tmp_path / "state" / checkpoint.STATE_FILE).read_bytes())
    assert load_checkpoint(place)["epoch"] == 3
    with pytest.raises(checkpoint.CheckpointError, match="is absent"):
        load_checkpoint(f"{bucket}/checkpoints/run/checkpoint_2")
