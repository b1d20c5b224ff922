"""Which element of a replacement pickle becomes the text: layouts as programs publish them, and what is not clear."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dclf.data import SourceError, import_mmgcn_iemocap, import_mmgcn_meld
from dclf.data.importers.replacement import replacement_text
from tests.dclf.data.test_mmgcn_variants import iemocap_content, meld_content, saved

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


def write(folder: Path, content: Any) -> Path:
    (folder / "text.pkl").write_bytes(pickle.dumps(content, protocol=2))
    return folder / "text.pkl"


@pytest.mark.parametrize("layout", PUBLISHED, ids=str)
def test_published_layouts_give_their_text(tmp_path: Path, layout: str) -> None:
    content, others, place, alike = PUBLISHED[layout]
    found, facts = replacement_text(write(tmp_path, content), LENGTHS, others=others)
    for name in LENGTHS:
        np.testing.assert_array_equal(np.asarray(found[name]), np.asarray(content[place][name]))
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
    with pytest.raises(SourceError, match=rf"text\.pkl: {words}; say which one with --text-element K") as caught:
        replacement_text(write(tmp_path, content), LENGTHS, others=others)
    for place, element in enumerate(content):
        if isinstance(element, dict) and isinstance(element[TRAIN[0]], np.ndarray):
            width = element[TRAIN[0]].shape[1]
            assert f"  element {place}: " in str(caught.value)
            assert f", {width} wide" in str(caught.value)
    place = 3 if isinstance(content, tuple) else 1
    found, facts = replacement_text(write(tmp_path, content), LENGTHS, others=others, element=place)
    assert np.asarray(found[TRAIN[0]]).shape == content[place][TRAIN[0]].shape
    assert (facts["element"], facts["chosen by"]) == (place, "--text-element")


def test_the_list_says_what_each_element_looks_like(tmp_path: Path) -> None:
    content = (ONE_HOT, LABELS, rows(768), rows(300), rows(1582), rows(512))
    with pytest.raises(SourceError) as caught:
        replacement_text(write(tmp_path, content), LENGTHS, others=MELD)
    assert str(caught.value).splitlines()[1:] == [
        "  element 0: one-hot rows, 9 wide",
        "  element 2: rows of numbers, 768 wide",
        "  element 3: as wide as the feature pickle's audio, 300 wide",
        "  element 4: openSMILE's IS10 set, audio of IEMOCAP, 1582 wide",
        "  element 5: rows of numbers, 512 wide",
    ]


@pytest.mark.parametrize("place", [1, 9, -1, True, 2.0])
def test_an_element_without_rows_is_refused(tmp_path: Path, place: Any) -> None:
    content = (ONE_HOT, LABELS, rows(768), rows(512))
    with pytest.raises(SourceError, match=rf"must name one of the elements .*, is {place}:\n  element 0: one-hot"):
        replacement_text(write(tmp_path, content), LENGTHS, element=place)


def test_a_dict_of_rows_has_no_elements(tmp_path: Path) -> None:
    path = write(tmp_path, rows(300))
    found, facts = replacement_text(path, LENGTHS, others=MELD)
    assert np.asarray(found[TRAIN[0]]).shape == (3, 300)
    assert (facts["element"], facts["width"]) == (None, 300)
    with pytest.raises(SourceError, match="has no elements to choose from"):
        replacement_text(path, LENGTHS, element=0)


def test_the_importers_know_the_widths_that_stay(tmp_path: Path) -> None:
    content = iemocap_content()
    names = list(content[2])
    beside = [{name: np.full((2, width), 0.5) for name in names} for width in (6, 4, 3)]
    text = saved(tmp_path, beside, "text.pkl")
    info, _ = import_mmgcn_iemocap(saved(tmp_path, content), text=text, val_dialogues=2)
    assert dict(info.widths) == {"text": 6, "audio": 4, "visual": 3}
    info, _ = import_mmgcn_iemocap(saved(tmp_path, content), text=text, val_dialogues=2, text_element=1)
    assert info.widths["text"] == 4
    with pytest.raises(SourceError, match="which element of --text to take, which is not given"):
        import_mmgcn_iemocap(saved(tmp_path, content), val_dialogues=2, text_element=1)
    meld = meld_content(range(20), range(20, 25), dev_utterances=114)
    rows_beside = [{name: np.full((n, width), 0.5) for name, n in meld[0].items()} for width in (7, 3, 4)]
    info, _ = import_mmgcn_meld(
        saved(tmp_path, meld, "meld.pkl"), text=saved(tmp_path, rows_beside, "rows.pkl"), val_dialogues=3
    )
    assert info.widths["text"] == 7
