"""CMU-MOSEI and CMU-MOSI, whose labels are sentiment scores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dclf.data.errors import SourceError
from dclf.data.importers.content import read_content
from dclf.data.importers.conversations import Imported, assemble
from dclf.data.importers.datasets import Corpus
from dclf.data.importers.layouts import LAYOUTS, described, fits, look_at
from dclf.data.importers.mmsa import is_mmsa, read_mmsa
from dclf.data.importers.pickle_parts import conversations_of, reader_of_speakers, rows_of, split_dialogues
from dclf.data.importers.recognition import parts_at, places_of, refuse_owned
from dclf.data.importers.replacement import with_replacements
from dclf.data.importers.sources import PathLike, describe
from dclf.prose import join_words

Bins = Literal["7", "2", "2-nonnegative"]
_MOSEI = LAYOUTS[0]
"""The order of the elements, as MMGCN's."""


def import_mosei(  # noqa: PLR0917 - the options of a command
    file: PathLike,
    bins: Bins = "7",
    text: PathLike | None = None,
    audio: PathLike | None = None,
    visual: PathLike | None = None,
    val_ids: PathLike | None = None,
    val_dialogues: int | None = None,
    seed: int = 0,
) -> Imported:
    """CMU-MOSEI and CMU-MOSI with sentiment scores as labels: a tuple of 9, or MMSA's dict of splits.

    Classes are made of the scores, which go from -3 to 3. Seven: the nearest whole number, as the accuracy of seven
    classes has it. Two: below and above 0, an utterance of exactly 0 being context without a label; or below 0 and the
    rest.

    Args:
        file: the pickle: ids, speakers, scores, text, audio, visual, sentences, train ids, test ids; or for each split
            arrays of segments, whose videos are the dialogues, and whose series become means.
        bins: 7, 2 (negative, positive, 0 is unlabelled) or 2-nonnegative (negative, 0 and above).
        text: file whose rows replace the text; FILE#K takes element K.
        audio: file whose rows replace the audio.
        visual: file whose rows replace the visual features.
        val_ids: file with the ids of the validation dialogues, one a line.
        val_dialogues: how many training dialogues to hold out for validation; a tenth where absent.
        seed: of the hold-out.

    Raises:
        UnsafePickleError, SourceError, DataError: see ``dclf.data.errors``.
    """
    content, source = read_content(os.fspath(file)), os.fspath(file)
    class_names, to_class = _BINS[bins]
    corpus = Corpus(name="mosei", class_names=class_names)
    replacements = {"text": text, "audio": audio, "visual": visual}
    provenance: dict[str, object] = {"importer": "mosei", "source": describe(file), "bins": bins}

    def read_labels(value: Any, where: str) -> NDArray[np.int32]:
        return _binned(value, where, to_class)

    if is_mmsa(content):
        _refuse_unused(source, {"--val-ids": val_ids, "--val-dialogues": val_dialogues, "--seed": seed or None})
        conversations, own = read_mmsa(source, content, read_labels)
        rows, origins = with_replacements(own, replacements, conversations)
        provenance["layout"] = "splits of series, as MMSA reads them: means over the steps of each segment"
        provenance["validation"] = {"method": "the file's own split"}
        return assemble(corpus, conversations, rows, provenance | origins)
    looks = look_at(content) if isinstance(content, (tuple, list)) else []
    if not fits(_MOSEI, looks):
        listing = "\n".join(f"  {element}" for element in looks) or f"  it is a {type(content).__name__}"
        raise SourceError(
            f"{source}: must be a tuple of 9, {', '.join(_MOSEI.roles)}, with scores as labels, or MMSA's dict of "
            f"train, valid and test; rearrange the elements, or see `dclf data import features`. It holds\n{listing}"
        )
    roles = places_of(_MOSEI, looks)
    refuse_owned(source, roles, looks)
    parts = parts_at(source, content, roles)
    splits, validation = split_dialogues(parts, corpus, val_ids=val_ids, val_dialogues=val_dialogues, seed=seed)
    read_speakers, count = reader_of_speakers(looks[1].kind, parts.speakers)
    conversations = conversations_of(parts, splits, read_speakers, read_labels)
    rows, origins = with_replacements(rows_of(parts, "1"), replacements, conversations)
    provenance["layout"] = "a tuple of 9 as GraphSmile and CORECT read it, scores as labels"
    provenance["elements"] = described(roles, looks)
    return assemble(corpus, conversations, rows, {**provenance, "validation": validation, **origins}, count)


def _refuse_unused(source: str, options: Mapping[str, object]) -> None:
    """SourceError names the options of a hold-out that are given for a file with splits of its own."""
    if names := [option for option, value in options.items() if value is not None]:
        raise SourceError(
            f"{source}: has a validation split of its own (MMSA's valid), so nothing is held out; leave out "
            f"{join_words(names)}"
        )


_SEVEN = (
    "highly negative", "negative", "weakly negative", "neutral", "weakly positive", "positive", "highly positive",
)  # fmt: skip


def _nearest(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.rint(np.clip(scores, -3.0, 3.0)) + 3.0


def _sign(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(scores == 0, -1, scores > 0)


def _from_zero(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(scores >= 0, 1, 0)


_BINS = {
    "7": (_SEVEN, _nearest),
    "2": (("negative", "positive"), _sign),
    "2-nonnegative": (("negative", "non-negative"), _from_zero),
}


def _binned(value: Any, where: str, to_class: Any) -> NDArray[np.int32]:
    try:
        scores = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SourceError(f"{where}: scores must be numbers ({error})") from error
    flat = scores[:, 0] if scores.ndim == 2 and scores.shape[1] == 1 else scores
    if flat.ndim != 1 or not np.isfinite(flat).all() or np.abs(flat).max(initial=0) > 3:
        raise SourceError(f"{where}: scores must be one number from -3 to 3 for every utterance")
    classes: NDArray[np.int32] = to_class(flat).astype(np.int32)
    return classes
