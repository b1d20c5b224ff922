from pathlib import Path

import pytest

from tests.tune.tracking.samples import CARD, CONFIG, cut_short, epoch, fall, final
from tune.tracking import records, writes
from tune.tracking.run import RunTracker
from tune.tracking.spool import Address, Spool, read_spool, send_spool
from tune.tracking.store import Store, TrackingError


@pytest.fixture
def spool(store: Store, tmp_path: Path) -> Spool:
    run = store.client.create_run(store.experiment_id)
    return Spool(tmp_path / "unsent", Address(store.uri, run.info.run_id, store.experiment_id))


def test_sending_twice_leaves_one_of_each(spool: Spool, store: Store) -> None:
    picture = spool.new_file("picture.png")
    picture.write_bytes(b"x")
    items = [
        writes.metrics({"loss/ce": 0.5}, 1),
        *writes.text_values("params", {"a": 1}),
        writes.artifact(picture, "f"),
    ]
    for _ in range(2):
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(b"x")
        spool.write(items)
        result = send_spool(spool.folder)
        assert (result.writes, result.refusals) == (3, [])
    assert len(store.client.get_metric_history(result.run_id, "loss/ce")) == 1
    assert [file.path for file in store.client.list_artifacts(result.run_id, "f")] == ["f/picture.png"]
    assert not spool.folder.exists()


def test_a_file_that_was_moved_takes_nothing_of_its_new_folder_with_it(spool: Spool, tmp_path: Path) -> None:
    spool.write([writes.metrics({"loss/ce": 0.5}, 1)])
    home = tmp_path / "home"
    (home / "files" / "0000").mkdir(parents=True)
    files = [home / "thesis.tex", home / "files" / "0000" / "photo.png"]
    for file in files:
        file.write_text("mine")
    moved = spool.path.rename(home / "writes.jsonl")
    assert send_spool(moved).writes == 1
    assert not moved.exists()
    assert [file for file in files if not file.exists()] == []


def test_what_else_lies_in_the_folder_of_a_run_stays(spool: Spool) -> None:
    spool.new_file("picture.png").write_bytes(b"x")
    spool.write([writes.metrics({"loss/ce": 0.5}, 1)])
    (note := spool.folder / "note.txt").write_text("mine")
    send_spool(spool.path)
    assert list(spool.folder.iterdir()) == [note]


def test_refused_writes_do_not_hold_the_others(spool: Spool, store: Store) -> None:
    spool.write([writes.metrics({"bad\nname": 1.0}, 1), writes.metrics({"good": 1.0}, 1)])
    result = send_spool(spool.path)
    assert result.writes == 1
    assert str(result).startswith(f"{result.run_id} (1 records)\n  refused: metrics: Invalid value")
    assert store.client.get_run(result.run_id).data.metrics == {"good": 1.0}


def test_a_line_cut_short_by_a_kill_is_left_out(spool: Spool) -> None:
    spool.write([writes.metrics({"a": 1.0}, 1), writes.metrics({"a": 1.0}, 2)])
    spool.path.write_text(spool.path.read_text()[:-20])
    assert [write.body["step"] for write in read_spool(spool.path)[1]] == [1]


def test_other_damage_is_told(spool: Spool, tmp_path: Path) -> None:
    spool.write([writes.metrics({"a": 1.0}, 1), writes.metrics({"a": 1.0}, 2)])
    lines = spool.path.read_text().splitlines()
    spool.path.write_text("\n".join([lines[0], lines[1][:-5], lines[2]]))
    with pytest.raises(TrackingError, match="line 2: is not a write"):
        read_spool(spool.path)
    with pytest.raises(TrackingError, match=r"must be a writes\.jsonl"):
        read_spool(tmp_path / "absent")
    spool.path.write_text("")
    with pytest.raises(TrackingError, match=r"must be a writes\.jsonl"):
        send_spool(spool.path)


def test_a_resumed_run_sends_what_its_first_life_could_not(store: Store, tmp_path: Path) -> None:
    run_id = cut_short(store, tmp_path, fall, epochs=0)
    left = Spool(tmp_path, Address(store.uri, run_id, store.experiment_id))
    left.write([records.epoch_write(epoch(1, 2)), writes.status("KILLED")])
    with RunTracker(store, tmp_path) as second:
        second.start(CONFIG, CARD, resume_run_id=run_id)
        second.epoch(epoch(2, 2))
        second.finish(final(2))
    assert [point.step for point in store.client.get_metric_history(run_id, "loss/ce")] == [1, 2]
    assert store.client.get_run(run_id).info.status == "FINISHED"
    assert list(tmp_path.glob("unsent-*")) == []
