"""What importers read from any source: conversations as people held them, and feature rows for their utterances.

n    utterances of a dialogue
D_m  feature width of modality m
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import MODALITIES, DatasetInfo, Dialogue
from dclf.data.errors import SourceError
from dclf.data.importers.datasets import Corpus
from dclf.data.importers.sources import as_float32, rows_of_numbers

Imported = tuple[DatasetInfo, Iterator[Dialogue]]
Matrix = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Conversation:
    """One dialogue without its features, and every way in which files of features may refer to it.

    Attributes:
        name: its id as the source has it.
        dialogue_id: its id in the shards.
        split: train, val or test.
        speakers: int32 [n].
        labels: int32 [n], -1 where there is none.
        utterances: n transcripts, or none.
        sentiments: int32 [n] or None.
        number: its id within its split, where the corpus numbers each split anew.
        utterance_ids: n ids that are unique in the source, or none.
        utterance_numbers: n ids within the dialogue, or none where they are 0, 1, 2, ...
        places: int [n], its rows of the source's table; None where there is no table of all splits.
        split_places: int [n], its rows among those of its split; None where there is no table.
        several_files: whether the table was put together from several files, in an order that nobody chose.
    """

    name: Hashable
    dialogue_id: str
    split: str
    speakers: NDArray[np.int32]
    labels: NDArray[np.int32]
    utterances: tuple[str, ...] = ()
    sentiments: NDArray[np.int32] | None = None
    number: str | None = None
    utterance_ids: tuple[str, ...] = ()
    utterance_numbers: tuple[str, ...] = ()
    places: NDArray[np.intp] | None = None
    split_places: NDArray[np.intp] | None = None
    several_files: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def turns(self) -> tuple[str, ...]:
        """The utterances' ids within the dialogue."""
        return self.utterance_numbers or tuple(str(turn) for turn in range(len(self)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Transcript:
    """All that a source has but features.

    Attributes:
        corpus: names of the data, the classes and the sentiments.
        conversations: of all splits, in the order of the shards.
        provenance: what was read and how.
    """

    corpus: Corpus
    conversations: list[Conversation]
    provenance: dict[str, object]


class Rows(Protocol):
    """The features of one modality."""

    def of(self, conversation: Conversation) -> tuple[Matrix, NDArray[np.bool_] | None]:
        """Float32 [n, D] and, where rows are missing, bool [n]; SourceError on what is no such matrix."""
        ...


@dataclass(frozen=True, eq=False)
class DialogueRows:
    """Rows by the source's own dialogue ids.

    Attributes:
        modality: for messages.
        by_name: dialogue id -> [n, D].
    """

    modality: str
    by_name: Mapping[Any, Any]

    def of(self, conversation: Conversation) -> tuple[Matrix, NDArray[np.bool_] | None]:
        """See ``Rows``."""
        name = conversation.name
        return rows_of_numbers(self.by_name[name], f"dialogue {name!r}, {self.modality}"), None


@dataclass(frozen=True, eq=False)
class TableRows:
    """Rows in the order of the source's table.

    Attributes:
        matrix: a row for each utterance.
        of_split: whether it is the table of one split.
        present: which rows are there; all where None.
    """

    matrix: NDArray[Any]
    of_split: bool = False
    present: NDArray[np.bool_] | None = None

    def of(self, conversation: Conversation) -> tuple[Matrix, NDArray[np.bool_] | None]:
        """See ``Rows``."""
        places = conversation.split_places if self.of_split else conversation.places
        there = None if self.present is None else self.present[places]
        return as_float32(self.matrix[places]), None if there is None or there.all() else there


@dataclass(frozen=True, eq=False)
class SplitRows:
    """Rows from a source for each split.

    Attributes:
        splits: split -> its rows.
    """

    splits: Mapping[str, Rows]

    def of(self, conversation: Conversation) -> tuple[Matrix, NDArray[np.bool_] | None]:
        """See ``Rows``."""
        return self.splits[conversation.split].of(conversation)


@dataclass(frozen=True, eq=False)
class LayerRows:
    """Several layers of one encoder, put together.

    Attributes:
        layers: each with rows of the same utterances.
        how: ``mean`` or ``concat``.
    """

    layers: Sequence[Rows]
    how: str

    def of(self, conversation: Conversation) -> tuple[Matrix, NDArray[np.bool_] | None]:
        """See ``Rows``."""
        pairs = [layer.of(conversation) for layer in self.layers]
        matrices = [matrix for matrix, _ in pairs]
        if len({len(matrix) for matrix in matrices}) > 1:
            counts = ", ".join(str(len(matrix)) for matrix in matrices)
            raise SourceError(f"dialogue {conversation.name!r}: the text layers must have as many rows, have {counts}")
        widths = [matrix.shape[1] for matrix in matrices]
        if self.how == "mean" and len({*widths}) > 1:
            sizes = ", ".join(map(str, widths))
            raise SourceError(
                f"dialogue {conversation.name!r}: the text layers must be equally wide for their mean, are {sizes} wide"
            )
        rows = np.concatenate(matrices, axis=1) if self.how == "concat" else np.mean(matrices, axis=0)
        rows = as_float32(rows)
        masks = [there for _, there in pairs if there is not None]
        if not masks:
            return rows, None
        everywhere: NDArray[np.bool_] = np.logical_and.reduce(masks)  # an utterance that one layer lacks has none
        rows[~everywhere] = 0
        return rows, everywhere


def assemble(
    corpus: Corpus,
    conversations: Sequence[Conversation],
    rows: Mapping[str, Rows],
    provenance: Mapping[str, object],
    speaker_count: int | None = None,
) -> Imported:
    """The dataset facts and the stream of dialogues.

    Args:
        corpus: names of the data, the classes and the sentiments.
        conversations: of all splits, in the order of the shards.
        rows: modality -> features.
        provenance: of the importer.
        speaker_count: where it is more than those who speak.
    """
    ordered = {modality: rows[modality] for modality in MODALITIES if modality in rows}
    highest = max(int(c.speakers.max(initial=0)) for c in conversations) + 1
    info = DatasetInfo(
        dataset=corpus.name,
        class_names=corpus.class_names,
        widths={m: source.of(conversations[0])[0].shape[1] for m, source in ordered.items()},
        speaker_count=max(highest, speaker_count or 1),
        provenance={**provenance, "classes": _class_list(corpus.class_names)},
        sentiment_names=corpus.sentiment_names if any(c.sentiments is not None for c in conversations) else (),
    )
    return info, (_dialogue(conversation, ordered) for conversation in conversations)


def _class_list(names: Sequence[str]) -> str:
    return ", ".join(f"{number} {name}" for number, name in enumerate(names))


def _dialogue(conversation: Conversation, rows: Mapping[str, Rows]) -> Dialogue:
    pairs = {modality: source.of(conversation) for modality, source in rows.items()}
    return Dialogue(
        dialogue_id=conversation.dialogue_id,
        split=conversation.split,
        speakers=conversation.speakers,
        labels=conversation.labels,
        utterances=conversation.utterances,
        sentiments=conversation.sentiments,
        features={modality: matrix for modality, (matrix, _) in pairs.items()},
        present={modality: there for modality, (_, there) in pairs.items() if there is not None},
    )
