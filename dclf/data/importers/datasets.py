"""The corpora whose files the importers know: classes in the order that their programs number them, and signs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dclf.data.errors import SourceError
from dclf.data.presets import IEMOCAP_CLASSES, MELD_CLASSES
from dclf.data.whole_numbers import is_whole
from dclf.prose import join_words

MELD_SENTIMENTS = ("neutral", "positive", "negative")
MELD_DEV = range(1039, 1153)
"""Ids of MELD's development dialogues: the pickles number train, dev and test on end, train with a gap at 60."""
MELD_TEST = range(1153, 1433)
MELD_DEV_UTTERANCES = 1109


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """What a name stands for.

    Attributes:
        name: as ``--dataset`` takes it.
        class_names: emotion of each number.
        sentiment_names: sentiment of each number.
        val_dialogues: how many training dialogues are held out where a file lists none for validation; a tenth where
            None.
        val_first: whether the first of the training list are taken instead, as the corpus' programs do.
    """

    name: str
    class_names: tuple[str, ...]
    sentiment_names: tuple[str, ...] = ()
    val_dialogues: int | None = None
    val_first: bool = False


CORPORA = {
    corpus.name: corpus
    for corpus in (
        Corpus(name="iemocap", class_names=IEMOCAP_CLASSES, val_dialogues=20),
        Corpus(name="iemocap-4", class_names=IEMOCAP_CLASSES[:4], val_first=True),
        Corpus(name="meld", class_names=MELD_CLASSES, sentiment_names=MELD_SENTIMENTS, val_dialogues=114),
        Corpus(name="emorynlp", class_names=("joyful", "mad", "peaceful", "neutral", "sad", "powerful", "scared")),
        Corpus(
            name="dailydialog",
            class_names=("happiness", "neutral", "anger", "sadness", "fear", "surprise", "disgust"),
        ),
    )
}


def corpus_named(name: str, classes: Sequence[str] | None) -> Corpus:
    """The corpus of this name with its own classes, or with those given.

    Raises:
        SourceError: a corpus that is not known, without classes.
    """
    if classes:
        return replace(CORPORA.get(name) or Corpus(name=name, class_names=()), class_names=tuple(classes))
    if name not in CORPORA:
        raise SourceError(
            f"--dataset {name}: is none of {join_words([*CORPORA], 'or')}, so the names of its classes are not known; "
            "name them in the order of their numbers with --classes NAME,NAME,..."
        )
    return CORPORA[name]


def corpora_of(names: Sequence[Any], speakers: str, words: set[str], labels: set[int]) -> list[str]:
    """The corpora that dialogue ids, speakers and labels speak for; empty where none, several where it is not clear.

    Args:
        names: some of the dialogue ids.
        speakers: kind of the speakers, see ``dclf.data.importers.layouts``.
        words: the speakers as text.
        labels: that occur, without -1.
    """
    texts = [str(name) for name in names]
    if speakers == "genders" and all(re.match(r"Ses\d", text) for text in texts):
        if max(labels, default=0) > 3:
            return ["iemocap"]
        return ["iemocap-4"] if labels == {0, 1, 2, 3} else ["iemocap", "iemocap-4"]
    if speakers == "one-hot" and all(is_whole(name) for name in names):
        return ["meld"]
    if speakers == "words" and words <= {"0", "1"}:
        return ["dailydialog"]
    return ["emorynlp"] if all(re.fullmatch(r"\d+_\d+(_\d+)*", text) for text in texts) else []


def listed_classes(classes: str | None) -> tuple[str, ...] | None:
    """The names of ``--classes a,b,c``; a name with a comma stands in double quotes, as in a CSV file.

    Returns:
        None where the option is not given.

    Raises:
        SourceError: a name is empty or stands twice.
    """
    if classes is None:
        return None
    names = tuple(name.strip() for line in csv.reader([classes], skipinitialspace=True) for name in line)
    if not names or not all(names) or len({*names}) < len(names):
        raise SourceError(f"--classes must be different names with commas between, is {classes!r}")
    return names


def as_classes(names: Sequence[str]) -> str:
    """The value of ``--classes`` that ``listed_classes`` reads as these names."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    return line.getvalue()


def alike_but_case(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of different names that differ in case alone, the one that comes first before the other."""
    first: dict[str, str] = {}
    pairs = [(first.setdefault(name.casefold(), name), name) for name in names]
    return [(earlier, name) for earlier, name in pairs if earlier != name]
