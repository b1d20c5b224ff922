"""Feature pickles of the field, recognised by their content, and CMU-MOSEI's with scores as labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from dclf.data.errors import DataError, SourceError
from dclf.data.importers.content import read_content
from dclf.data.importers.conversations import Imported, assemble
from dclf.data.importers.datasets import CORPORA, Corpus, alike_but_case, corpora_of, corpus_named, listed_classes
from dclf.data.importers.layouts import (
    Element,
    TupleLayout,
    described,
    look_at,
    rows_or_none,
)
from dclf.data.importers.pickle_parts import (
    Parts,
    conversations_of,
    labels_by_name,
    labels_of,
    reader_of_speakers,
    rows_of,
    split_dialogues,
)
from dclf.data.importers.recognition import Roles, parts_at, roles_of
from dclf.data.importers.replacement import with_replacements
from dclf.data.importers.sources import PathLike, describe, items_of, length_of, read_each
from dclf.prose import join_words

_SEPARATE = {768: "text", 512: "audio", 1000: "visual"}
"""MultiEMO's files of rows: width -> modality."""
Layers = Literal["1", "2", "3", "4", "mean", "concat"]


def import_features(  # noqa: PLR0913, PLR0917 - the options of a command
    files: PathLike | Sequence[PathLike],
    dataset: str | None = None,
    classes: str | None = None,
    text: PathLike | None = None,
    audio: PathLike | None = None,
    visual: PathLike | None = None,
    text_layers: Layers = "1",
    elements: str | None = None,
    val_ids: PathLike | None = None,
    val_dialogues: int | None = None,
    seed: int = 0,
) -> Imported:
    """Feature pickles of the field, recognised by their content.

    Knows the files of MMGCN, DialogueRNN, DialogueCRN, COSMIC, CFN-ESA, SDT, GraphSmile, COGMEN, CORECT, MultiEMO and
    their relatives by the number of their elements, and by what they hold and how wide it is; says what it took for
    what; and asks where that is not clear. A list of validation dialogues in the file is kept.

    Args:
        files: the pickle; several where the features lie in files of their own, as MultiEMO's do.
        dataset: iemocap, iemocap-4 (four classes), meld, emorynlp or dailydialog, where the content leaves it open; or
            a name of your own, with ``classes``.
        classes: names of the classes in the order of their numbers, with commas between.
        text: file whose rows replace the text, or add it: see docs/importing.md for its shapes; FILE#K takes element K.
        audio: file whose rows replace or add the audio.
        visual: file whose rows replace or add the visual features.
        text_layers: which of RoBERTa's four layers to take, or their mean, or all side by side.
        elements: what the elements are, from 0, where the content leaves it open: ``text=3,audio=4,visual=5``.
        val_ids: file with the ids of the validation dialogues, one a line, which are taken out of the training ones.
        val_dialogues: how many training dialogues to hold out for validation where the file lists none.
        seed: of the hold-out.

    Raises:
        UnsafePickleError, SourceError, DataError: see ``dclf.data.errors``.
    """
    paths = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    content, main, separate = _contents(paths)
    looks = look_at(content)
    names = listed_classes(classes)
    layout, roles = roles_of(main, looks, elements)
    parts, corpus = _parts_of(main, content, looks, roles, layout, dataset, names)
    parts = replace(parts, features={**parts.features, **separate})
    provenance: dict[str, object] = {
        "importer": "features",
        "source": describe(main),
        "layout": str(layout) if layout else "as --elements says",
        "elements": described(roles, looks) + [f"{m}: a file of its own" for m in separate],
    }
    if _has_names(looks, roles):
        provenance["class order"] = "as --classes gives it" if names else "first appearance in the file"
    if len(paths) > 1:
        provenance["files"] = [describe(path) for path in paths]
    splits, validation = split_dialogues(parts, corpus, val_ids=val_ids, val_dialogues=val_dialogues, seed=seed)
    kind = looks[roles["speakers"][0]].kind
    read_speakers, count = reader_of_speakers(kind, parts.speakers)
    read_labels = labels_by_name(corpus.class_names) if _has_names(looks, roles) else labels_of
    conversations = conversations_of(parts, splits, read_speakers, read_labels)
    if text is not None and text_layers != "1":
        raise SourceError(
            f"--text-layers {text_layers}: is of the pickle's own text, which --text {os.fspath(text)} replaces; leave "
            "one of them out, or take layers of that file with --text FILE#K, FILE#mean or FILE#concat"
        )
    rows = rows_of(parts, text_layers)
    if len(parts.features.get("text", ())) > 1 and text is None:
        provenance["text layers"] = text_layers
    replacements = {"text": text, "audio": audio, "visual": visual}
    rows, origins = with_replacements(rows, replacements, conversations)
    return assemble(corpus, conversations, rows, {**provenance, "validation": validation, **origins}, count)


def _contents(paths: Sequence[PathLike]) -> tuple[Sequence[Any], str, dict[str, list[Mapping[Any, Any]]]]:
    """The tuple with the conversations, its file, and the files of rows beside it by modality."""
    contents = read_each([os.fspath(path) for path in paths], read_content)
    tuples = {path: content for path, content in contents.items() if _is_tuple(content)}
    if len(tuples) != 1:
        raise SourceError("\n".join(_no_conversations(path, content) for path, content in contents.items()))
    ((main, content),) = tuples.items()
    separate: dict[str, list[Mapping[Any, Any]]] = {}
    for path, rows in contents.items():
        if path != main:
            separate[_modality_of(path, rows, len(contents))] = [rows]
    if len(separate) != len(contents) - 1:
        raise SourceError(f"{main}: two of the files beside it are as wide; {_NAME_THEM}")
    return content, main, separate


_NAME_THEM = "say which is which with --text FILE, --audio FILE and --visual FILE"


def _modality_of(path: str, rows: Any, count: int) -> str:
    """What a file of rows beside the tuple holds, by its width."""
    first = rows_or_none(next(iter(rows.values()), None)) if isinstance(rows, dict) else None
    width = 0 if first is None else first.shape[1]
    if count != 4 or width not in _SEPARATE:
        what = f"holds rows {width} wide" if width else "holds no dict from dialogue id to rows"
        raise SourceError(
            f"{path}: {what}; beside a tuple of conversations are recognised MultiEMO's three files of rows, 768 "
            f"(text), 512 (audio) and 1000 (visual) wide. {_NAME_THEM[0].upper()}{_NAME_THEM[1:]}"
        )
    return _SEPARATE[width]


def _is_tuple(content: Any) -> bool:
    return isinstance(content, (tuple, list)) and len(content) > 3 and any(isinstance(e, dict) for e in content)


def _no_conversations(path: str, content: Any) -> str:
    """Why a file alone is not enough, and what to do with it."""
    must = f"{path}: must be a tuple or list with speakers, labels and lists of dialogue ids among its elements"
    if _is_tuple(content):
        return f"{must}; give one such file at a time"
    if isinstance(content, np.ndarray):
        what = f"is an array {list(content.shape)}, features alone"
    elif isinstance(content, dict) and {"train", "test"} <= {*content}:
        what = "is a dict of splits; MMSA's, segments with scores, are read by `dclf data import mosei`"
    elif isinstance(content, dict):
        what = "is a dict by dialogue or utterance id, features alone"
    elif isinstance(content, (tuple, list)) and len(content) == 3 and all(isinstance(e, dict) for e in content):
        what = "is a list of three dicts, as MELD's authors': features of train, dev and test alone"
    else:
        size = length_of(content)
        what = f"is a {type(content).__name__}" + ("" if size is None else f" of {size}")
    return (
        f"{must}, and {what}. Features alone go with --text, --audio or --visual to an importer of the conversations: "
        "`dclf data import meld-csv`, `csv`, `dag-erc`, or `features` with such a tuple"
    )


def _parts_of(
    source: str,
    content: Sequence[Any],
    looks: Sequence[Element],
    roles: Roles,
    layout: TupleLayout | None,
    dataset: str | None,
    classes: tuple[str, ...] | None,
) -> tuple[Parts, Corpus]:
    """The elements by their roles, and whose they are."""
    parts = parts_at(source, content, roles)
    if looks[roles["labels"][0]].kind == "scores":
        raise SourceError(
            f"{source}: its labels are scores, such as sentiments, and no classes; `dclf data import mosei` makes "
            "classes of CMU-MOSEI's and CMU-MOSI's"
        )
    if _has_names(looks, roles):
        return parts, corpus_named(dataset or "own", classes or _label_names(parts))
    if dataset is not None or classes is not None:
        return parts, corpus_named(dataset or "own", classes)
    kind = looks[roles["speakers"][0]].kind
    words = {str(word) for value in parts.speakers.values() for word in items_of(value)} if kind == "words" else set()
    labels = _whole_labels(parts)
    candidates = corpora_of(parts.names, kind, words, labels - {-1})
    if layout is not None:
        candidates = [name for name in candidates if name in layout.corpora]
    if len(candidates) != 1:
        raise SourceError(_which_corpus(source, candidates, labels))
    return parts, CORPORA[candidates[0]]


def _has_names(looks: Sequence[Element], roles: Roles) -> bool:
    """Whether the labels are names of emotions; no published file has them, so ``--elements`` says it."""
    return looks[roles["labels"][0]].kind == "words"


def _label_names(parts: Parts) -> tuple[str, ...]:
    """The names in the order in which they appear; SourceError where there are too many for emotions."""
    texts = [str(name).strip() for one in parts.names for name in items_of(parts.labels.get(one))]
    names = tuple(name for name in dict.fromkeys(texts) if name)
    if alike := alike_but_case(names):
        raise DataError(
            [
                f"the emotions {first!r} and {name!r} differ in case alone; write them alike, or name both with "
                "--classes"
                for first, name in alike
            ],
            parts.source,
        )
    if len(names) * 2 > len(texts):
        raise SourceError(
            f"{parts.source}: labels must be emotions, but {len(texts)} utterances have {len(names)} different texts "
            f"there, such as {names[0]!r}; name another element with --elements labels=K"
        )
    return names


def _whole_labels(parts: Parts) -> set[int]:
    """The labels that occur; those of dialogues that cannot be read are told when all are."""
    labels: set[int] = set()
    for name in parts.names:
        with suppress(SourceError):
            labels |= {*labels_of(parts.labels.get(name, ()), "").tolist()}
    return labels


def _which_corpus(source: str, candidates: Sequence[str], labels: set[int]) -> str:
    numbers = join_words([str(label) for label in sorted(labels - {-1})])
    if candidates:
        return f"{source}: its labels are {numbers}, so it may be {join_words(candidates, 'or')}; say it with --dataset"
    return (
        f"{source}: holds numbers as labels ({numbers}) and no names, and dialogue ids and speakers are those of no "
        f"known corpus; say whose it is with --dataset ({', '.join(CORPORA)}), or name the classes in the order of "
        "their numbers with --dataset NAME --classes NAME,NAME,..."
    )
