"""The feature pickles that MMGCN and its successors share: ``IEMOCAP_features.pkl`` and ``MELD_features_raw1.pkl``.

Both are tuples of dicts keyed by dialogue: (ids, speakers, labels, text, audio, visual, sentences, train ids,
test ids), MELD's with a tenth element that is not needed. Here the order is what counts, at any widths; where a file's
layout is open, ``dclf.data.importers.features`` finds it out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from dclf.data.dialogue import MODALITIES
from dclf.data.errors import SourceError
from dclf.data.importers.content import read_content
from dclf.data.importers.conversations import Imported, assemble
from dclf.data.importers.datasets import CORPORA
from dclf.data.importers.pickle_parts import (
    Parts,
    Speakers,
    conversations_of,
    genders,
    listed,
    one_hot,
    rows_of,
    split_dialogues,
)
from dclf.data.importers.replacement import with_replacements
from dclf.data.importers.sources import PathLike, describe, length_of
from dclf.data.presets import MELD_SPEAKERS
from dclf.data.whole_numbers import whole_number

_DICTS = ("speakers", "labels", *MODALITIES, "sentences")
"""What stands in the elements from 1 on."""


def import_mmgcn_iemocap(
    pickle: PathLike,
    text: PathLike | None = None,
    val_dialogues: int = 20,
    seed: int = 0,
    text_element: int | None = None,
    audio: PathLike | None = None,
    visual: PathLike | None = None,
) -> Imported:
    """IEMOCAP from ``IEMOCAP_features.pkl``.

    The pickle has no validation list: ``val_dialogues`` of its training dialogues are held out by ``seed``, and the
    provenance lists them.

    Args:
        pickle: the feature pickle, a 9-tuple; speakers are 'M' and 'F', which become 0 and 1.
        text: a file whose rows replace the text features, such as RoBERTa's; see docs/importing.md for its shapes.
        val_dialogues: how many training dialogues to hold out.
        seed: of the hold-out.
        text_element: which element of ``text`` to take, from 0, where it is not clear; the same as FILE#K.
        audio: a file whose rows replace the audio.
        visual: a file whose rows replace the visual features.

    Raises:
        UnsafePickleError, SourceError, DataError: see ``dclf.data.errors``.
    """
    replacements = {"text": _with_element(text, text_element), "audio": audio, "visual": visual}
    origin = {"importer": "mmgcn-iemocap", "source": describe(pickle)}
    return _import(_read(pickle, 9), "iemocap", genders, replacements, origin, (val_dialogues, seed, 2))


def import_mmgcn_meld(
    pickle: PathLike,
    text: PathLike | None = None,
    val_dialogues: int = 114,
    seed: int = 0,
    text_element: int | None = None,
    audio: PathLike | None = None,
    visual: PathLike | None = None,
) -> Imported:
    """MELD from ``MELD_features_raw1.pkl``.

    The pickle's training list holds MELD's train and dev dialogues. They are told apart where the numbering is the
    published one (dev is 1039..1152, test 1153..1432, and dev has its 1,109 utterances); otherwise ``val_dialogues``
    are held out by ``seed``. The provenance says which.

    Args:
        pickle: the feature pickle, a 10-tuple; speakers are one-hot rows of 9.
        text: a file whose rows replace the text features, such as RoBERTa's; see docs/importing.md for its shapes.
        val_dialogues: how many training dialogues to hold out where MELD's own dev split cannot be recovered.
        seed: of the hold-out.
        text_element: which element of ``text`` to take, from 0, where it is not clear; the same as FILE#K.
        audio: a file whose rows replace the audio.
        visual: a file whose rows replace the visual features.

    Raises:
        UnsafePickleError, SourceError, DataError: see ``dclf.data.errors``.
    """
    replacements = {"text": _with_element(text, text_element), "audio": audio, "visual": visual}
    origin = {"importer": "mmgcn-meld", "source": describe(pickle)}
    return _import(_read(pickle, 10), "meld", one_hot, replacements, origin, (val_dialogues, seed, MELD_SPEAKERS))


def _with_element(text: PathLike | None, element: int | None) -> str | None:
    """The file and its element as ``feature_rows`` takes them."""
    if element is None:
        return None if text is None else os.fspath(text)
    if text is None:
        raise SourceError(f"--text-element {element}: says which element of --text to take, which is not given")
    return f"{os.fspath(text)}#{whole_number(element, '--text-element')}"


def _read(path: PathLike, count: int) -> Parts:
    """Read the tuple; SourceError where it is laid out otherwise."""
    source = os.fspath(path)
    content = read_content(source)
    elsewhere = "`dclf data import features` knows other layouts"
    if not isinstance(content, (tuple, list)) or len(content) != count:
        size = length_of(content)
        what = type(content).__name__ + ("" if size is None else f" of {size}")
        raise SourceError(f"{source}: must be a tuple of {count} elements, is {what}; {elsewhere}")
    parts: dict[str, Any] = dict(zip(_DICTS, content[1:7], strict=True))
    for place, (part, value) in enumerate(parts.items(), start=2):
        if not isinstance(value, dict) and not (part in MODALITIES and value is None):
            kind = type(value).__name__
            raise SourceError(f"{source}: element {place} must be a dict by dialogue id, is a {kind}; {elsewhere}")
    return Parts(
        source=source,
        speakers=parts["speakers"],
        labels=parts["labels"],
        sentences=parts["sentences"],
        features={m: [parts[m]] for m in MODALITIES if parts[m] is not None},
        train=listed(content[7], source),
        test=listed(content[8], source),
        ids=content[0] if isinstance(content[0], dict) else None,
    )


def _import(
    parts: Parts,
    dataset: str,
    speakers: Speakers,
    replacements: dict[str, PathLike | None],
    origin: Mapping[str, object],
    numbers: tuple[int, int, int],
) -> Imported:
    val_dialogues, seed, speaker_count = numbers
    corpus = CORPORA[dataset]
    splits, validation = split_dialogues(parts, corpus, val_dialogues=val_dialogues, seed=seed)
    conversations = conversations_of(parts, splits, speakers)
    rows, origins = with_replacements(rows_of(parts, "1"), replacements, conversations)
    return assemble(corpus, conversations, rows, {**origin, "validation": validation, **origins}, speaker_count)
