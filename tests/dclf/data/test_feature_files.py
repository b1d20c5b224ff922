"""Files of features alone: every shape gives each utterance its row, and what is not clear is asked for."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dclf.data import SourceError
from dclf.data.importers import import_mmgcn_iemocap, import_mmgcn_meld
from dclf.data.importers.conversations import Conversation
from dclf.data.importers.replacement import feature_rows
from tests.dclf.data.test_mmgcn_variants import iemocap_content, meld_content, pickle_of

LENGTHS = {"Ses01F_impro01": 3, "Ses01F_impro02": 2}
IEMOCAP, MELD = {"audio": 1582, "visual": 342}, {"audio": 300, "visual": 342}
IDS = {name: [f"{name}_{i}" for i in range(n)] for name, n in LENGTHS.items()}
GENDERS = {name: ["M", "F", "M"][:n] for name, n in LENGTHS.items()}
ONE_HOT = {name: np.eye(9)[[0, 3, 0][:n]].tolist() for name, n in LENGTHS.items()}
LABELS = {name: [2, 0, 5][:n] for name, n in LENGTHS.items()}
SENTENCES = {name: ["hey"] * n for name, n in LENGTHS.items()}
TRAIN, TEST = ["Ses01F_impro01"], ["Ses01F_impro02"]


def rows(width: int, value: float = 0.25, *, as_lists: bool = False) -> dict[str, Any]:
    """Rows of a dialogue as a matrix or as a list of vectors, both of which occur."""
    matrices = {name: np.full((n, width), value, np.float32) for name, n in LENGTHS.items()}
    return {name: list(matrix) for name, matrix in matrices.items()} if as_lists else matrices


ROBERTA = [rows(1024, layer / 8, as_lists=layer % 2 == 0) for layer in range(1, 5)]
PUBLISHED: dict[str, tuple[Any, dict[str, int], int, list[int]]] = {
    "COSMIC, IEMOCAP": ([GENDERS, LABELS, *ROBERTA, SENTENCES, TRAIN, TEST, []], IEMOCAP, 2, [3, 4, 5]),
    "COSMIC, MELD": ([ONE_HOT, LABELS, LABELS, *ROBERTA, SENTENCES, TRAIN, TEST, []], MELD, 3, [4, 5, 6]),
    "COSMIC, DailyDialog": (
        [{name: ["0", "1", "0"][:n] for name, n in LENGTHS.items()}, LABELS, *ROBERTA, SENTENCES, TRAIN, TEST, []],
        MELD,
        2,
        [3, 4, 5],
    ),
    "CFN-ESA, SDT, GraphSmile, IEMOCAP": (
        (IDS, GENDERS, LABELS, *ROBERTA, rows(1582), rows(342), SENTENCES, TRAIN, TEST),
        IEMOCAP,
        3,
        [4, 5, 6],
    ),
    "the same beside MELD's widths": (
        (IDS, GENDERS, LABELS, *ROBERTA, rows(1582), rows(342), SENTENCES, TRAIN, TEST),
        MELD,
        3,
        [4, 5, 6],
    ),
    "SDT, MELD": (
        (IDS, ONE_HOT, LABELS, *ROBERTA, rows(300), rows(342), SENTENCES, TRAIN, TEST, {}),
        MELD,
        3,
        [4, 5, 6],
    ),
    "CFN-ESA, MELD": (
        (IDS, ONE_HOT, LABELS, LABELS, *ROBERTA, rows(300), rows(342), SENTENCES, TRAIN, TEST, {}),
        MELD,
        4,
        [5, 6, 7],
    ),
    "MMGCN, IEMOCAP": (
        (IDS, GENDERS, LABELS, rows(100), rows(1582), rows(342), SENTENCES, TRAIN, TEST),
        IEMOCAP,
        3,
        [],
    ),
    "DialogueRNN, MELD": (
        (IDS, ONE_HOT, LABELS, rows(600), rows(300), SENTENCES, TRAIN, TEST, LABELS),
        MELD,
        3,
        [],
    ),
    "text, audio and visual": ((rows(1024), rows(1582), rows(342)), IEMOCAP, 0, []),
}


def conversation(name: Any, count: int, **changes: Any) -> Conversation:
    zeros = np.zeros(count, np.int32)
    facts = {"name": name, "dialogue_id": str(name), "split": "train", "speakers": zeros, "labels": zeros}
    return Conversation(**{**facts, **changes})


CONVERSATIONS = [conversation(name, n, utterance_ids=tuple(IDS[name])) for name, n in LENGTHS.items()]


def write(folder: Path, content: Any) -> Path:
    (folder / "text.pkl").write_bytes(pickle.dumps(content, protocol=2))
    return folder / "text.pkl"


def matrices(features: Any, conversations: list[Conversation] = CONVERSATIONS) -> dict[Any, np.ndarray[Any, Any]]:
    return {one.name: features.of(one)[0] for one in conversations}


@pytest.mark.parametrize("layout", PUBLISHED, ids=str)
def test_published_layouts_give_their_text(tmp_path: Path, layout: str) -> None:
    content, others, place, alike = PUBLISHED[layout]
    features, facts = feature_rows(write(tmp_path, content), "text", CONVERSATIONS, others=others)
    for name, matrix in matrices(features).items():
        np.testing.assert_array_equal(matrix, np.asarray(content[place][name]))
    assert (facts["element"], facts["width"]) == (place, content[place][TRAIN[0]][0].shape[0])
    assert facts.get("also as wide", []) == alike


UNCLEAR: dict[str, tuple[Any, dict[str, int], str]] = {
    "COGMEN": (
        (IDS, GENDERS, LABELS, rows(768), rows(100), rows(512), SENTENCES, TRAIN, TEST),
        IEMOCAP,
        "more than one element of this tuple may be text",
    ),
    "BiDDIN beside itself": (
        (IDS, GENDERS, LABELS, rows(100), rows(100), rows(512), SENTENCES, TRAIN, TEST),
        {"audio": 100, "visual": 512},
        "no element of this tuple looks like text",
    ),
    "two encoders": ([rows(768), rows(1024)], IEMOCAP, "more than one element of this list may be text"),
}


@pytest.mark.parametrize("case", UNCLEAR, ids=str)
def test_what_is_not_clear_is_asked_for(tmp_path: Path, case: str) -> None:
    content, others, words = UNCLEAR[case]
    with pytest.raises(SourceError, match=rf"text\.pkl: {words}; say which one with --text .*text\.pkl#K") as error:
        feature_rows(write(tmp_path, content), "text", CONVERSATIONS, others=others)
    for place, element in enumerate(content):
        if isinstance(element, dict) and isinstance(element[TRAIN[0]], np.ndarray):
            width = element[TRAIN[0]].shape[1]
            assert f"  element {place}: " in str(error.value)
            assert f", {width} wide" in str(error.value)
    place = 3 if isinstance(content, tuple) else 1
    features, facts = feature_rows(f"{write(tmp_path, content)}#{place}", "text", CONVERSATIONS, others=others)
    assert matrices(features)[TRAIN[0]].shape == content[place][TRAIN[0]].shape
    assert (facts["element"], facts["chosen by"]) == (place, f"#{place}")


def test_the_list_says_what_each_element_looks_like(tmp_path: Path) -> None:
    content = (ONE_HOT, LABELS, rows(768), rows(300), rows(1582), rows(512))
    with pytest.raises(SourceError) as error:
        feature_rows(write(tmp_path, content), "text", CONVERSATIONS, others=MELD)
    assert str(error.value).splitlines()[1:] == [
        "  element 0: one-hot rows, 9 wide",
        "  element 2: rows of numbers, 768 wide",
        "  element 3: as wide as the feature pickle's audio, 300 wide",
        "  element 4: openSMILE's IS10 set, audio of IEMOCAP, 1582 wide",
        "  element 5: rows of numbers, 512 wide",
    ]


@pytest.mark.parametrize("place", ["1", "9"])
def test_an_element_without_rows_is_refused(tmp_path: Path, place: str) -> None:
    path = write(tmp_path, (ONE_HOT, LABELS, rows(768), rows(512)))
    with pytest.raises(SourceError, match=rf"must name one of the elements .*, is {place}:\n  element 0: one-hot"):
        feature_rows(f"{path}#{place}", "text", CONVERSATIONS)


@pytest.mark.parametrize("choice", ["-1", "2.0", "last", ""])
def test_what_is_no_number_of_an_element_is_refused(tmp_path: Path, choice: str) -> None:
    path = write(tmp_path, (ONE_HOT, LABELS, rows(768)))
    with pytest.raises(SourceError, match="behind # must be the number of an element, mean or concat"):
        feature_rows(f"{path}#{choice}", "text", CONVERSATIONS)


def test_layers_are_put_together(tmp_path: Path) -> None:
    path = write(tmp_path, [GENDERS, LABELS, rows(4, 1.0), rows(4, 2.0), SENTENCES])
    mean, facts = feature_rows(f"{path}#mean", "text", CONVERSATIONS)
    np.testing.assert_array_equal(matrices(mean)[TRAIN[0]], np.full((3, 4), 1.5))
    assert facts["element"] == [2, 3]
    concat, facts = feature_rows(f"{path}#concat", "text", CONVERSATIONS)
    np.testing.assert_array_equal(matrices(concat)[TRAIN[0]], [[1.0] * 4 + [2.0] * 4] * 3)
    assert facts["width"] == 8


def test_a_dict_of_rows_has_no_elements(tmp_path: Path) -> None:
    path = write(tmp_path, rows(300))
    features, facts = feature_rows(path, "text", CONVERSATIONS, others=MELD)
    assert matrices(features)[TRAIN[0]].shape == (3, 300)
    assert (facts["element"], facts["width"]) == (None, 300)
    with pytest.raises(SourceError, match="has no elements to choose from"):
        feature_rows(f"{path}#0", "text", CONVERSATIONS)


def test_audio_and_visual_are_taken_by_the_widths_that_they_alone_have(tmp_path: Path) -> None:
    path = write(tmp_path, (IDS, GENDERS, LABELS, *ROBERTA, rows(1582), rows(342), SENTENCES, TRAIN, TEST))
    assert feature_rows(path, "audio", CONVERSATIONS)[1]["element"] == 7
    assert feature_rows(path, "visual", CONVERSATIONS)[1]["element"] == 8
    path = write(tmp_path, (rows(768), rows(512)))
    with pytest.raises(SourceError, match="no element of this tuple looks like audio"):
        feature_rows(path, "audio", CONVERSATIONS)


def test_a_width_of_another_modality_is_noted(tmp_path: Path) -> None:
    facts = feature_rows(write(tmp_path, rows(342)), "text", CONVERSATIONS)[1]
    assert (
        facts["note"] == "342 columns are as a rule DenseNet's rows, visual of IEMOCAP and MELD; it was given as text"
    )


def vectors(**changes: Any) -> dict[str, Any]:
    every = {one: np.full(5, place, np.float32) for place, one in enumerate(i for ids in IDS.values() for i in ids)}
    return {key: value for key, value in {**every, **changes}.items() if value is not None}


@pytest.mark.parametrize("kind", ["pickle", "torch archive", "torch tensors", "old torch archive"])
def test_vectors_by_utterance_id_in_every_container(tmp_path: Path, kind: str) -> None:
    path, content = tmp_path / "features", vectors()
    tensors = {key: torch.from_numpy(value) for key, value in content.items()}
    if kind.endswith("archive"):
        torch.save(tensors, path, _use_new_zipfile_serialization=kind == "torch archive")
    else:
        path.write_bytes(pickle.dumps(tensors if kind == "torch tensors" else content))
    features, facts = feature_rows(path, "audio", CONVERSATIONS)
    assert [matrix[:, 0].tolist() for matrix in matrices(features).values()] == [[0, 1, 2], [3, 4]]
    assert features.of(CONVERSATIONS[0])[1] is None
    assert "missing" not in facts


def test_an_utterance_without_a_vector_is_marked_and_told(tmp_path: Path) -> None:
    features, facts = feature_rows(write(tmp_path, vectors(Ses01F_impro01_1=None)), "audio", CONVERSATIONS)
    matrix, present = features.of(CONVERSATIONS[0])
    assert present is not None
    assert present.tolist() == [True, False, True]
    assert not matrix[1].any()
    assert facts["missing"] == "1 utterance without features, such as Ses01F_impro01 utterance 1"
    few = dict.fromkeys(["Ses01F_impro01_1", "Ses01F_impro02_0"], np.ones(5))
    with pytest.raises(SourceError, match=r"no audio features for 3 of 5 utterances, such as 'Ses01F_impro01_0'"):
        feature_rows(write(tmp_path, few), "audio", CONVERSATIONS)


def test_layers_that_lack_an_utterance_lack_it_together(tmp_path: Path) -> None:
    first, second = vectors(Ses01F_impro01_1=None), vectors(Ses01F_impro02_0=None)
    for choice in ("mean", "concat"):
        path = write(tmp_path, [first, second])
        features, facts = feature_rows(f"{path}#{choice}", "text", CONVERSATIONS)
        (one, has_one), (two, has_two) = (features.of(conversation) for conversation in CONVERSATIONS)
        assert has_one is not None
        assert has_two is not None
        assert (has_one.tolist(), has_two.tolist()) == ([True, False, True], [False, True])
        assert not one[1].any()
        assert not two[0].any()
        assert set(one[2].tolist()) == {2.0}
        assert str(facts["missing"]).startswith("2 utterances without features")


def test_a_vector_that_is_none_is_named_wherever_it_stands(tmp_path: Path) -> None:
    ragged = [1.0, [2.0, 3.0]]
    for content in (vectors(Ses01F_impro01_0=ragged), [vectors(Ses01F_impro01_0=ragged), vectors()]):
        with pytest.raises(SourceError, match=r"text\.pkl"):
            matrices(feature_rows(write(tmp_path, content), "audio", CONVERSATIONS)[0])


def test_rows_may_be_an_array_of_vectors(tmp_path: Path) -> None:
    expected = rows(6)
    content = {}
    for name, matrix in expected.items():
        content[name] = np.empty(len(matrix), dtype=object)
        content[name][:] = list(matrix)
    for whole in (content, [content, LABELS]):
        features, _ = feature_rows(write(tmp_path, whole), "text", CONVERSATIONS)
        for name, matrix in matrices(features).items():
            np.testing.assert_array_equal(matrix, expected[name])


def test_numpys_archives_are_told_from_torchs(tmp_path: Path) -> None:
    np.savez(tmp_path / "text.npz", rows=np.ones((5, 2)), names=np.arange(5))
    with pytest.raises(
        SourceError, match=r"text\.npz: is an \.npz, an archive of 2 arrays \(rows and names\); save the"
    ):
        feature_rows(tmp_path / "text.npz", "text", CONVERSATIONS)
    (tmp_path / "text.pt").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(SourceError, match=r"text\.pt: is no whole torch archive"):
        feature_rows(tmp_path / "text.pt", "text", CONVERSATIONS)


@pytest.mark.parametrize(("data", "words"), [(b"", "holds objects; save numbers"), (b"\x93NUMPY\x01", "save it again")])
def test_an_npy_that_is_no_array_of_numbers_says_why(tmp_path: Path, data: bytes, words: str) -> None:
    np.save(tmp_path / "text.npy", np.array({"a": np.ones(3)}, dtype=object), allow_pickle=True)
    if data:
        (tmp_path / "text.npy").write_bytes(data)
    with pytest.raises(SourceError, match=rf"text\.npy: cannot be read as an \.npy array of numbers: .*{words}"):
        feature_rows(tmp_path / "text.npy", "text", CONVERSATIONS)


@pytest.mark.parametrize(
    ("value", "words"),
    [(np.ones(4), "must have one vector of 5 numbers, has \\[4\\]"), ("loud", "must have a vector of numbers")],
)
def test_vectors_of_another_shape_are_named(tmp_path: Path, value: Any, words: str) -> None:
    path = write(tmp_path, vectors(Ses01F_impro02_1=value))
    with pytest.raises(SourceError, match=f"utterance 'Ses01F_impro02_1' {words}"):
        matrices(feature_rows(path, "audio", CONVERSATIONS)[0])


def numbered(split: str, number: int, count: int, first: int) -> Conversation:
    name = f"{split}-{number}"
    places = np.arange(first, first + count)
    return conversation(name, count, split=split, number=str(number), split_places=places)


ANEW = [numbered("train", 0, 2, 0), numbered("train", 2, 1, 2), numbered("val", 0, 2, 0), numbered("test", 0, 1, 0)]


def per_split(value: Any) -> list[dict[str, Any]]:
    """Three dicts by MELD's authors' keys, each value naming split, dialogue and utterance."""
    content: list[dict[str, Any]] = [{}, {}, {}]
    for one in ANEW:
        place = ("train", "val", "test").index(one.split)
        content[place].update(value(place, int(one.number or 0), len(one)))
    return content


def by_turn(place: int, number: int, count: int) -> dict[str, Any]:
    return {f"{number}_{turn}": np.array([place, number, turn, 7.0]) for turn in range(count)}


def by_clip(place: int, number: int, count: int) -> dict[str, Any]:
    return {f"dia{number}_utt{turn}": np.array([place, number, turn, 7.0]) for turn in range(count)}


def padded(place: int, number: int, count: int) -> dict[str, Any]:
    matrix = np.zeros((6, 4))
    matrix[:count] = [[place, number, turn, 7.0] for turn in range(count)]
    return {str(number): matrix}


@pytest.mark.parametrize("value", [by_turn, by_clip, padded])
@pytest.mark.parametrize("shape", ["list of three", "dict of splits", "a file each"])
def test_splits_numbered_anew_are_not_mixed_up(tmp_path: Path, value: Any, shape: str) -> None:
    content: Any = per_split(value)
    path = str(tmp_path / "text.pkl")
    if shape == "a file each":
        for name, part in zip(("train", "dev", "test"), content, strict=True):
            (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(part))
        path = str(tmp_path / "{split}.pkl")
    else:
        names = ("train", "valid", "test")
        write(tmp_path, content if shape == "list of three" else dict(zip(names, content, strict=True)))
    features, _ = feature_rows(path, "audio", ANEW)
    for one in ANEW:
        place = ("train", "val", "test").index(one.split)
        expected = [[place, int(one.number or 0), turn, 7.0] for turn in range(len(one))]
        np.testing.assert_array_equal(features.of(one)[0], expected)


def test_padding_that_is_not_zero_is_refused(tmp_path: Path) -> None:
    content = per_split(padded)
    content[0]["0"][5] = 1.0
    with pytest.raises(SourceError, match="dialogue 'train-0' has 6 text rows for 2 utterances"):
        feature_rows(write(tmp_path, content), "text", ANEW)


def test_one_dict_for_splits_numbered_anew_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="numbers dialogues anew in each split is a list of three dicts"):
        feature_rows(write(tmp_path, by_clip(0, 0, 3)), "audio", ANEW)


def test_a_file_of_one_split_is_not_taken_for_all(tmp_path: Path) -> None:
    """MELD's pickle numbers on end, so the numbers of the train split alone could pass for its dialogues."""
    splits = [("train", range(8)), ("val", range(8, 10)), ("test", range(10, 12))]
    on_end = [conversation(number, 2, split=split) for split, numbers in splits for number in numbers]
    train = {f"{number}_{turn}": np.ones(4) for number in range(8) for turn in range(2)}
    with pytest.raises(SourceError, match=r"no audio features for any utterance of the val split; .*\{split\}"):
        feature_rows(write(tmp_path, train), "audio", on_end)


def test_arrays_follow_a_table_or_are_refused(tmp_path: Path) -> None:
    table = np.arange(10.0).reshape(5, 2)
    np.save(tmp_path / "rows.npy", table)
    with pytest.raises(
        SourceError, match=r"rows\.npy: is an array of 5 rows, and the conversations are in no one table"
    ):
        feature_rows(tmp_path / "rows.npy", "text", CONVERSATIONS)
    whole = [conversation("a", 2, places=np.array([0, 3])), conversation("b", 3, places=np.array([1, 2, 4]))]
    torch.save(torch.from_numpy(table), tmp_path / "rows.pt")
    for name in ("rows.npy", "rows.pt"):
        features, _ = feature_rows(tmp_path / name, "text", whole)
        assert [matrix[:, 0].tolist() for matrix in matrices(features, whole).values()] == [[0, 6], [2, 4, 8]]
    for split, count in (("train", 3), ("valid", 2), ("test", 1)):
        np.save(tmp_path / f"{split}.npy", np.full((count, 2), count, np.float32))
    features, facts = feature_rows(str(tmp_path / "{split}.npy"), "text", ANEW)
    assert [int(features.of(one)[0][0, 0]) for one in ANEW] == [3, 3, 2, 1]
    assert {"train.npy", "valid.npy", "test.npy"} <= {*facts}
    np.save(tmp_path / "test.npy", np.ones((1, 3), np.float32))
    with pytest.raises(SourceError, match="train is 2 wide, val is 2 wide, test is 3 wide"):
        feature_rows(str(tmp_path / "{split}.npy"), "text", ANEW)


def test_the_importers_know_the_widths_that_stay(tmp_path: Path) -> None:
    content = iemocap_content()
    names = list(content[2])
    beside = [{name: np.full((2, width), 0.5) for name in names} for width in (6, 4, 3)]
    text = pickle_of(tmp_path, beside, "text.pkl")
    info, _ = import_mmgcn_iemocap(pickle_of(tmp_path, content), text=text, val_dialogues=2)
    assert dict(info.widths) == {"text": 6, "audio": 4, "visual": 3}
    info, _ = import_mmgcn_iemocap(pickle_of(tmp_path, content), text=text, val_dialogues=2, text_element=1)
    assert info.widths["text"] == 4
    with pytest.raises(SourceError, match="which element of --text to take, which is not given"):
        import_mmgcn_iemocap(pickle_of(tmp_path, content), val_dialogues=2, text_element=1)
    meld = meld_content(range(20), range(20, 25), dev_utterances=114)
    rows_beside = [{name: np.full((n, width), 0.5) for name, n in meld[0].items()} for width in (7, 3, 4)]
    info, _ = import_mmgcn_meld(
        pickle_of(tmp_path, meld, "meld.pkl"), text=pickle_of(tmp_path, rows_beside, "rows.pkl"), val_dialogues=3
    )
    assert info.widths["text"] == 7
