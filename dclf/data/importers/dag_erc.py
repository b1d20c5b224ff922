"""The JSON features of DAG-ERC and its successors, with the vocabularies of labels and speakers beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dclf.data.dialogue import MODALITIES, SPLITS, UNLABELLED
from dclf.data.errors import DataError, SourceError
from dclf.data.importers.conversations import Conversation, DialogueRows, Imported, Rows, assemble
from dclf.data.importers.datasets import CORPORA, Corpus
from dclf.data.importers.layouts import OWN_WIDTHS
from dclf.data.importers.pickle_parts import NAME_SPEAKERS, is_nobody, speaker_names
from dclf.data.importers.replacement import SPLIT_NAMES, with_replacements
from dclf.data.importers.safe_pickle import read_pickle
from dclf.data.importers.sources import PathLike, describe, read_each
from dclf.prose import join_words

_PATTERN = "*.json.feature*"


def import_dag_erc(
    folder: PathLike,
    variant: str | None = None,
    dataset: str | None = None,
    text: PathLike | None = None,
    audio: PathLike | None = None,
    visual: PathLike | None = None,
) -> Imported:
    """JSON features as DAG-ERC and MultiDAG keep them.

    Reads ``{train,dev,test}_data_roberta.json.feature`` or ``..._roberta_mm.json.feature``, ``label_vocab.pkl`` and
    ``speaker_vocab.pkl``. The classes are those of the label vocabulary, in its order. Utterances without a label are
    context. The dialogues have no ids and are numbered in each split: train-0, dev-0, test-0. Speakers are numbered
    within each dialogue, by first appearance.

    Args:
        folder: with the three JSON files and the vocabularies.
        variant: which files to take where there are several, as ``roberta`` or ``roberta_mm``.
        dataset: name of the data; known corpora are recognised by their classes, else the folder's name.
        text: file whose rows replace the text; FILE#K takes element K, {split} stands for train, dev and test.
        audio: file whose rows replace or add the audio.
        visual: file whose rows replace or add the visual features.

    Raises:
        SourceError: a file is missing or laid out otherwise.
        DataError: unknown labels, vectors of other widths: all of them.
    """
    root = Path(folder)
    files = _files(root, variant)
    labels = _vocabulary(root / "label_vocab.pkl")
    contents = read_each(files, lambda split: _read(files[split]))
    problems = [p for split, content in contents.items() for p in _problems(files[split].name, content, labels)]
    if problems:
        raise DataError(problems, str(root))
    conversations = [c for split, content in contents.items() for c in _conversations(split, content, labels)]
    own = _own_rows(root, contents)
    rows, origins = with_replacements(own, {"text": text, "audio": audio, "visual": visual}, conversations)
    corpus = Corpus(name=dataset or _name_of(labels) or root.resolve().name, class_names=labels)
    sources: dict[str, object] = {file.name: describe(file) for file in files.values()}
    provenance = {
        "importer": "dag-erc",
        "sources": sources | {"label_vocab.pkl": describe(root / "label_vocab.pkl")},
        "elements": [f"cls: {', '.join(own)}"],
        "class order": "of label_vocab.pkl",
        "validation": {"method": "the dev file"},
        **origins,
    }
    return assemble(corpus, conversations, rows, provenance)


def _files(root: Path, variant: str | None) -> dict[str, Path]:
    """Split -> its JSON file; SourceError where there is none, or several and nothing says which."""
    variants: dict[str, dict[str, Path]] = {}
    for file in sorted(root.glob(_PATTERN)):
        head, _, rest = file.name.partition("_data_")
        for split, names in SPLIT_NAMES.items():
            if head in names:
                variants.setdefault(rest.partition(".json")[0], {})[split] = file
    if not variants:
        raise SourceError(
            f"{root}: has no files such as train_data_roberta.json.feature; give the folder with DAG-ERC's JSON "
            f"features"
        )
    if variant is None and len(variants) > 1:
        raise SourceError(f"{root}: has files of {join_words([*variants])}; say which with --variant")
    files = variants.get(variant or next(iter(variants)))
    if files is None:
        raise SourceError(f"{root}: --variant must be one of {join_words([*variants], 'or')}, is {variant!r}")
    if lacking := [split for split in SPLITS if split not in files]:
        raise SourceError(
            f"{root}: has no file of the {join_words(lacking)} split beside {next(iter(files.values())).name}"
        )
    return {split: files[split] for split in SPLITS}


def _vocabulary(file: Path) -> tuple[str, ...]:
    """The names of a vocabulary pickle in the order of their numbers."""
    content = read_pickle(file)
    names = content.get("itos") if isinstance(content, dict) else None
    if names is None and isinstance(content, dict) and isinstance(content.get("stoi"), dict):
        names = sorted(content["stoi"], key=content["stoi"].__getitem__)
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names) or not names:
        raise SourceError(f"{file}: must be a dict with itos, the list of names, or stoi, name to number")
    return tuple(names)


def _read(file: Path) -> list[list[dict[str, Any]]]:
    try:
        content: list[list[dict[str, Any]]] = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SourceError(f"{file}: cannot be read as JSON ({error}); download it again") from error
    sound = isinstance(content, list) and all(
        isinstance(dialogue, list) and dialogue and all(isinstance(one, dict) for one in dialogue)
        for dialogue in content
    )
    if not sound or not content:
        raise SourceError(
            f"{file}: must be a list of dialogues, each a list of utterances with text, speaker, cls and label"
        )
    return content


def _problems(file: str, content: Sequence[Sequence[Mapping[str, Any]]], labels: Sequence[str]) -> Iterator[str]:
    for number, dialogue in enumerate(content):
        for turn, utterance in enumerate(dialogue):
            where = f"{file}, dialogue {number}, utterance {turn}"
            if lacking := [key for key in ("text", "speaker", "cls") if key not in utterance]:
                yield f"{where}: has no {join_words(lacking)}"
            elif is_nobody(utterance["speaker"]):
                yield f"{where}: speaker must be a name, is {utterance['speaker']!r}; {NAME_SPEAKERS}"
            elif not _is_cls(utterance["cls"]):
                yield f"{where}: cls must be a vector, or three of them (text, audio, visual)"
            label = utterance.get("label")
            if label is not None and label not in labels:
                yield f"{where}: {label!r} is none of {', '.join(labels)}"


def _is_cls(value: Any) -> bool:
    """Whether it is a list of numbers, or three such lists."""
    several = isinstance(value, list) and any(isinstance(one, list) for one in value)
    if several and len(value) != len(MODALITIES):
        return False
    vectors = value if several else [value]
    return all(isinstance(v, list) and v and all(isinstance(n, (int, float)) for n in v) for v in vectors)


def _conversations(
    split: str, content: Sequence[Sequence[Mapping[str, Any]]], labels: Sequence[str]
) -> Iterator[Conversation]:
    start = 0
    for number, dialogue in enumerate(content):
        name = f"{SPLIT_NAMES[split][0]}-{number}"
        emotions = [one.get("label") for one in dialogue]
        yield Conversation(
            name=name,
            dialogue_id=name,
            split=split,
            speakers=speaker_names(one["speaker"] for one in dialogue),
            labels=np.array([UNLABELLED if e is None else labels.index(e) for e in emotions], dtype=np.int32),
            utterances=tuple(str(one["text"]) for one in dialogue),
            number=str(number),
            split_places=np.arange(start, start + len(dialogue)),
        )
        start += len(dialogue)


def _own_rows(root: Path, contents: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]) -> dict[str, Rows]:
    """The features of cls: text alone, or text, audio and visual."""
    first = contents["train"][0][0]["cls"]
    several = isinstance(first, list) and bool(first) and isinstance(first[0], list)
    modalities = MODALITIES if several else ("text",)
    mixed = [
        f"dialogue {SPLIT_NAMES[split][0]}-{number}: cls must have as many vectors as the first, {len(modalities)}"
        for split, content in contents.items()
        for number, dialogue in enumerate(content)
        if any(isinstance(one["cls"][0], list) != several for one in dialogue)
    ]
    if mixed:
        raise DataError(mixed, str(root))
    vectors = dict(zip(modalities, first if several else [first], strict=True))
    for modality, vector in vectors.items():
        owner, what = OWN_WIDTHS.get(len(vector), (modality, ""))
        if owner != modality:
            raise SourceError(f"{root}: cls must be text, audio and visual in this order, but the {modality} is {what}")
    rows: dict[str, Rows] = {}
    for place, modality in enumerate(modalities):
        by_name = {
            f"{SPLIT_NAMES[split][0]}-{number}": [one["cls"][place] if several else one["cls"] for one in dialogue]
            for split, content in contents.items()
            for number, dialogue in enumerate(content)
        }
        rows[modality] = DialogueRows(modality, by_name)
    return rows


def _name_of(labels: Sequence[str]) -> str | None:
    """The known corpus with these classes, in whichever order."""
    return next((name for name, corpus in CORPORA.items() if {*corpus.class_names} == {*map(str.lower, labels)}), None)
