"""Every published feature pickle is recognised by its content, and no modality ever comes under another's name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dclf.data import DataError, Dialogue, SourceError, import_dataset, read_shards
from dclf.data.importers import import_mmgcn_iemocap
from dclf.data.importers.features import import_features
from dclf.data.importers.mosei import import_mosei
from tests.dclf.data.feature_files import (
    FEELINGS,
    LAYOUTS,
    MODALITY_CODES,
    Published,
    Talks,
    iemocap,
    meld,
    save,
    tuple_of,
    write_mosei,
    write_multiemo,
)
from tests.dclf.data.test_mmgcn_variants import PUBLISHED, meld_content


def assert_own_rows(dialogue: Dialogue, talks: Talks, layer: int = 1) -> None:
    """Every row of every modality is that utterance's own."""
    (name,) = [one for one in talks.names if str(one) == dialogue.dialogue_id]
    for modality, matrix in dialogue.features.items():
        which = layer if modality == "text" else 1
        expected = [talks.row(name, turn, modality, matrix.shape[1], which) for turn in range(talks.lengths[name])]
        np.testing.assert_array_equal(matrix, np.stack(expected))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_published_files_are_recognised(tmp_path: Path, layout: str) -> None:
    published: Published = LAYOUTS[layout]
    talks = published.talks
    source = save(tmp_path / "no-telling-name", published.content(talks))
    import_dataset("features", source, tmp_path / "out")
    shards = read_shards(tmp_path / "out")
    info = shards.info
    assert (info.dataset, dict(info.widths)) == (published.corpus, dict(published.widths))
    assert info.provenance["validation"]["method"] == published.val  # type: ignore[index]
    assert info.sentiment_names == (FEELINGS if published.sentiments else ())
    expected = {"test": {str(name) for name in talks.splits["test"]}}
    if published.val == "the file's own list":
        expected |= {split: {str(name) for name in names} for split, names in talks.splits.items()}
    for split, names in expected.items():
        assert {*shards.index(split).dialogue_ids} == names
    for dialogue in shards:
        (name,) = [one for one in talks.names if str(one) == dialogue.dialogue_id]
        assert_own_rows(dialogue, talks)
        assert dialogue.labels.tolist() == talks.labels()[name]
        assert dialogue.utterances == tuple(talks.sentences()[name])
        assert dialogue.speakers.tolist()[:2] == [0, 1]
        if published.sentiments:
            assert dialogue.sentiments is not None
            assert dialogue.sentiments.tolist() == talks.sentiments()[name]
    roles = " ".join(info.provenance["elements"])  # type: ignore[arg-type]
    assert all(f": {modality}" in roles for modality in published.widths)


@pytest.mark.parametrize(("choice", "width", "mark"), [("4", 1024, 4), ("mean", 1024, 2.5), ("concat", 4096, 1)])
def test_text_layers_are_chosen(tmp_path: Path, choice: Any, width: int, mark: float) -> None:
    published = LAYOUTS["COSMIC, IEMOCAP"]
    source = save(tmp_path / "roberta.pkl", published.content(published.talks))
    info, dialogues = import_features(source, text_layers=choice)
    assert info.widths["text"] == width
    assert info.provenance["text layers"] == choice
    rows = next(dialogues).features["text"]
    assert rows[0, 1] == mark
    if choice == "concat":
        assert rows[0, 1::1024].tolist() == [1, 2, 3, 4]


def test_the_first_tenth_is_taken_in_the_order_of_the_list(tmp_path: Path) -> None:
    published = LAYOUTS["COGMEN, CORECT"]
    talks = published.talks
    info, dialogues = import_features(save(tmp_path / "four.pkl", published.content(talks)))
    assert info.class_names == ("happy", "sad", "neutral", "angry")
    assert [d.dialogue_id for d in dialogues if d.split == "val"] == talks.train[:2]


def test_multiemo_comes_in_four_files(tmp_path: Path) -> None:
    files = write_multiemo(tmp_path, iemocap())
    import_dataset("features", files[::-1], tmp_path / "out")
    shards = read_shards(tmp_path / "out")
    assert dict(shards.info.widths) == {"text": 768, "audio": 512, "visual": 1000}
    for dialogue in shards:
        assert_own_rows(dialogue, iemocap())
    assert import_features(files[0], audio=files[2])[0].modalities == ("audio",)
    with pytest.raises(SourceError, match="the source has no features of its own"):
        import_features(files[0])
    with pytest.raises(SourceError, match=r"TextFeatures\.pkl: holds rows 768 wide; .*--text FILE"):
        import_features(files[:2])


@pytest.mark.parametrize(
    ("bins", "names", "expected"),
    [
        ("7", 7, {-3.0: 0, -0.4: 3, 0.0: 3, 2.6: 6}),
        ("2", 2, {-3.0: 0, -0.4: 0, 0.0: -1, 2.6: 1}),
        ("2-nonnegative", 2, {-3.0: 0, -0.4: 0, 0.0: 1, 2.6: 1}),
    ],
)
def test_mosei_scores_become_classes(tmp_path: Path, bins: Any, names: int, expected: dict[float, int]) -> None:
    info, dialogues = import_mosei(write_mosei(tmp_path), bins=bins)
    assert (len(info.class_names), info.speaker_count) == (names, 1)
    for dialogue in dialogues:
        length = len(dialogue.dialogue_id)
        scores = [[-3.0, -0.4, 0.0, 2.6][(length + turn) % 4] for turn in range(len(dialogue))]
        assert dialogue.labels.tolist() == [expected[score] for score in scores]


def mmsa() -> dict[str, Any]:
    """Videos of three segments in an order of their own, series of four steps of which the last may be padding."""
    content = {}
    for place, (name, count) in enumerate((("train", 3), ("valid", 1), ("test", 2))):
        ids = [f"v{place}{number}$_${segment}" for segment in (10, 2, 0) for number in range(count)]
        numbers = np.array([[float(one[1:3]), float(one.split("$_$")[1]), 1.0] for one in ids])
        series = np.repeat(numbers[:, None], 4, axis=1)
        series[::2, 3] = 0
        scores = np.array([number / 10 - 1 for _, number, _ in numbers])
        content[name] = {
            "id": ids,
            "regression_labels": scores,
            "raw_text": ids,
            "text": series,
            "vision": series[..., :2],
        }
    return content


def test_mmsas_segments_become_conversations(tmp_path: Path) -> None:
    import_dataset("mosei", save(tmp_path / "mosi.pkl", mmsa()), tmp_path / "out", bins="2")
    shards = read_shards(tmp_path / "out")
    assert dict(shards.info.widths) == {"text": 3, "visual": 2}
    assert {split: len(shards.index(split).dialogue_ids) for split in ("train", "val", "test")} == {
        "train": 3, "val": 1, "test": 2,
    }  # fmt: skip
    for dialogue in shards:
        number = float(dialogue.dialogue_id[1:])
        assert dialogue.utterances == tuple(f"{dialogue.dialogue_id}$_${segment}" for segment in (0, 2, 10))
        assert dialogue.features["text"].tolist() == [[number, segment, 1] for segment in (0, 2, 10)]
        assert dialogue.labels.tolist() == [0, 0, -1]


def test_mmsas_own_split_leaves_nothing_to_hold_out(tmp_path: Path) -> None:
    source = save(tmp_path / "mosi.pkl", mmsa())
    options: tuple[dict[str, Any], ...] = ({"val_ids": tmp_path / "val.txt"}, {"val_dialogues": 1}, {"seed": 3})
    for option in options:
        name = next(iter(option)).replace("_", "-")
        with pytest.raises(SourceError, match=rf"mosi\.pkl: has a validation split of its own .*leave out --{name}"):
            import_mosei(source, **option)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("regression_labels", np.zeros(2), "test: regression_labels must have one for each of the 6 ids, is 2; save"),
        ("regression_labels", np.zeros(7), "test: regression_labels must have one for each of the 6 ids, is 7; save"),
        ("raw_text", ["hey"] * 5, "test: raw_text must have one for each of the 6 ids, is 5; save"),
        ("raw_text", np.array("hey"), "test: raw_text must have one for each of the 6 ids, is a ndarray"),
        ("id", np.array(7), "test: id must be a list with one for every segment, is a ndarray"),
        (
            "id",
            ["v20$_$1", "v20$_$01", *(f"v21$_${n}" for n in range(4))],
            r"test: the segment 'v20\$_\$01' is there twice",
        ),
    ],
)
def test_mmsas_lists_go_together(tmp_path: Path, key: str, value: Any, words: str) -> None:
    content = mmsa()
    content["test"][key] = value
    with pytest.raises(DataError, match=words) as error:
        import_mosei(save(tmp_path / "mosi.pkl", content))
    assert "mosi.pkl" in str(error.value)


def test_mmsas_scores_must_be_numbers(tmp_path: Path) -> None:
    content = mmsa()
    content["test"]["regression_labels"] = ["good"] * 6
    with pytest.raises(SourceError, match="dialogue 'v20': regression_labels must be numbers"):
        import_mosei(save(tmp_path / "mosi.pkl", content))


def test_wrong_mmsa_files_are_named(tmp_path: Path) -> None:
    content = mmsa()
    content["valid"]["id"] = content["test"]["id"][:3]
    content["train"]["id"][0] = "v00"
    with pytest.raises(DataError) as error:
        import_mosei(save(tmp_path / "mosi.pkl", content))
    assert "train: the id 'v00' must be VIDEO$_$SEGMENT" in error.value.problems
    assert any("is in two splits, val and test" in problem for problem in error.value.problems)
    content = mmsa()
    content["test"]["text"] = content["test"]["text"][:, 0]
    with pytest.raises(SourceError, match=r"text must be series \[N, T, D\] for the 6 ids, has \[6, 3\]"):
        import_mosei(save(tmp_path / "mosi.pkl", content))


def test_an_utterance_without_a_label_is_context(tmp_path: Path) -> None:
    talks = iemocap()
    content = tuple_of(talks, 100, 1582, 342, talks.genders())
    content[2]["Ses01F_impro01"][0] = -1
    import_dataset("features", save(tmp_path / "all.pkl", content), tmp_path / "out")
    (first,) = [d for d in read_shards(tmp_path / "out") if d.dialogue_id == "Ses01F_impro01"]
    assert first.labels.tolist() == [-1, 1]


def test_the_validation_dialogues_may_be_named(tmp_path: Path) -> None:
    published = LAYOUTS["MMGCN, IEMOCAP"]
    source = save(tmp_path / "features.pkl", published.content(published.talks))
    (tmp_path / "val.txt").write_text("Ses01F_impro02\nSes03F_impro01\n\n")
    _, dialogues = import_features(source, val_ids=tmp_path / "val.txt")
    assert {d.dialogue_id for d in dialogues if d.split == "val"} == {"Ses01F_impro02", "Ses03F_impro01"}
    (tmp_path / "val.txt").write_text("Ses01F_impro02\n", encoding="utf-8-sig")
    assert [d.dialogue_id for d in import_features(source, val_ids=tmp_path / "val.txt")[1] if d.split == "val"] == [
        "Ses01F_impro02"
    ]
    (tmp_path / "val.txt").write_text("Ses05F_impro06\n")
    words = r"--val-ids .*val\.txt: must name some of the training dialogues and leave others; 'Ses05F_impro06' is none"
    with pytest.raises(SourceError, match=words):
        import_features(source, val_ids=tmp_path / "val.txt")


def test_layers_that_are_not_there_are_not_chosen(tmp_path: Path) -> None:
    plain, layers = LAYOUTS["MMGCN, IEMOCAP"], LAYOUTS["COSMIC, IEMOCAP"]
    source = save(tmp_path / "features.pkl", plain.content(plain.talks))
    with pytest.raises(SourceError, match="--text-layers mean: the file has one text, and no layers of it; leave this"):
        import_features(source, text_layers="mean")
    with pytest.raises(SourceError, match="--text-layers 2: the file has no text of its own, and no layers of it"):
        import_features(write_multiemo(tmp_path, iemocap())[0], audio=tmp_path / "AudioFeatures.pkl", text_layers="2")
    own = save(tmp_path / "own.pkl", layers.talks.rows("text", 6))
    source = save(tmp_path / "roberta.pkl", layers.content(layers.talks))
    with pytest.raises(SourceError, match=r"--text-layers mean: is of the pickle's own text, which --text .*own\.pkl"):
        import_features(source, text=own, text_layers="mean")


def test_layers_of_other_widths_have_no_mean(tmp_path: Path) -> None:
    talks = iemocap()
    content, _ = shuffled(talks, ORDER, {"text": 7, "audio": 5, "visual": 6})
    source = save(tmp_path / "own.pkl", content)
    assert import_features(source, elements="text=3-4", text_layers="concat")[0].widths["text"] == 12
    with pytest.raises(SourceError, match=r"dialogue 'Ses.*': the text layers must be equally wide .* 7, 5 wide"):
        import_features(source, elements="text=3-4", text_layers="mean")


def test_other_names_of_iemocaps_classes_change_no_split(tmp_path: Path) -> None:
    talks = Talks({"train": [f"Ses01F_impro{n}" for n in range(60)], "val": [], "test": ["Ses05F_impro1"]})
    source = save(tmp_path / "features.pkl", tuple_of(talks, 100, 1582, 342, talks.genders()))
    splits = [
        [dialogue.split for dialogue in import_features(source, dataset="iemocap", classes=classes)[1]]
        for classes in (None, "a,b,c,d,e,f")
    ]
    assert splits[0] == splits[1]
    assert splits[1].count("val") == 20


def as_arrays(by_name: dict[Any, Any], dtype: Any = None) -> dict[Any, Any]:
    return {name: np.array(value, dtype=dtype) for name, value in by_name.items()}


@pytest.mark.parametrize("dtype", [None, object])
def test_speakers_and_labels_may_be_arrays_of_names(tmp_path: Path, dtype: Any) -> None:
    talks = iemocap()
    content, _ = shuffled(talks, ORDER, {"text": 7, "audio": 5, "visual": 6})
    content[1] = as_arrays(content[1], dtype)
    elements = "speakers=1,labels=2,text=3,train=7,test=8"
    assert (
        import_features(save(tmp_path / "own.pkl", content), elements=elements, dataset="iemocap")[0].speaker_count == 2
    )
    content[1] = as_arrays(talks.words("Ann", "Bo"), dtype)
    content[2] = as_arrays({name: [("calm", "cross")[n % 2] for n in row] for name, row in content[2].items()}, dtype)
    source = save(tmp_path / "own.pkl", content)
    assert import_features(source, elements=elements)[0].class_names == ("calm", "cross")
    content[2] = talks.labels()
    source = save(tmp_path / "own.pkl", content)
    with pytest.raises(SourceError, match="say whose it is with --dataset"):
        import_features(source, elements=elements)
    assert import_features(source, elements=elements, dataset="iemocap")[0].speaker_count == 2


@pytest.mark.parametrize("place", range(9))
@pytest.mark.parametrize("value", [np.array(3), np.float64(2.0), {"Ses01F_impro01": np.array(3)}])
def test_a_single_number_in_place_of_an_element_is_refused(tmp_path: Path, place: int, value: Any) -> None:
    talks = iemocap()
    content = [*tuple_of(talks, 100, 1582, 342, talks.genders())]
    content[place] = {**content[place], **value} if isinstance(value, dict) and place < 7 else value
    source = save(tmp_path / "features.pkl", tuple(content))
    for importer in (import_features, import_mmgcn_iemocap):
        try:
            list(importer(source)[1])
        except (SourceError, DataError) as error:
            assert "features.pkl" in str(error) or "'Ses01F_impro01'" in str(error)  # noqa: PT017
        else:
            assert place == 0  # the ids of utterances may be anything


def test_a_ragged_dialogue_is_named(tmp_path: Path) -> None:
    talks = iemocap()
    content = tuple_of(talks, 100, 1582, 342, talks.genders())
    content[2]["Ses01F_impro01"] = [[1], [2, 3]]
    with pytest.raises(DataError, match=r"features\.pkl: 1 problem\n  - dialogue 'Ses01F_impro01': "):
        import_features(save(tmp_path / "features.pkl", content))


@pytest.mark.parametrize("nobody", [None, "", " ", float("nan")])
def test_an_utterance_of_nobody_is_named(tmp_path: Path, nobody: Any) -> None:
    talks = Talks({"train": ["a", "b", "c"], "val": ["d"], "test": ["e"]}, classes=2)
    speakers = talks.words("Ann", "Bo")
    speakers["b"][1] = nobody
    source = save(tmp_path / "own.pkl", tuple_of(talks, 100, 1582, 342, speakers))
    with pytest.raises(DataError, match=r"dialogue 'b': speakers must be names, is .* at utterance 1; say who speaks"):
        import_features(source, dataset="own", classes="calm,angry")


def test_names_of_emotions_that_differ_in_case_are_named(tmp_path: Path) -> None:
    talks = iemocap()
    content, _ = shuffled(talks, ORDER, {"text": 7, "audio": 5, "visual": 6})
    content[2] = {name: [("calm", "Calm", "cross")[label % 3] for label in row] for name, row in content[2].items()}
    source, elements = save(tmp_path / "own.pkl", content), "speakers=1,labels=2,text=3,train=7,test=8"
    with pytest.raises(DataError, match="the emotions 'calm' and 'Calm' differ in case alone; write them alike"):
        import_features(source, elements=elements)
    assert import_features(source, elements=elements, classes="calm,Calm,cross")[0].class_names[1] == "Calm"


REFUSALS: dict[str, tuple[Any, str]] = {
    "MMSA": (
        {"train": {"text": np.ones((3, 2, 4))}, "valid": {}, "test": {}},
        "MMSA's, .* are read by `dclf data import mosei`",
    ),
    "MELD's authors' audio": ([{"0_0": np.ones(1611)}, {"0_0": np.ones(1611)}, {"0_0": np.ones(1611)}], "meld-csv"),
    "vectors alone": ({"Ses01F_impro01_F000": np.ones(7)}, "go with --text, --audio or --visual"),
    "an array": (np.ones((4, 3)), "features alone"),
    "a number": (7, "must be a tuple or list with speakers, labels"),
    "a list of numbers": ([1, 2, 3, 4], "must be a tuple or list with speakers, labels"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_holds_no_conversations_is_refused_with_the_way_to_use_it(tmp_path: Path, case: str) -> None:
    content, words = REFUSALS[case]
    with pytest.raises(SourceError, match=words) as error:
        import_features(save(tmp_path / "other.pkl", content))
    assert "other.pkl" in str(error.value)


def test_scores_as_labels_are_mosei(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"labels are scores.*`dclf data import mosei`"):
        import_features(write_mosei(tmp_path), elements="text=3,audio=4,visual=5")
    published = LAYOUTS["MMGCN, IEMOCAP"]
    source = save(tmp_path / "features.pkl", published.content(published.talks))
    with pytest.raises(SourceError, match=r"element 4 must be audio|scores must be one number"):
        list(import_mosei(save(tmp_path / "x.pkl", tuple_of(iemocap(), 100, 342, 1582, iemocap().genders())))[1])
    with pytest.raises(DataError, match="scores must be one number from -3 to 3"):
        import_mosei(source)


@pytest.mark.parametrize("labels", [{0, 2}, {3}])
def test_few_labels_leave_four_or_six_classes_open(tmp_path: Path, labels: set[int]) -> None:
    talks = iemocap()
    content = tuple_of(talks, 100, 100, 512, talks.genders())
    for values in content[2].values():
        values[:] = [sorted(labels)[turn % len(labels)] for turn in range(len(values))]
    source = save(tmp_path / "few.pkl", content)
    with pytest.raises(SourceError, match=r"it may be iemocap or iemocap-4; say it with --dataset"):
        import_features(source)
    assert len(import_features(source, dataset="iemocap-4")[0].class_names) == 4
    assert len(import_features(source, dataset="iemocap")[0].class_names) == 6


def test_an_unknown_corpus_must_name_its_classes(tmp_path: Path) -> None:
    talks = Talks({"train": ["a", "b", "c"], "val": ["d"], "test": ["e"]}, classes=2)
    source = save(tmp_path / "own.pkl", tuple_of(talks, 100, 1582, 342, talks.words("Ann", "Bo")))
    with pytest.raises(SourceError, match=r"numbers as labels \(0 and 1\) and no names.*--classes NAME,NAME"):
        import_features(source)
    with pytest.raises(SourceError, match="--dataset own: is none of iemocap"):
        import_features(source, dataset="own")
    info, _ = import_features(source, dataset="own", classes="calm, angry")
    assert (info.dataset, info.class_names) == ("own", ("calm", "angry"))
    assert info.provenance["classes"] == "0 calm, 1 angry"


def shuffled(talks: Talks, order: list[str], widths: Mapping[str, int]) -> tuple[list[Any], dict[str, int]]:
    """A list of elements in this order, and the place of each."""
    parts: dict[str, Any] = {
        "ids": talks.ids(),
        "speakers": talks.genders(),
        "labels": talks.labels(),
        "sentences": talks.sentences(),
        "train": talks.train,
        "test": talks.splits["test"],
    }
    parts |= {modality: talks.rows(modality, width) for modality, width in widths.items()}
    return [parts[role] for role in order], {role: place for place, role in enumerate(order)}


ORDER = ["ids", "speakers", "labels", "text", "audio", "visual", "sentences", "train", "test"]


def test_another_order_is_asked_for_and_settled(tmp_path: Path) -> None:
    widths = {"text": 7, "audio": 5, "visual": 6}
    order = ["labels", "visual", "audio", "speakers", "text", "test", "train", "sentences"]
    content, places = shuffled(iemocap(), order, widths)
    source = save(tmp_path / "own.pkl", content)
    with pytest.raises(SourceError, match="is laid out as no published file; say what its elements are") as error:
        import_features(source)
    assert "  element 1: rows of numbers, 6 wide\n" in str(error.value)
    elements = ",".join(f"{role}={place}" for role, place in places.items())
    info, dialogues = import_features(source, elements=elements)
    assert dict(info.widths) == widths
    for dialogue in dialogues:
        assert_own_rows(dialogue, iemocap())


def test_names_of_emotions_keep_their_names(tmp_path: Path) -> None:
    """No published file has them, so that an element is only taken for them when told."""
    talks = iemocap()
    content, places = shuffled(talks, ORDER, {"text": 7, "audio": 5, "visual": 6})
    moods = ("calm", "cross", "")
    content[2] = {name: [moods[label % 3] for label in labels] for name, labels in content[2].items()}
    source = save(tmp_path / "own.pkl", content)
    with pytest.raises(SourceError, match="element 2: texts by dialogue"):
        import_features(source)
    elements = ",".join(f"{role}={place}" for role, place in places.items() if role != "ids")
    info, dialogues = import_features(source, elements=elements)
    assert info.class_names == ("calm", "cross")
    assert info.provenance["class order"] == "first appearance in the file"
    for dialogue in dialogues:
        assert dialogue.labels.tolist() == [(0, 1, -1)[label % 3] for label in talks.labels()[dialogue.dialogue_id]]
    info, _ = import_features(source, elements=elements, classes="cross,calm", dataset="moods")
    assert (info.dataset, info.class_names) == ("moods", ("cross", "calm"))
    with pytest.raises(DataError, match="'cross' is none of calm, glad"):
        import_features(source, elements=elements, classes="calm,glad")
    wrong = elements.replace("labels=2", "labels=6").replace("sentences=6", "sentences=2")
    with pytest.raises(SourceError, match=r"labels must be emotions, but .* utterances have .* different texts"):
        import_features(source, elements=wrong)


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ("text=3,sound=4", "does not understand 'sound=4'"),
        ("text=3,audio=9", "does not understand 'audio=9'"),
        ("text=3,audio=3", "names one twice"),
        ("text=3,text=4", "does not understand 'text=4'"),
        ("text=6,audio=4", "text=6 is element 6: texts by dialogue"),
        ("audio=4-5", "does not understand 'audio=4-5'"),
    ],
)
def test_elements_that_make_no_sense_are_refused(tmp_path: Path, elements: str, words: str) -> None:
    content, _ = shuffled(iemocap(), ORDER, {"text": 7, "audio": 5, "visual": 6})
    source = save(tmp_path / "own.pkl", content)
    with pytest.raises(SourceError, match=words):
        import_features(source, elements=elements)


def test_only_the_features_need_a_name_where_the_rest_is_clear(tmp_path: Path) -> None:
    content, _ = shuffled(iemocap(), ORDER, {"text": 7, "audio": 5, "visual": 6})
    source = save(tmp_path / "own.pkl", content)
    with pytest.raises(SourceError, match=r"laid out as a published file, but not as wide, .*--elements text=3"):
        import_features(source)
    assert dict(import_features(source, elements="text=3,visual=5")[0].widths) == {"text": 7, "visual": 6}


PUBLISHED_WIDTHS = (100, 300, 342, 512, 600, 768, 1024, 1582, 1611)
PUBLISHED_ORDERS = {(100, 1582, 342), (100, 100, 512), (600, 300, 342)}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_modality_never_comes_under_anothers_name(tmp_path: Path, data: st.DataObject) -> None:
    """Tuples of random widths, published ones among them, in MMGCN's or in any order, are right or refused."""
    widths = {m: data.draw(st.sampled_from(PUBLISHED_WIDTHS) | st.integers(2, 60), label=m) for m in MODALITY_CODES}
    order = data.draw(st.permutations(["text", "audio", "visual"]))
    places = data.draw(st.just(ORDER) | st.permutations(ORDER))
    rows = iter(order)
    roles = [next(rows) if role in MODALITY_CODES else role for role in places]
    # What is indistinguishable from a published file must be taken for it, and widths that published files give to one
    # modality alone are that modality's.
    assume(order == ["text", "audio", "visual"] or tuple(widths[m] for m in order) not in PUBLISHED_ORDERS)
    owned = {1582: "audio", 1611: "audio", 342: "visual"}
    assume(all(owned.get(width, modality) == modality for modality, width in widths.items()))
    talks = Talks({"train": ["Ses01", "Ses02", "Ses03"], "val": ["Ses04"], "test": ["Ses05", "Ses06"]}, {}, 6)
    tenth: list[Any] = data.draw(st.sampled_from([[], [{}]]))  # MELD's files, which one layout alone fits
    source = save(tmp_path / "random.pkl", (*shuffled(talks, roles, widths)[0], *tenth))
    try:
        info, dialogues = import_features(source, dataset="iemocap", val_dialogues=1)
    except SourceError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert "--elements" in refusal
        return
    assert dict(info.widths) == widths
    for dialogue in dialogues:
        assert_own_rows(dialogue, talks)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_layers_never_come_under_another_name(tmp_path: Path, data: st.DataObject) -> None:
    """The same for four layers of text beside audio and visual, in their order or in any."""
    widths = {m: data.draw(st.sampled_from(PUBLISHED_WIDTHS) | st.integers(2, 60), label=m) for m in MODALITY_CODES}
    owned = {1582: "audio", 1611: "audio", 342: "visual"}
    assume(all(owned.get(width, modality) == modality for modality, width in widths.items()))
    published = ["text"] * 4 + ["audio", "visual"]
    order = data.draw(st.just(published) | st.permutations(published))
    talks = Talks({"train": ["Ses01", "Ses02", "Ses03"], "val": ["Ses04"], "test": ["Ses05", "Ses06"]}, {}, 6)
    head, tail = (talks.ids(), talks.genders(), talks.labels()), (talks.sentences(), talks.train, talks.splits["test"])
    source = save(tmp_path / "random.pkl", (*head, *(talks.rows(m, widths[m]) for m in order), *tail))
    try:
        info, dialogues = import_features(source, val_dialogues=1, text_layers="concat")
    except SourceError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert "--elements" in refusal
        assert order != published or (widths["audio"], widths["visual"]) != (1582, 342)
        return
    assert order == published
    assert dict(info.widths) == {**widths, "text": 4 * widths["text"]}
    for dialogue in dialogues:
        assert {m: set(rows[:, 0]) for m, rows in dialogue.features.items()} == {
            m: {c} for m, c in MODALITY_CODES.items()
        }


def test_a_layer_without_a_dialogue_is_named(tmp_path: Path) -> None:
    published = LAYOUTS["COSMIC, IEMOCAP"]
    content = published.content(published.talks)
    del content[4]["Ses02F_impro03"]
    with pytest.raises(DataError, match="dialogue 'Ses02F_impro03': the pickle has no text for it"):
        import_features(save(tmp_path / "roberta.pkl", content))


@pytest.mark.parametrize("place", ["first", "later"])
def test_every_broken_dialogue_is_named(tmp_path: Path, place: str) -> None:
    """One broken dialogue does not change what an element is taken for."""
    published = LAYOUTS["CFN-ESA, SDT, GraphSmile, IEMOCAP"]
    talks = published.talks
    content = published.content(talks)
    names = talks.names[:5] if place == "first" else talks.names[3:8]
    content[2][names[0]] = ["happy", "sad"]
    content[2][names[1]][0] = 2.77
    content[1][names[2]] = ["M", "X"]
    content[1][names[3]] = None
    content[4][names[4]] = [np.ones(1024), np.ones(1023)]
    with pytest.raises(DataError) as error:
        import_features(save(tmp_path / "broken.pkl", content))
    problems = "\n".join(error.value.problems)
    assert len(error.value.problems) == 5
    assert all(f"dialogue {name!r}" in problems for name in names)
    assert "speakers must be 'M' or 'F', found 'X'" in problems


def test_melds_authors_features_beside_a_published_pickle(tmp_path: Path) -> None:
    """Its train, dev and test dialogues are numbered on end, the authors' anew in each split."""
    content = meld_content(PUBLISHED, range(1153, 1433))
    widths = (600, 300, 342)
    content[3:6] = [{n: np.ones((k, w), np.float32) for n, k in content[0].items()} for w in widths]
    starts = {"train": 0, "val": 1039, "test": 1153}
    audio: list[dict[str, Any]] = [{}, {}, {}]
    for name, count in content[0].items():
        place = 0 if name < 1039 else 1 if name < 1153 else 2
        number = name - list(starts.values())[place]
        audio[place].update({f"{number}_{turn}": np.array([name, turn], np.float32) for turn in range(count)})
    source, path = save(tmp_path / "meld.pkl", content), save(tmp_path / "audio.pkl", audio)
    info, dialogues = import_features(source, audio=path)
    assert info.provenance["validation"] == {"method": "published dev split"}
    for dialogue in dialogues:
        name = int(dialogue.dialogue_id)
        assert dialogue.features["audio"].tolist() == [[name, turn] for turn in range(len(dialogue))]


def test_provenance_is_plain(tmp_path: Path) -> None:
    published = LAYOUTS["CFN-ESA, GraphSmile, MELD"]
    info, _ = import_features(save(tmp_path / "meld.pkl", published.content(meld())))
    assert json.loads(json.dumps(dict(info.provenance))) == dict(info.provenance)
    assert info.provenance["layout"] == "a tuple of 14 as CFN-ESA and GraphSmile read it"
    assert "element 4: text, layer 1 of 4, 1024 wide" in info.provenance["elements"]  # type: ignore[operator]
