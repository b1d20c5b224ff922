"""The feature pickles' variants: MELD's published numbering, RoBERTa tuples, and layouts that are none of ours."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dclf.data import DataError, SourceError, UnsafePickleError
from dclf.data.importers import import_mmgcn_iemocap, import_mmgcn_meld
from dclf.errors import WrongInputError

Content = list[Any]
LABELS = 2


def meld_content(train: Iterable[int], test: Iterable[int], dev_utterances: int = 1109) -> Content:
    """MELD's 10-tuple with its own ids; the development dialogues have ``dev_utterances`` in all."""
    train, test = list(train), list(test)
    sizes = dict.fromkeys([*train, *test], 1)
    sizes[train[-1]] += dev_utterances - 114
    speakers = {name: np.eye(9, dtype=np.int64)[[0] * size].tolist() for name, size in sizes.items()}
    labels = {name: [0] * size for name, size in sizes.items()}
    rows = [{name: np.ones((size, width)) for name, size in sizes.items()} for width in (6, 3, 4)]
    sentences = {name: ["hey"] * size for name, size in sizes.items()}
    return [sizes, speakers, labels, *rows, sentences, train, test, {}]


def iemocap_content() -> Content:
    names = [f"Ses0{n}" for n in range(1, 10)]
    rows = [{name: np.full((2, width), n) for n, name in enumerate(names)} for width in (5, 4, 3)]
    labels, sentences = {name: [0, 5] for name in names}, {name: ["a", "b"] for name in names}
    return [{}, {name: ["M", "F"] for name in names}, labels, *rows, sentences, names[:6], names[6:]]


def pickle_of(folder: Path, content: Any, name: str = "features.pkl") -> Path:
    (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return folder / name


PUBLISHED = [n for n in range(1153) if n != 60]


@pytest.mark.parametrize("train", [PUBLISHED, [*range(1153)]], ids=["gap at 60", "no gap"])
def test_melds_own_dev_split_is_recovered_from_the_published_numbering(tmp_path: Path, train: list[int]) -> None:
    info, stream = import_mmgcn_meld(pickle_of(tmp_path, meld_content(train, range(1153, 1433))))
    splits = {split: [int(d.dialogue_id) for d in dialogues] for split, dialogues in by_split(stream).items()}
    assert splits["val"] == list(range(1039, 1153))
    assert splits["train"] == [n for n in train if n < 1039]
    assert splits["test"] == list(range(1153, 1433))
    assert info.provenance["validation"] == {"method": "published dev split"}


@pytest.mark.parametrize(
    "content",
    [
        meld_content(PUBLISHED, range(1153, 1432)),
        meld_content(PUBLISHED, range(1153, 1433), dev_utterances=1110),
        meld_content([n for n in PUBLISHED if n != 1100], range(1153, 1433)),
    ],
    ids=["other test ids", "other dev utterances", "a dev dialogue missing"],
)
def test_other_numberings_fall_back_to_a_recorded_hold_out(tmp_path: Path, content: Content) -> None:
    info, stream = import_mmgcn_meld(pickle_of(tmp_path, content), seed=5)
    val = [d.dialogue_id for d in by_split(stream)["val"]]
    assert len(val) == 114
    assert val != [str(n) for n in range(1039, 1153)]
    method = "held out of the training dialogues"
    assert info.provenance["validation"] == {"method": method, "seed": 5, "dialogues": val}


def by_split(stream: Iterable[Any]) -> dict[str, list[Any]]:
    splits: dict[str, list[Any]] = {"train": [], "val": [], "test": []}
    for dialogue in stream:
        splits[dialogue.split].append(dialogue)
    return splits


def test_the_widest_rows_of_a_roberta_tuple_replace_the_text(tmp_path: Path) -> None:
    content = iemocap_content()
    wide = {name: [[float(n)] * 8] * 2 for n, name in enumerate(content[2])}
    later = {name: [[-1.0] * 8] * 2 for name in content[2]}
    one_hot = {name: [[1, 0]] * 2 for name in content[2]}
    text = pickle_of(tmp_path, (one_hot, content[2], wide, later, ["Ses01"]), "roberta.pkl")
    info, stream = import_mmgcn_iemocap(pickle_of(tmp_path, content), text=text, val_dialogues=2)
    assert info.widths["text"] == 8
    assert [d.features["text"][0, 0] for d in sorted(stream, key=lambda d: d.dialogue_id)] == list(range(9))
    origin = info.provenance["text"]
    assert isinstance(origin, dict)
    assert (origin["file"], origin["element"], origin["width"]) == ("roberta.pkl", 2, 8)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"Ses01": [[1.0]]}, "has no text rows for 8 dialogues, such as 'Ses02'"),
        ({"other": [[1.0]]}, "holds no dict from dialogue id to rows of numbers that knows dialogue 'Ses01'"),
        ([1, 2], "holds no dict"),
        ({f"Ses0{n}": [[1.0]] * (2 if n < 5 else 3) for n in range(1, 10)}, "'Ses05' has 3 text rows for 2 utterances"),
    ],
)
def test_rows_that_do_not_fit_the_dialogues_are_refused(tmp_path: Path, content: Any, words: str) -> None:
    text = pickle_of(tmp_path, content, "roberta.pkl")
    with pytest.raises(SourceError, match=rf"roberta\.pkl: .*{words}"):
        import_mmgcn_iemocap(pickle_of(tmp_path, iemocap_content()), text=text, val_dialogues=2)


def changed(place: int, value: Any) -> Content:
    content = iemocap_content()
    content[place] = value
    return content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"a": 1}, "must be a tuple of 9 elements, is dict of 1"),
        (iemocap_content()[:8], "must be a tuple of 9 elements, is list of 8"),
        (np.array(7), "must be a tuple of 9 elements, is ndarray; "),
        (7, "must be a tuple of 9 elements, is int"),
        (changed(4, [1]), "element 5 must be a dict by dialogue id, is a list"),
        (changed(8, [["Ses07"]]), "train and test ids must be lists of dialogue ids, one holds"),
        (changed(7, 3), "train and test ids must be lists, one is a int"),
    ],
)
def test_other_layouts_are_refused(tmp_path: Path, content: Any, words: str) -> None:
    with pytest.raises(SourceError, match=rf"features\.pkl: {words}"):
        import_mmgcn_iemocap(pickle_of(tmp_path, content), val_dialogues=2)


def test_dialogues_without_an_element_are_all_named(tmp_path: Path) -> None:
    content = iemocap_content()
    del content[4]["Ses02"], content[LABELS]["Ses08"]
    with pytest.raises(DataError) as error:
        import_mmgcn_iemocap(pickle_of(tmp_path, content), val_dialogues=2)
    assert error.value.problems == (
        "dialogue 'Ses02': the pickle has no audio for it",
        "dialogue 'Ses08': the pickle has no labels for it",
    )


@pytest.mark.parametrize(("place", "split"), [(7, "train"), (8, "test")])
def test_an_empty_split_is_named(tmp_path: Path, place: int, split: str) -> None:
    with pytest.raises(DataError, match=f"the {split} split is empty"):
        import_mmgcn_iemocap(pickle_of(tmp_path, changed(place, [])), val_dialogues=2)


@pytest.mark.parametrize("count", [0, 6, 20])
def test_a_hold_out_must_leave_both_sides_something(tmp_path: Path, count: int) -> None:
    with pytest.raises(WrongInputError, match=rf"val_dialogues must be between 1 and 5 .* is {count}"):
        import_mmgcn_iemocap(pickle_of(tmp_path, iemocap_content()), val_dialogues=count)


def test_the_seed_of_a_hold_out_is_0_or_more(tmp_path: Path) -> None:
    with pytest.raises(WrongInputError, match="seed must be 0 or more, is -1"):
        import_mmgcn_iemocap(pickle_of(tmp_path, iemocap_content()), val_dialogues=2, seed=-1)


@pytest.mark.parametrize("importer", [import_mmgcn_iemocap, import_mmgcn_meld])
@pytest.mark.parametrize("name", ["", "absent.pkl"], ids=["folder", "absent"])
def test_a_pickle_that_cannot_be_opened_is_named(tmp_path: Path, importer: Callable[[Path], object], name: str) -> None:
    with pytest.raises(SourceError, match=f"^{tmp_path / name}: cannot be read .*; check the path"):
        importer(tmp_path / name)


def test_the_hold_out_does_not_depend_on_the_order_of_the_ids(tmp_path: Path) -> None:
    content = iemocap_content()
    reversed_ids = [*content[:7], content[7][::-1], content[8]]
    first, second = (
        {d.dialogue_id for d in by_split(import_mmgcn_iemocap(pickle_of(tmp_path, c), val_dialogues=2)[1])["val"]}
        for c in (content, reversed_ids)
    )
    assert first == second


def test_speakers_that_are_not_one_hot_are_named(tmp_path: Path) -> None:
    content = meld_content(range(20), range(20, 25), dev_utterances=114)
    content[1][3] = [[0.5] * 9]
    with pytest.raises(DataError, match="dialogue 3: speakers must be one-hot rows"):
        list(import_mmgcn_meld(pickle_of(tmp_path, content), val_dialogues=3)[1])


def test_a_hostile_feature_pickle_is_refused_by_the_importers(tmp_path: Path) -> None:
    (tmp_path / "features.pkl").write_bytes(b"cos\nsystem\n(S'touch %s'\ntR." % bytes(tmp_path / "ran"))
    for importer in (import_mmgcn_iemocap, import_mmgcn_meld):
        with pytest.raises(UnsafePickleError, match=r"posix\.system|os\.system"):
            importer(tmp_path / "features.pkl")
    assert not (tmp_path / "ran").exists()
