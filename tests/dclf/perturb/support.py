"""Small conversations for the perturbation tests, and two models whose answers are known beforehand."""

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from dclf.data.batch import Batch
from dclf.data.dialogue import DatasetInfo, Dialogue
from dclf.perturb import Conversations

CLASSES = ("joy", "anger", "neutral")
INFO = DatasetInfo(dataset="toy", class_names=CLASSES, widths={"text": 4}, speaker_count=3)

Emotions = list[list[int]]


def dialogue_of(name: str, emotions: list[int], split: str = "test") -> Dialogue:
    """The emotion of each utterance is its text feature 0, its place feature 1; 2 and 3 are noise of its own."""
    rng = np.random.default_rng([*name.encode(), len(emotions)])
    text = np.column_stack([emotions, np.arange(len(emotions)), rng.normal(size=(len(emotions), 2))])
    return Dialogue(
        dialogue_id=name,
        split=split,
        speakers=rng.integers(0, 3, len(emotions)).astype(np.int32),
        labels=np.array(emotions, dtype=np.int32),
        features={"text": text.astype(np.float32)},
    )


def conversations(prefix: str, emotions: Emotions) -> Conversations:
    return Conversations.of([dialogue_of(f"{prefix}{n}", labels) for n, labels in enumerate(emotions)], ("text",))


def emotion_lists(longest: int = 8, least: int = 1) -> st.SearchStrategy[Emotions]:
    return st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=longest), min_size=least, max_size=5)


def sparse_lists() -> st.SearchStrategy[Emotions]:
    """Some utterances have no emotion, which is -1."""
    return st.lists(st.lists(st.integers(-1, 2), min_size=1, max_size=8), min_size=1, max_size=5)


POOL: Emotions = [[0, 1, 2, 2], [2, 1, 0], [0, 0, 1, 2, 1, 0]]
"""Three dialogues with every emotion in each, so that any utterance has a replacement of either kind."""


@dataclass
class Judge:
    """A model with what a scoring wants to know of it."""

    model: "TargetOnly | CopiesTheLast"
    info: DatasetInfo = INFO
    modalities: tuple[str, ...] = ("text",)


def one_hot(emotions: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(emotions.long(), len(CLASSES)).float()


class TargetOnly:
    """Tells the emotion from the utterance alone, and is wrong about some."""

    def predict(self, batch: Batch) -> Tensor:
        text = batch.features["text"]
        return one_hot((text[:, 0] + (text[:, 2] > 0.5)) % len(CLASSES))


class CopiesTheLast:
    """Repeats the emotion of the utterance before; says the first class where there is none."""

    def predict(self, batch: Batch) -> Tensor:
        emotions = batch.features["text"][:, 0]
        return one_hot(torch.where(batch.layout.time > 0, emotions.roll(1), 0))
