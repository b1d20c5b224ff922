"""Conversations as JSON: read whole, with every mistake at its place, or an utterance at a time.

    {"id": "call 7", "speakers": ["agent", "caller"],
     "utterances": [{"speaker": "caller", "text": "Hello?", "features": {"text": [...], "audio": [...]}},
                    {"speaker": "agent", "text": "How can I help you?", "media": "call.wav", "start": 1.5, "end": 3.2}]}

``id``, ``speakers`` (names of those with the model's numbers 0, 1 ...), ``text`` (words), ``media`` (path of a sound or
video file, with the seconds ``start`` and ``end`` in it) and each of ``features`` may be left out. A vector that is
left out is made of words or recording, as those of the run's shards were (``dclf.extraction.conversations``). A
document is one conversation or a list of them; a stream has an utterance per line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dclf.conversation import (
    HALVES,
    Speakers,
    is_unicode,
    json_text,
    no_features,
    raw_problems,
    raw_utterance,
    unlabelled_dialogue,
    vector_problem,
)
from dclf.conversation_text import heading, parse
from dclf.data.dialogue import MODALITIES, Dialogue
from dclf.data.errors import DataError
from dclf.data.whole_numbers import is_whole
from dclf.extraction.contract import Utterance
from dclf.extraction.conversations import RunExtractors

_CONVERSATION = ("id", "speakers", "utterances")
_UTTERANCE = ("speaker", "text", "features", "media", "start", "end")


@dataclass(frozen=True, kw_only=True)
class JsonUtterance:
    """An utterance as it was written.

    Attributes:
        speaker: a name, or the model's own number.
        features: modality -> vector, None where it is said to be missing.
        raw: the words and the recording.
        where: its place, for messages.
    """

    speaker: str | int
    features: Mapping[str, Any]
    raw: Utterance
    where: str

    @property
    def text(self) -> str:
        """The words; empty where there are none."""
        return self.raw.text


@dataclass(frozen=True, kw_only=True)
class JsonConversation:
    """A conversation as it was written, and as a model reads it.

    Attributes:
        speakers: who says each utterance.
        dialogue: numbers, features and words.
    """

    speakers: tuple[str, ...]
    dialogue: Dialogue


@dataclass(frozen=True, kw_only=True)
class _SoundConversation:
    """A conversation without mistakes."""

    name: str
    utterances: Sequence[JsonUtterance]
    speakers: Speakers
    where: str


@dataclass
class ConversationReader:
    """Reads conversations for one model, and notes what is wrong with them.

    Attributes:
        extractors: of the model's run; they know what it reads.
        speaker_count: how many speakers it knows.
        names: of the speakers with the model's numbers 0, 1 and so on, where a conversation does not say.
        source: where the JSON is from, for messages.
        folder: in which paths of recordings begin; the working directory where empty.
        problems: so far, each with its place.
    """

    extractors: RunExtractors
    speaker_count: int
    names: Sequence[str] = ()
    source: str = ""
    folder: str = ""
    problems: list[str] = field(default_factory=list)
    _has_features: bool = False

    @property
    def widths(self) -> Mapping[str, int]:
        """Modality -> width, of what the model reads."""
        return self.extractors.widths

    def document(self, content: Any) -> list[JsonConversation]:
        """The conversations of a document, as ``json`` reads it.

        Args:
            content: a conversation or a list of them.

        Raises:
            DataError: with every mistake at its place, such as ``[0].utterances[3].text``.
            ExtractionError, ExtensionError: words or recordings cannot be made into features.
        """
        if isinstance(content, list):
            parts = [self._conversation(one, f"[{place}]", f"{place + 1}") for place, one in enumerate(content)]
            if not content:
                self.problems.append("must have at least one conversation, has none")
        else:
            parts = [self._conversation(content, "", "1")]
        written = [part for part in parts if part is not None]
        if len(written) == len(parts):
            self._note_repeated([part.name for part in written])
        self.refuse_mistakes()
        conversations = [self.conversation(one.name, one.utterances, one.speakers) for one in written]
        self.refuse_unreadable(conversations, [part.where for part in written])
        return conversations

    def line(self, line: bytes, number: int, speakers: Speakers) -> JsonUtterance | None:
        """One utterance of a stream; None where it has mistakes, which ``refuse_mistakes`` tells.

        Args:
            line: the JSON, in UTF-8.
            number: of the line, from 1.
            speakers: of the conversation.
        """
        before, where = len(self.problems), f"line {number}"
        try:
            utterance = self._utterance(parse(line, line=number), where, speakers)
        except DataError as error:
            self.problems += error.problems
            return None
        has_features = utterance is None or self._has_features or self.widths.keys() & utterance.features.keys()
        if (
            utterance is not None
            and not has_features
            and not self.extractors.lacking(utterance.features, utterance.raw)
        ):
            self.problems.append(f"{where}: {self._no_features()}")
        self._has_features = True
        return utterance if len(self.problems) == before else None

    def refuse_mistakes(self) -> None:
        """Raise a DataError of the mistakes so far, if there are any, and forget them."""
        if self.problems:
            problems, self.problems = self.problems, []
            raise DataError(problems, heading(self.source))

    def refuse_unreadable(self, conversations: Sequence[JsonConversation], places: Sequence[str] = ("",)) -> None:
        """Raise a DataError where a conversation has no vector at all, as none of its recordings could be read.

        Args:
            conversations: from ``conversation``.
            places: where each stands, for messages.
        """
        for one, where in zip(conversations, places, strict=True):
            if all(mask is not None and not mask.any() for mask in map(one.dialogue.present.get, self.widths)):
                self._add(where, "", self._no_features())
        self.refuse_mistakes()

    def vectors(self, utterances: Sequence[JsonUtterance]) -> dict[str, list[Any]]:
        """Modality -> vectors of utterances, None where missing; as ``RunExtractors.vectors``, with what it raises."""
        features, raw = [one.features for one in utterances], [one.raw for one in utterances]
        return self.extractors.vectors(features, raw, [one.where for one in utterances])

    def _conversation(self, content: Any, where: str, default: str) -> _SoundConversation | None:
        before = len(self.problems)
        if not self._is_object(content, where, _CONVERSATION, "a conversation"):
            return None
        name, items = content.get("id", default), content.get("utterances")
        if not isinstance(name, str) or not name.strip():
            self._add(where, "id", f"must be a text that is not empty, is {json_text(name)}")
        elif not is_unicode(name):
            self._add(where, "id", HALVES.format(json_text(name)))
        speakers = self._speakers(content, where)
        if not isinstance(items, list) or not items:
            what = json_text(items) if "utterances" in content else "absent"
            self._add(where, "utterances", f"must be a list of one utterance or more, is {what}")
            return None
        places = [_at(where, f"utterances[{place}]") for place in range(len(items))]
        parts = [self._utterance(one, place, speakers) for one, place in zip(items, places, strict=True)]
        utterances = [part for part in parts if part is not None]
        if len(self.problems) > before:
            return None
        if not any(self._brings_features(one) for one in utterances):
            self._add(where, "", self._no_features())
            return None
        return _SoundConversation(name=name, utterances=utterances, speakers=speakers, where=where)

    def _brings_features(self, utterance: JsonUtterance) -> bool:
        own = any(utterance.features.get(modality) is not None for modality in self.widths)
        return own or bool(self.extractors.lacking(utterance.features, utterance.raw))

    def _no_features(self) -> str:
        return no_features(self.widths, self.extractors.reads())

    def conversation(self, name: str, utterances: Sequence[JsonUtterance], speakers: Speakers) -> JsonConversation:
        """The conversation of utterances without mistakes.

        Args:
            name: its id.
            utterances: one or more of them.
            speakers: of the conversation.

        Raises:
            ExtractionError, ExtensionError: words or recordings cannot be made into features.
        """
        numbers = np.array([speakers.number(one.speaker) for one in utterances], np.int32)
        words = tuple(one.text for one in utterances)
        dialogue = unlabelled_dialogue(name, numbers, self.vectors(utterances), self.widths, words)
        return JsonConversation(speakers=tuple(str(one.speaker) for one in utterances), dialogue=dialogue)

    def _note_repeated(self, ids: Sequence[str]) -> None:
        names: set[str] = set()
        for place, name in enumerate(ids):
            if name in names:
                self.problems.append(f"[{place}].id: must be unique, is {name!r} as before")
            names.add(name)

    def _speakers(self, content: Mapping[str, Any], where: str) -> Speakers:
        names = content.get("speakers", list(self.names))
        if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
            self._add(where, "speakers", f"must be a list of names, is {json_text(names)}")
            return Speakers(self.speaker_count)
        if not all(map(is_unicode, names)):
            self._add(where, "speakers", HALVES.format(json_text(names)))
            return Speakers(self.speaker_count)
        try:
            return Speakers(self.speaker_count, names)
        except ValueError as error:
            self._add(where, "speakers", str(error))
            return Speakers(self.speaker_count)

    def _utterance(self, content: Any, where: str, speakers: Speakers) -> JsonUtterance | None:
        before = len(self.problems)
        if not self._is_object(content, where, _UTTERANCE, "an utterance"):
            return None
        self._speaker(content, where, speakers)
        features = content.get("features", {})
        for key, problem in raw_problems(content).items():
            self._add(where, key, problem)
        self._features(features, where)
        if len(self.problems) > before:
            return None
        raw = raw_utterance(content, self.folder)
        return JsonUtterance(speaker=content["speaker"], features=features, raw=raw, where=where)

    def _speaker(self, content: Mapping[str, Any], where: str, speakers: Speakers) -> None:
        if "speaker" not in content:
            self._add(where, "speaker", "must say who speaks, by a name or the model's number, is absent")
            return
        value = content["speaker"]
        if not isinstance(value, str) and not is_whole(value):
            self._add(where, "speaker", f"must be a name or a whole number, is {json_text(value)}")
            return
        if isinstance(value, str) and not is_unicode(value):
            self._add(where, "speaker", HALVES.format(json_text(value)))
            return
        try:
            speakers.number(value)
        except ValueError as error:
            self._add(where, "speaker", str(error))

    def _features(self, features: Any, where: str) -> None:
        """Check vectors; others than those that the model reads are not looked at."""
        place = _at(where, "features")
        if not isinstance(features, dict):
            self._add(place, "", f"must be an object with a vector per modality, is {json_text(features)}")
            return
        for modality, vector in features.items():
            if modality not in MODALITIES:
                self._add(place, modality, f"unknown modality; the model reads {', '.join(self.widths)}")
            elif vector is not None and (width := self.widths.get(modality)) is not None:
                listed = isinstance(vector, list | tuple | np.ndarray)
                problem = vector_problem(vector, width) if listed else f"must be a list of {width} numbers"
                if problem:
                    self._add(place, modality, problem if listed else f"{problem}, is {json_text(vector)}")

    def _is_object(self, content: Any, where: str, keys: Sequence[str], what: str) -> bool:
        if not isinstance(content, dict):
            self._add(where, "", f"must be {what}, an object with {', '.join(keys)}; is {json_text(content)}")
            return False
        for key in content:
            if key not in keys:
                self._add(where, key, f"unknown key; {what} has {', '.join(keys)}")
        return True

    def _add(self, where: str, key: str, problem: str) -> None:
        place = _at(where, key) if key else where
        self.problems.append(f"{place}: {problem}" if place else problem)


def _at(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
