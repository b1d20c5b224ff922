import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dclf.conversation import Speakers
from dclf.conversation_json import ConversationReader
from dclf.data.errors import DataError
from dclf.extraction import ExtractionError
from dclf.extraction.conversations import RunExtractors
from tests.dclf.extraction.hashing import encoder, facts, hashed

EXTRACTORS = RunExtractors({"text": 2, "audio": 1})


def reader() -> ConversationReader:
    return ConversationReader(EXTRACTORS, 2)


def utterance(speaker: Any = "Ann", **more: Any) -> dict[str, Any]:
    return {"speaker": speaker, "text": "hello", "features": {"text": [1, 2], "audio": [0.5]}, **more}


def problems_of(content: Any) -> list[str]:
    with pytest.raises(DataError) as error:
        reader().document(content)
    return list(error.value.problems)


def test_a_conversation_becomes_a_dialogue() -> None:
    turns = [
        utterance("Bob"),
        {"speaker": "Ann"},
        utterance("Bob", features={"text": None, "audio": [2], "visual": "not read"}),
    ]
    (one,) = reader().document({"id": "call", "utterances": turns})
    dialogue = one.dialogue
    assert one.speakers == ("Bob", "Ann", "Bob")
    assert (dialogue.dialogue_id, dialogue.utterances) == ("call", ("hello", "", "hello"))
    assert dialogue.speakers.tolist() == [0, 1, 0]
    assert dialogue.labels.tolist() == [-1, -1, -1]
    assert dialogue.features["text"].tolist() == [[1, 2], [0, 0], [0, 0]]
    assert {m: mask.tolist() for m, mask in dialogue.present.items()} == {
        "text": [True, False, False],
        "audio": [True, False, True],
    }


def test_several_conversations_have_numbers_for_names_and_speakers_of_their_own() -> None:
    first, second = reader().document([{"utterances": [utterance("Ann")]}, {"utterances": [utterance("Bob")]}])
    assert [first.dialogue.dialogue_id, second.dialogue.dialogue_id] == ["1", "2"]
    assert second.dialogue.speakers.tolist() == [0]


def test_speakers_can_be_told() -> None:
    turns = [utterance("F"), utterance("M")]
    (one,) = reader().document({"speakers": ["M", "F"], "utterances": turns})
    assert one.dialogue.speakers.tolist() == [1, 0]
    (other,) = ConversationReader(EXTRACTORS, 2, ("M", "F")).document({"utterances": turns})
    assert other.dialogue.speakers.tolist() == [1, 0]
    (numbered,) = reader().document({"utterances": [utterance(1)]})
    assert (numbered.speakers, numbered.dialogue.speakers.tolist()) == (("1",), [1])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (3, "must be a conversation, an object with id, speakers, utterances; is 3"),
        ([], "must have at least one conversation, has none"),
        ({}, "utterances: must be a list of one utterance or more, is absent"),
        ({"utterances": []}, "utterances: must be a list of one utterance or more, is []"),
        ([{"utterances": {}}], "[0].utterances: must be a list of one utterance or more, is {}"),
        (
            {"utterances": ["hi"]},
            'utterances[0]: must be an utterance, an object with speaker, text, features, media, start, end; is "hi"',
        ),
        ({"id": "", "utterances": [utterance()]}, 'id: must be a text that is not empty, is ""'),
        ({"id": 7, "utterances": [utterance()]}, "id: must be a text that is not empty, is 7"),
        ({"speakers": "AB", "utterances": [utterance()]}, 'speakers: must be a list of names, is "AB"'),
        ({"speakers": ["A", "B", "C"], "utterances": [utterance("A")]}, "speakers: speakers must be 2 at most, "),
        ({"words": 1, "utterances": [utterance()]}, "words: unknown key; a conversation has id, speakers, utterances"),
        ({"utterances": [utterance(label=1)]}, "utterances[0].label: unknown key; an utterance has speaker, text, fea"),
        ({"utterances": [utterance(text=1)]}, "utterances[0].text: must be the words as a text, is 1"),
        (
            {"utterances": [utterance(media="")]},
            'utterances[0].media: must be the path of a sound or video file, is ""',
        ),
        (
            {"utterances": [utterance(media="s3://x/y")]},
            "utterances[0].media: must be the path of a sound or video file",
        ),
        (
            {"utterances": [utterance(media="a", start=-1)]},
            "utterances[0].start: must be a second of the recording, 0 or",
        ),
        ({"utterances": [utterance(end=2)]}, "utterances[0].end: must come with media, the recording that it is a sec"),
        ({"utterances": [utterance(media="a", start=2, end=2)]}, "utterances[0].end: must be after start, 2, is 2"),
        ({"utterances": [{"features": {}}]}, "utterances[0].speaker: must say who speaks, by a name or the model's"),
        ({"utterances": [utterance(None)]}, "utterances[0].speaker: must be a name or a whole number, is null"),
        ({"utterances": [utterance(2)]}, "utterances[0].speaker: speaker must be 0 to 1, which the model knows, is 2"),
        (
            [{"utterances": [utterance("A"), utterance("B"), utterance("C")]}],
            "[0].utterances[2].speaker: speaker 'C' is one too many: the model knows 2, which A, B are; give rare",
        ),
        (
            {"utterances": [utterance(features=[1])]},
            "utterances[0].features: must be an object with a vector per modality, is [1]",
        ),
        (
            {"utterances": [utterance(features={"txt": [1]})]},
            "utterances[0].features.txt: unknown modality; the model reads text, audio",
        ),
        (
            {"utterances": [utterance(features={"text": [1]})]},
            "utterances[0].features.text: must be 2 numbers as in training, are 1",
        ),
        (
            {"utterances": [utterance(features={"text": "x" * 99})]},
            f'utterances[0].features.text: must be a list of 2 numbers, is "{"x" * 59}...',
        ),
        (
            {"utterances": [utterance(features={"audio": [float("nan")]})]},
            "utterances[0].features.audio: must be finite, is nan at 0; extract them again",
        ),
        (
            {"utterances": [{"speaker": "A", "text": "hi"}]},
            "must have feature vectors of text (2 numbers) or audio (1 numbers), has none: words and recordings are",
        ),
        (
            [{"utterances": [utterance()]}, {"utterances": [utterance(features={"text": None})]}],
            "[1]: must have feature vectors of text",
        ),
        ({"id": "\ud83d", "utterances": [utterance()]}, 'id: must be Unicode, has half of a surrogate pair: "\\ud83d"'),
        ({"utterances": [utterance("\ud83d")]}, "utterances[0].speaker: must be Unicode, has half of a surrogate pair"),
        ({"speakers": ["\ud83d"], "utterances": [utterance(0)]}, "speakers: must be Unicode, has half of a surrogate"),
        ([{"id": "a", "utterances": [utterance()]}] * 2, "[1].id: must be unique, is 'a' as before"),
    ],
)
def test_a_mistake_has_its_place(content: Any, problem: str) -> None:
    (message,) = problems_of(content)
    assert message.startswith(problem)


def test_all_mistakes_come_at_once() -> None:
    broken = utterance(3, text=None, features={"text": [], "audio": [True]}, extra=1)
    places = [problem.split(":")[0] for problem in problems_of([{"utterances": [utterance(0), broken]}, {"id": 1}])]
    assert places == [
        "[0].utterances[1].extra",
        "[0].utterances[1].speaker",
        "[0].utterances[1].text",
        "[0].utterances[1].features.text",
        "[0].utterances[1].features.audio",
        "[1].id",
        "[1].utterances",
    ]


def utterances_of(reading: ConversationReader, speakers: Speakers, *lines: Any) -> list[Any]:
    utterances = [reading.line(json.dumps(line).encode(), number, speakers) for number, line in enumerate(lines, 1)]
    reading.refuse_mistakes()
    return utterances


def test_a_line_is_an_utterance() -> None:
    first, second = utterances_of(reader(), Speakers(2), utterance("Ann"), {"speaker": "Bob"})
    assert (first.speaker, first.text, first.features["text"]) == ("Ann", "hello", [1, 2])
    assert (second.speaker, second.text, second.features) == ("Bob", "", {})
    (missing,) = utterances_of(reader(), Speakers(2), {"speaker": "Bob", "features": {"text": None}})
    assert missing.features == {"text": None}


def test_mistakes_of_lines_have_their_places() -> None:
    lines = [{"speaker": "Ann", "text": "hi"}, {"speaker": "Bob"}, {"speaker": "Cem", "text": 1}, [], utterance()]
    with pytest.raises(DataError) as error:
        utterances_of(reader(), Speakers(2), *lines)
    assert [problem.split(": ")[0] for problem in error.value.problems] == [
        "line 1",
        "line 3.speaker",
        "line 3.text",
        "line 4",
    ]
    assert error.value.problems[0].startswith("line 1: must have feature vectors of text (2 numbers) or audio")
    reading = reader()
    assert reading.line(b'{"speaker": ', 7, Speakers(2)) is None
    assert reading.problems == ["line 7: must be JSON, is not at column 13: Expecting value"]


@pytest.fixture
def extracting(tmp_path: Path) -> ConversationReader:
    """For a run whose shards dclf extracted."""
    provenance = {"extraction": facts(encoder(tmp_path / "encoder"), text=2, audio=1)}
    return ConversationReader(RunExtractors(EXTRACTORS.widths, provenance), 2, folder=str(tmp_path))


def test_words_and_recordings_become_features(extracting: ConversationReader, tmp_path: Path) -> None:
    (tmp_path / "talk.wav").write_bytes(b"noise")
    turns = [
        {"speaker": "Ann", "text": "hello", "media": "talk.wav", "start": 1, "end": 2.5},
        {"speaker": "Bob", "text": "hello", "features": {"text": [1, 2]}, "media": None, "start": None},
        {
            "speaker": "Ann",
            "text": "hello",
            "features": {"text": None, "audio": [3]},
            "media": str(tmp_path / "none.wav"),
        },
    ]
    (one,) = extracting.document({"utterances": turns})
    words, noise = hashed(b"saltyhello", 2).tolist(), hashed(b"saltynoise1.0-2.5", 1).tolist()
    assert one.dialogue.features["text"].tolist() == [words, [1, 2], [0, 0]]
    assert one.dialogue.features["audio"].tolist() == [noise, [0], [3]]
    assert {m: mask.tolist() for m, mask in one.dialogue.present.items()} == {
        "text": [True, True, False],
        "audio": [True, False, True],
    }


def test_nothing_is_opened_for_conversations_with_mistakes(extracting: ConversationReader, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "encoder")
    good, bare = {"speaker": "Ann", "text": "hello"}, {"speaker": "Ann", "text": " "}
    with pytest.raises(DataError) as error:
        extracting.document([{"utterances": [good]}, {"utterances": [bare]}])
    (problem,) = error.value.problems
    assert problem.startswith(
        "[1]: must have words for text or a recording for audio, or feature vectors of text (2 num"
    )
    with pytest.raises(ExtractionError, match=r"encoder.* must hold the file salt"):
        extracting.document({"utterances": [good]})


def test_a_conversation_of_broken_recordings_alone_is_refused(
    extracting: ConversationReader, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    turns = [{"speaker": "Ann", "media": "none.wav"}]
    with pytest.raises(DataError, match=r"\[0\]: must have words .*has none that can be read"):
        extracting.document([{"utterances": turns}])
    where = "[0].utterances[0]"
    assert caplog.messages == [f"{where}: audio features are missing: there is no file {tmp_path / 'none.wav'}"]


def test_words_of_lines_become_features(extracting: ConversationReader) -> None:
    utterances = utterances_of(extracting, Speakers(2), {"speaker": "Ann", "text": "hello"}, {"speaker": "Bob"})
    vectors = extracting.vectors(utterances)
    assert np.array_equal(vectors["text"][0], hashed(b"saltyhello", 2))
    assert (vectors["text"][1], vectors["audio"]) == (None, [None, None])
