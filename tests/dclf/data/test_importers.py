"""Feature pickles and tables as they are published, sound and broken ones."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dclf.data import feature_card, read_shards, validate_shards
from dclf.data.errors import DataError, SourceError, UnsafePickleError
from dclf.data.importers import import_dataset, import_meld_csv, import_mmgcn_iemocap, import_mmgcn_meld, read_pickle
from dclf.paper_data import differences_from_paper
from tests.real_data import real_data
from tune.config.settings import load_config

LENGTHS = {f"Ses01F_{i:02d}": 2 + i % 3 for i in range(30)}


def iemocap_content(**changes: Any) -> list[Any]:
    random = np.random.default_rng(0)
    names = list(LENGTHS)

    def matrices(width: int) -> dict[str, Any]:
        # The originals hold lists of vectors for some modalities and matrices for others.
        return {n: list(random.normal(size=(k, width))) for n, k in LENGTHS.items()}

    parts: dict[str, Any] = {
        "ids": {n: [f"{n}_{i}" for i in range(k)] for n, k in LENGTHS.items()},
        "speakers": {n: ["M", "F", "M", "F"][:k] for n, k in LENGTHS.items()},
        "labels": {n: [int(x) for x in random.integers(0, 6, k)] for n, k in LENGTHS.items()},
        "text": matrices(100),
        "audio": {n: np.asarray(x) for n, x in matrices(1582).items()},
        "visual": matrices(342),
        "sentences": {n: ["caf\xe9"] * k for n, k in LENGTHS.items()},
        "train": set(names[:24]),
        "test": set(names[24:]),
    }
    return list({**parts, **changes}.values())


def write_pickle(path: Path, content: Any, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.fixture
def iemocap(tmp_path: Path) -> Callable[..., Path]:
    return lambda **changes: write_pickle(tmp_path / "features.pkl", tuple(iemocap_content(**changes)))


def test_iemocap_is_split_and_hold_out_is_recorded(iemocap: Callable[..., Path], tmp_path: Path) -> None:
    source = iemocap()
    import_dataset("mmgcn-iemocap", source, tmp_path / "out", val_dialogues=4, seed=1)
    shards = read_shards(tmp_path / "out")
    assert shards.info.class_names == ("happy", "sad", "neutral", "angry", "excited", "frustrated")
    assert dict(shards.info.widths) == {"text": 100, "audio": 1582, "visual": 342}
    counts = {split: len(shards.index(split).dialogue_ids) for split in ("train", "val", "test")}
    assert counts == {"train": 20, "val": 4, "test": 6}
    assert set(shards.index("val").dialogue_ids) <= set(list(LENGTHS)[:24])
    assert all(name in str(shards.info.provenance) for name in shards.index("val").dialogue_ids)
    content = iemocap_content()
    for dialogue in shards:
        np.testing.assert_array_equal(dialogue.labels, content[2][dialogue.dialogue_id])
        np.testing.assert_allclose(dialogue.features["audio"], content[4][dialogue.dialogue_id], rtol=1e-6)
        assert dialogue.utterances[0] == "caf\xe9"
        assert dialogue.speakers[0] != dialogue.speakers[1]
    again = import_mmgcn_iemocap(source, val_dialogues=4, seed=1)[1]
    assert {d.dialogue_id for d in again if d.split == "val"} == set(shards.index("val").dialogue_ids)
    other = import_mmgcn_iemocap(source, val_dialogues=4, seed=2)[1]
    assert {d.dialogue_id for d in other if d.split == "val"} != set(shards.index("val").dialogue_ids)


def test_roberta_rows_replace_the_text(iemocap: Callable[..., Path], tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    rows = {n: random.normal(size=(k, 7)).astype(np.float32) for n, k in LENGTHS.items()}
    text = write_pickle(tmp_path / "roberta.pkl", rows, protocol=4)
    info, dialogues = import_mmgcn_iemocap(iemocap(), text=text, val_dialogues=4)
    assert info.widths["text"] == 7
    for dialogue in dialogues:
        np.testing.assert_array_equal(dialogue.features["text"], rows[dialogue.dialogue_id])
    short = write_pickle(tmp_path / "short.pkl", {**rows, "Ses01F_03": rows["Ses01F_03"][:1]})
    with pytest.raises((SourceError, DataError), match="Ses01F_03"):
        list(import_mmgcn_iemocap(iemocap(), text=short, val_dialogues=4)[1])


@pytest.mark.parametrize(
    ("part", "broken", "words"),
    [
        ("labels", [0, 9], "out of range"),
        ("labels", [0, 1, 2, 3, 4, 5, 0], "labels"),
        ("labels", ["x", "y"], "whole numbers"),
        ("labels", [1.0, 2.77], "is 2.77 at utterance 1"),
        ("labels", np.array([np.nan, 1.0]), "is nan at utterance 0"),
        ("labels", [True, 2], "is True at utterance 0"),
        ("labels", ["1", "2"], "is '1' at utterances 0, 1"),
        ("labels", np.array([2**32 + 2, 1]), "of 32 bits"),
        ("labels", np.array([2, None], dtype=object), "is None at utterance 1"),
        ("audio", np.full((2, 1582), np.nan), "NaN or infinity"),
        ("audio", np.full((2, 1582), 1e300), "NaN or infinity in float32"),
        ("visual", np.zeros((5, 342)), "visual"),
        ("speakers", ["M", "X"], "X"),
    ],
)
def test_broken_dialogues_are_named(
    iemocap: Callable[..., Path], tmp_path: Path, part: str, broken: Any, words: str
) -> None:
    places = ["ids", "speakers", "labels", "text", "audio", "visual", "sentences", "train", "test"]
    content = iemocap_content()[places.index(part)]
    source = iemocap(**{part: {**content, "Ses01F_00": broken}})
    with pytest.raises((SourceError, DataError)) as error:
        import_dataset("mmgcn-iemocap", source, tmp_path / "out", val_dialogues=4)
    assert "Ses01F_00" in str(error.value)
    assert words in str(error.value)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_dialogue_in_two_splits_is_named(iemocap: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises((SourceError, DataError), match="Ses01F_00"):
        import_dataset("mmgcn-iemocap", iemocap(test={"Ses01F_00", "Ses01F_29"}), tmp_path / "out", val_dialogues=4)


def test_meld_speakers_are_one_hot_and_dev_is_recovered_or_held_out(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    sizes = {i: 1 + i % 3 for i in range(40)}

    def matrices(width: int) -> dict[int, Any]:
        return {i: random.normal(size=(k, width)) for i, k in sizes.items()}

    content = (
        {i: list(range(k)) for i, k in sizes.items()},
        {i: np.eye(9)[random.integers(0, 9, k)] for i, k in sizes.items()},
        {i: [int(x) for x in random.integers(0, 7, k)] for i, k in sizes.items()},
        matrices(600),
        matrices(300),
        matrices(342),
        {i: ["hey"] * k for i, k in sizes.items()},
        list(range(30)),
        list(range(30, 40)),
        {},
    )
    source = write_pickle(tmp_path / "meld.pkl", content)
    info, dialogues = import_mmgcn_meld(source, val_dialogues=5)
    conversations = list(dialogues)
    assert info.class_names == ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
    assert info.speaker_count == 9
    assert [sum(d.split == split for d in conversations) for split in ("train", "val", "test")] == [25, 5, 10]
    first = next(d for d in conversations if d.dialogue_id.endswith("2") and len(d) == 3)
    np.testing.assert_array_equal(first.speakers, content[1][int(first.dialogue_id)].argmax(1))


class Payload:
    """Runs a command when a trusting reader loads it."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "payload",
    [
        lambda mark: Payload(os.system, f"touch {mark}"),
        lambda mark: Payload(eval, f"open({str(mark)!r}, 'w')"),
        lambda mark: Payload(exec, f"open({str(mark)!r}, 'w')"),
        lambda _: Payload(getattr, "text", "upper"),
        lambda mark: Payload(np.fromfile, str(mark)),
        lambda mark: Payload(np.load, str(mark)),
        lambda mark: np.array([Payload(os.system, f"touch {mark}")], dtype=object),
        lambda mark: {"deep": [("in", Payload(os.mkdir, str(mark)))]},
    ],
)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_code_in_a_pickle_never_runs(payload: Callable[[Path], Any], protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    source = write_pickle(tmp_path / "bad.pkl", payload(mark), protocol)
    with pytest.raises(UnsafePickleError, match=r"bad\.pkl") as error:
        read_pickle(source)
    assert not mark.exists()
    assert any(name in str(error.value) for name in ("system", "eval", "exec", "getattr", "fromfile", "load", "mkdir"))


def test_hand_written_opcodes_find_no_way_round(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    for opcodes in (
        b"cos\nsystem\n(S'touch %s'\ntR." % bytes(mark),
        b"(S'touch %s'\nios\nsystem\n." % bytes(mark),
        b"cnumpy.core.multiarray\n_reconstruct.system\n(S'touch %s'\ntR." % bytes(mark),
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x01a\x85R.",
    ):
        (tmp_path / "bad.pkl").write_bytes(opcodes)
        with pytest.raises((UnsafePickleError, SourceError)):
            read_pickle(tmp_path / "bad.pkl")
        assert not mark.exists()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_and_plain_containers_come_back(protocol: int, tmp_path: Path) -> None:
    content = {
        "matrix": np.arange(6.0).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "big": np.arange(3, dtype=">f4"),
        "words": np.array(["a", "bc"]),
        "objects": np.array([[1], "x", None], dtype=object),
        "scalar": np.float32(2.5),
        "plain": [1, "two", 3.0, None, True, b"bytes", {4}, (5, 6)],
    }
    copy = read_pickle(write_pickle(tmp_path / "good.pkl", content, protocol))
    for key in ("matrix", "fortran", "big", "words"):
        np.testing.assert_array_equal(copy[key], content[key])
    assert list(copy["objects"]) == [[1], "x", None]
    assert copy["scalar"] == 2.5
    assert copy["plain"] == content["plain"]


@pytest.mark.parametrize("keep", [0, 1, 40, 400])
def test_truncated_pickles_are_named(keep: int, iemocap: Callable[..., Path]) -> None:
    source = iemocap()
    source.write_bytes(source.read_bytes()[:keep])
    with pytest.raises(SourceError, match=r"features\.pkl"):
        read_pickle(source)


@pytest.mark.meld
def test_meld_tables_with_text_rows_and_timing(tmp_path: Path) -> None:
    folder = real_data("meld")
    text = str(folder / "{split}_minilm.npy")
    import_dataset("meld-csv", folder, tmp_path / "meld", text=text, audio="timing")
    card = feature_card(tmp_path / "meld")
    assert {name: (s.dialogues, s.utterances, s.emotion_shifts) for name, s in card.splits.items()} == {
        "train": (1038, 9989, 4001),
        "val": (114, 1109, 427),
        "test": (280, 2610, 1003),
    }
    assert dict(card.widths) == {"text": 384, "audio": 4}
    report = validate_shards(tmp_path / "meld")
    assert report.problems == ()
    timing = np.concatenate([d.features["audio"] for d in read_shards(tmp_path / "meld", split="train")])
    np.testing.assert_allclose(timing.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(timing.std(0), 1, atol=1e-3)
    assert np.abs(timing).max() < 25


@pytest.mark.meld
def test_meld_rows_that_do_not_match_the_table_are_counted(tmp_path: Path) -> None:
    folder = real_data("meld")
    for split in ("train", "dev", "test"):
        rows = np.load(folder / f"{split}_minilm.npy")
        np.save(tmp_path / f"{split}.npy", rows[:-1] if split == "dev" else rows)
    with pytest.raises(SourceError, match=r"dev\.npy.*1108.*1109|dev\.npy.*1109.*1108"):
        import_meld_csv(folder, text=str(tmp_path / "{split}.npy"))


REAL = {
    "iemocap": {"train": (108, 5163, 1460), "val": (12, 647, 150), "test": (31, 1623, 410)},
    "emorynlp": {"train": (659, 7551, 3425), "val": (79, 984, 497), "test": (89, 954, 441)},
}
"""Data set -> split -> dialogues, utterances and emotion shifts."""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    def shards(dataset: str) -> Path:
        folder, out = real_data(dataset), tmp_path_factory.mktemp(dataset) / "shards"
        import_dataset("csv", folder / "utterances.csv", out, dataset=dataset, text=folder / "minilm.npy")
        return out

    return shards


@pytest.mark.real
@pytest.mark.parametrize("dataset", REAL)
def test_real_tables_with_text_rows(dataset: str, real: Callable[[str], Path]) -> None:
    shards = real(dataset)
    card = feature_card(shards)
    assert {name: (s.dialogues, s.utterances, s.emotion_shifts) for name, s in card.splits.items()} == REAL[dataset]
    assert dict(card.widths) == {"text": 384}
    assert validate_shards(shards).problems == ()


@pytest.mark.real
def test_iemocaps_text_is_the_papers_where_the_paper_reads_text_alone(real: Callable[[str], Path]) -> None:
    keys = {"data.shards": str(real("iemocap")), "data.modalities": "text"}
    assert differences_from_paper(load_config("iemocap-dialogue-rnn", keys)) == ()
    assert differences_from_paper(load_config("iemocap", keys)) == (
        "read are text, in the paper text, audio and visual",
    )
