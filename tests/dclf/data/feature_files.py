"""Small files in every layout of the field, written by a generator of our own, with the truth about what is in them.

A corpus of four conversations and more in each split; every row of features names its modality, layer, dialogue and
utterance in its first columns, so that a test can tell whose it is.
"""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MODALITY_CODES = {"text": 1.0, "audio": 2.0, "visual": 3.0}
MELD_NAMES = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
FEELINGS = ("neutral", "positive", "negative")


@dataclass
class Talks:
    """Conversations to write.

    Attributes:
        splits: split -> dialogue ids.
        lengths: dialogue id -> utterances.
        classes: number of emotions.
        unlabelled: give every seventh utterance the label -1.
    """

    splits: dict[str, list[Any]]
    lengths: dict[Any, int] = field(default_factory=dict)
    classes: int = 6

    def __post_init__(self) -> None:
        for place, name in enumerate(self.names):
            self.lengths.setdefault(name, 2 + place % 3)

    @property
    def names(self) -> list[Any]:
        return [name for names in self.splits.values() for name in names]

    def labels(self, *, dtype: Any = int) -> dict[Any, Any]:
        places = {name: place for place, name in enumerate(self.names)}
        return {n: [dtype((places[n] + turn) % self.classes) for turn in range(k)] for n, k in self.lengths.items()}

    def sentiments(self) -> dict[Any, list[int]]:
        return {n: [(len(str(n)) + turn) % 3 for turn in range(k)] for n, k in self.lengths.items()}

    def sentences(self) -> dict[Any, list[str]]:
        return {n: [f"{n} says {turn}" for turn in range(k)] for n, k in self.lengths.items()}

    def ids(self) -> dict[Any, list[str]]:
        return {n: [f"{n}_{'FM'[turn % 2]}{turn:03d}" for turn in range(k)] for n, k in self.lengths.items()}

    def numbers(self) -> dict[Any, list[int]]:
        return {n: list(range(k)) for n, k in self.lengths.items()}

    def genders(self) -> dict[Any, list[str]]:
        return {n: ["MF"[turn % 2] for turn in range(k)] for n, k in self.lengths.items()}

    def one_hot(self) -> dict[Any, Any]:
        return {n: np.eye(9)[[turn % 4 for turn in range(k)]].tolist() for n, k in self.lengths.items()}

    def words(self, *names: str) -> dict[Any, list[str]]:
        return {n: [names[turn % len(names)] for turn in range(k)] for n, k in self.lengths.items()}

    def row(self, name: Any, turn: int, modality: str, width: int, layer: int = 1) -> np.ndarray[Any, Any]:
        marks = [MODALITY_CODES[modality], layer, self.names.index(name), turn]
        row = np.full(width, 0.25, np.float32)
        row[: min(width, 4)] = marks[:width]
        return row

    def rows(self, modality: str, width: int, layer: int = 1, *, as_lists: bool = False) -> dict[Any, Any]:
        matrices = {
            name: np.stack([self.row(name, turn, modality, width, layer) for turn in range(count)])
            for name, count in self.lengths.items()
        }
        return {name: list(matrix) for name, matrix in matrices.items()} if as_lists else matrices

    def roberta(self, width: int = 1024) -> list[dict[Any, Any]]:
        return [self.rows("text", width, layer, as_lists=layer % 2 == 0) for layer in range(1, 5)]

    @property
    def train(self) -> list[Any]:
        """As pickles without a validation list have it."""
        return [*self.splits["train"], *self.splits["val"]]


def iemocap(classes: int = 6) -> Talks:
    names = [f"Ses0{session}F_impro{number:02d}" for session in range(1, 6) for number in range(1, 7)]
    return Talks({"train": names[:20], "val": names[20:24], "test": names[24:]}, classes=classes)


def meld() -> Talks:
    return Talks({"train": list(range(20)), "val": list(range(20, 25)), "test": list(range(25, 32))}, classes=7)


def emorynlp() -> Talks:
    names = [f"{season}_{episode}_{scene}" for season in (1, 2) for episode in (1, 2, 3) for scene in (4, 11)]
    return Talks({"train": names[:7], "val": names[7:9], "test": names[9:]}, classes=7)


def tuple_of(talks: Talks, text: int, audio: int, visual: int, speakers: Any, *unused: Any, sets: bool = False) -> Any:
    train, test = talks.train, talks.splits["test"]
    features = [talks.rows("text", text), talks.rows("audio", audio, as_lists=True), talks.rows("visual", visual)]
    lists = (set(train), set(test)) if sets else (train, test)
    return (talks.ids(), speakers, talks.labels(), *features, talks.sentences(), *lists, *unused)


def cosmic(talks: Talks, speakers: Any, *, sentiments: bool = False) -> list[Any]:
    second = [talks.sentiments()] if sentiments else []
    lists = [talks.splits[split] for split in ("train", "test", "val")]
    return [speakers, talks.labels(), *second, *talks.roberta(), talks.sentences(), *lists]


def layered(talks: Talks, audio: int, speakers: Any, *unused: Any, sentiments: bool = False) -> tuple[Any, ...]:
    second = [talks.sentiments()] if sentiments else []
    rows = [*talks.roberta(), talks.rows("audio", audio), talks.rows("visual", 342)]
    return (
        talks.ids(), speakers, talks.labels(), *second, *rows, talks.sentences(), talks.train, talks.splits["test"],
        *unused,
    )  # fmt: skip


@dataclass(frozen=True)
class Published:
    """A published layout.

    Attributes:
        talks: what it holds.
        content: of the pickle.
        corpus: that it must be recognised as.
        widths: modality -> width that it must have.
        val: how the validation split comes about.
        sentiments: whether there must be some.
    """

    talks: Talks
    content: Callable[[Talks], Any]
    corpus: str
    widths: Mapping[str, int]
    val: str = "held out of the training dialogues"
    sentiments: bool = False


def _widths(*values: int) -> dict[str, int]:
    return dict(zip(MODALITY_CODES, values, strict=False))


LIST, TENTH = "the file's own list", "first tenth of the training list"
LAYOUTS: dict[str, Published] = {
    "MMGCN, IEMOCAP": Published(
        iemocap(), lambda t: tuple_of(t, 100, 1582, 342, t.genders()), "iemocap", _widths(100, 1582, 342)
    ),
    "MMGCN, IEMOCAP, with own text": Published(
        iemocap(), lambda t: tuple_of(t, 768, 1582, 342, t.genders()), "iemocap", _widths(768, 1582, 342)
    ),
    "MMGCN, MELD": Published(
        meld(), lambda t: tuple_of(t, 600, 300, 342, t.one_hot(), {}), "meld", _widths(600, 300, 342)
    ),
    "DialogueRNN, IEMOCAP": Published(
        iemocap(), lambda t: tuple_of(t, 100, 100, 512, t.genders(), sets=True), "iemocap", _widths(100, 100, 512)
    ),
    "DialogueCRN, MELD": Published(
        meld(),
        lambda t: (
            t.numbers(), t.one_hot(), t.labels(dtype=np.int64), t.rows("text", 600), t.rows("audio", 300),
            t.sentences(), t.train, t.splits["test"], t.sentiments(),
        ),
        "meld",
        _widths(600, 300),
        sentiments=True,
    ),
    "COSMIC, IEMOCAP": Published(iemocap(), lambda t: cosmic(t, t.genders()), "iemocap", _widths(1024), LIST),
    "COSMIC, MELD": Published(
        meld(), lambda t: cosmic(t, t.one_hot(), sentiments=True), "meld", _widths(1024), LIST, sentiments=True
    ),
    "COSMIC, EmoryNLP": Published(emorynlp(), lambda t: cosmic(t, t.one_hot()), "emorynlp", _widths(1024), LIST),
    "COSMIC, DailyDialog": Published(
        meld(), lambda t: cosmic(t, t.words("0", "1")), "dailydialog", _widths(1024), LIST
    ),
    "CFN-ESA, SDT, GraphSmile, IEMOCAP": Published(
        iemocap(), lambda t: layered(t, 1582, t.genders()), "iemocap", _widths(1024, 1582, 342)
    ),
    "SDT, MELD": Published(meld(), lambda t: layered(t, 300, t.one_hot(), {}), "meld", _widths(1024, 300, 342)),
    "CFN-ESA, GraphSmile, MELD": Published(
        meld(),
        lambda t: layered(t, 300, t.one_hot(), {}, sentiments=True),
        "meld",
        _widths(1024, 300, 342),
        sentiments=True,
    ),
    "COGMEN, CORECT": Published(
        iemocap(4), lambda t: tuple_of(t, 100, 100, 512, t.genders()), "iemocap-4", _widths(100, 100, 512), TENTH
    ),
}  # fmt: skip
"""Every tuple and list of FIELD.md's table that one pickle holds, with emotions as labels."""


def save(path: Path, content: Any, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def write_multiemo(folder: Path, talks: Talks) -> list[Path]:
    """MultiEMO's four files."""
    none = (None, None, None)
    first = (talks.ids(), talks.genders(), talks.labels(), *none, talks.sentences(), talks.train, talks.splits["test"])
    rows = {"Text": ("text", 768), "Audio": ("audio", 512), "Visual": ("visual", 1000)}
    files = [save(folder / f"{name}Features.pkl", talks.rows(*what)) for name, what in rows.items()]
    return [save(folder / "Speakers.pkl", first), *files]


def write_mosei(folder: Path) -> Path:
    """CMU-MOSEI's tuple of 9."""
    names = [f"vid{number}" for number in range(12)]
    talks = Talks({"train": names[:8], "val": names[8:9], "test": names[9:]})
    scores = {n: [[-3.0, -0.4, 0.0, 2.6][(len(n) + turn) % 4] for turn in range(k)] for n, k in talks.lengths.items()}
    content = tuple_of(talks, 768, 74, 35, talks.words("M"))
    return save(folder / "cmumosei.pkl", (*content[:2], scores, *content[3:]))


def write_dag_erc(folder: Path, talks: Talks, *, several: bool = False) -> Path:
    """DAG-ERC's JSON files and vocabularies; of every dialogue the last utterance has no label."""
    names = ("excited", "neutral", "frustrated", "sad", "happy", "angry")
    save(folder / "label_vocab.pkl", {"stoi": {name: n for n, name in enumerate(names)}, "itos": list(names)})
    save(folder / "speaker_vocab.pkl", {"stoi": {"M": 0, "F": 1}, "itos": ["M", "F"]})
    for split, file in (("train", "train"), ("val", "dev"), ("test", "test")):
        content = [
            [_dag_erc_utterance(talks, name, turn, names, several=several) for turn in range(talks.lengths[name])]
            for name in talks.splits[split]
        ]
        path = folder / f"{file}_data_roberta{'_mm' if several else ''}.json.feature"
        path.write_text(json.dumps(content), encoding="utf-8")
    return folder


def _dag_erc_utterance(talks: Talks, name: Any, turn: int, names: Any, *, several: bool) -> dict[str, Any]:
    vectors = [talks.row(name, turn, m, w).tolist() for m, w in (("text", 1024), ("audio", 1582), ("visual", 342))]
    utterance = {
        "text": talks.sentences()[name][turn],
        "speaker": "MF"[turn % 2],
        "cls": vectors if several else vectors[0],
    }
    last = turn == talks.lengths[name] - 1
    return utterance if last else utterance | {"label": names[talks.labels()[name][turn]]}


TABLE = ("Talk", "Turn", "Who", "Words", "Mood", "Part")


def table_rows(talks: Talks) -> list[dict[str, str]]:
    """A row per utterance, under names of our own; the last of every dialogue has no emotion."""
    return [
        {
            "Talk": str(name), "Turn": str(turn), "Who": ("Ann", "Bo")[turn % 2], "Words": f"{name} says {turn}",
            "Mood": "" if turn == talks.lengths[name] - 1 else MELD_NAMES[talks.labels()[name][turn]], "Part": split,
        }
        for split, names in talks.splits.items()
        for name in names
        for turn in range(talks.lengths[name])
    ]  # fmt: skip


def write_csv(folder: Path, talks: Talks) -> Path:
    with (folder / "talks.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, TABLE)
        writer.writeheader()
        writer.writerows(table_rows(talks))
    np.save(folder / "rows.npy", in_table_order(talks, "text", 8))
    return folder / "talks.csv"


def in_table_order(talks: Talks, modality: str, width: int, names: Iterable[Any] | None = None) -> Any:
    matrices = talks.rows(modality, width)
    return np.concatenate([matrices[name] for name in (talks.names if names is None else names)])


CSV_COLUMNS = "dialogue=Talk,utterance=Turn,speaker=Who,text=Words,emotion=Mood,split=Part"
HF_NAMES = ("neutral", "joy", "sadness", "anger", "fear", "disgust", "surprise")


def write_huggingface(
    folder: Path, *, kind: str = "parquet", names: tuple[str, ...] | None = HF_NAMES, label: str = "emotion"
) -> Path:
    """MELD as the hub has it: numbered anew in each split, and classes in an order of their own."""
    root = folder / "meld"
    for split, count in (("train", 4), ("validation", 2), ("test", 3)):
        rows = [(number, turn) for number in range(count) for turn in range(3)]
        table = pa.table(
            {
                "path": [f"clips/dia{number}_utt{turn}.wav" for number, turn in rows],
                "text": [f"{split} {number} {turn}" for number, turn in rows],
                "speaker": [("Joey", "Ross")[turn % 2] for _, turn in rows],
                label: pa.array([(number + turn) % 7 for number, turn in rows], pa.int64()),
                "text_features": [[float(number), float(turn), 1.0] for number, turn in rows],
            }
        )
        feature = {"_type": "ClassLabel", "names": list(names)} if names else {"_type": "Value", "dtype": "int64"}
        info = json.dumps({"info": {"features": {label: feature}}})
        _write_table(root, split, table.replace_schema_metadata({"huggingface": info}), kind)
    return root


def _write_table(root: Path, split: str, table: pa.Table, kind: str) -> None:
    if kind == "parquet":
        root.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, root / f"{split}-00000-of-00001.parquet")
        return
    (root / split).mkdir(parents=True)
    (root / "dataset_dict.json").write_text('{"splits": ["train", "validation", "test"]}')
    file = str(root / split / "data-00000-of-00001.arrow")
    with pa.OSFile(file, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
