"""The sentiment of emotions, and what GraphSmile learns of it beside the emotions.

    sentiment   -sum_i ln softmax(W_s h_i + b_s)[t_i]                       t the sentiment of the emotion
    shift       -sum_ij ln softmax(U h_i + V h_j + b)[t_i != t_j]           i, j of one block

Blocks are cut from the labelled utterances of a dialogue, from its start, of ``window`` each; the last may be shorter.
All ordered pairs of a block count, i = j too. The authors' layer reads [h_i; h_j] and is linear, so it is a sum of two
halves.

    K   labelled utterances   H   width of h   C   emotions   Q   blocks   W   window   R   pairs
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from dclf.data.batch import Batch
from dclf.layout import Layout
from dclf.losses.terms import Term
from dclf.models.contract import Auxiliary, BaseOutput, CrossEntropy

SENTIMENTS = ("negative", "neutral", "positive")
EMOTIONS: Mapping[str, Sequence[str]] = {
    "negative": (
        *("anger", "angry", "mad", "frustrated", "frustration", "disgust", "disgusted"),
        *("sad", "sadness", "fear", "fearful", "scared"),
        # Of MELD's 1,205 surprised utterances in training 614 are labelled negative and 591 positive, none neutral.
        *("surprise", "surprised"),
    ),
    "neutral": ("neutral",),
    "positive": ("happy", "happiness", "excited", "excitement", "joy", "joyful", "peaceful", "powerful"),
}
"""Sentiment -> the emotions of IEMOCAP, MELD, EmoryNLP and DailyDialog that have it."""


def sentiments_of(class_names: Sequence[str]) -> Tensor:
    """Index into ``SENTIMENTS`` of each emotion, int64 [C].

    Args:
        class_names: C emotions.

    Raises:
        ValueError: one has no known sentiment.
    """
    indices = {emotion: SENTIMENTS.index(sentiment) for sentiment, emotions in EMOTIONS.items() for emotion in emotions}
    if unknown := [name for name in class_names if name.lower() not in indices]:
        raise ValueError(
            f"classes must be emotions of a known sentiment ({', '.join(indices)}), are also {', '.join(unknown)}; "
            "model.options.sentiment_weight: 0 and model.options.shift_weight: 0 switch off the heads that need it"
        )
    return torch.tensor([indices[name.lower()] for name in class_names])


class SentimentTerms(Auxiliary):
    """The sentiment of each utterance, and whether two have another.

    Args:
        width: H.
        class_names: C emotions.
        weights: of ``sentiment`` and ``shift``, those above 0.
        window: W.

    Raises:
        ValueError: an emotion has no known sentiment.
    """

    sentiments: Tensor

    def __init__(self, width: int, class_names: Sequence[str], weights: Mapping[str, float], window: int) -> None:
        super().__init__()
        self.weights = weights
        self.window = window
        self.register_buffer("sentiments", sentiments_of(class_names), persistent=False)
        self.sentiment = nn.Linear(width, len(SENTIMENTS)) if "sentiment" in weights else None
        self.shift = Shift(width) if "shift" in weights else None

    def forward(
        self,
        output: BaseOutput,
        logits: Tensor,  # noqa: ARG002 (both heads read the hidden states alone)
        batch: Batch,
        cross_entropy: CrossEntropy,  # noqa: ARG002 (its class weights are those of the emotions)
    ) -> Mapping[str, Term]:
        """See ``Auxiliary.forward``."""
        targets, terms = self.sentiments[batch.labels], {}
        if self.sentiment is not None:
            terms["sentiment"] = _plain(self.sentiment(output.hidden), targets)
        if self.shift is not None:
            blocks = blocks_of(batch.layout, self.window)
            terms["shift"] = _plain(self.shift(output.hidden, blocks), shifts_of(targets, blocks))
        return terms


class Shift(nn.Module):
    """Two halves of a linear layer on pairs [h_i; h_j].

    Args:
        width: H.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        whole = nn.Linear(2 * width, 2)
        self.first = nn.Parameter(whole.weight.detach()[:, :width].clone())
        self.second = nn.Parameter(whole.weight.detach()[:, width:].clone())
        self.bias = whole.bias

    def forward(self, hidden: Tensor, blocks: Layout) -> Tensor:
        """hidden [K, H] -> logits [R, 2] of the same and of another sentiment, block after block."""
        first = blocks.pad(functional.linear(hidden, self.first, self.bias))
        second = blocks.pad(functional.linear(hidden, self.second))
        return _pairs(first[:, :, None] + second[:, None, :], blocks)


def blocks_of(layout: Layout, window: int) -> Layout:
    """The same rows cut into blocks: dialogues of at most ``window`` utterances."""
    lengths = [min(window, n - start) for n in layout.lengths for start in range(0, n, window)]
    return Layout.of(lengths, layout.device)


def shifts_of(targets: Tensor, blocks: Layout) -> Tensor:
    """Sentiments [K] -> int64 [R]: 1 where those of a pair differ."""
    padded = blocks.pad(targets)
    return _pairs(padded[:, :, None] != padded[:, None, :], blocks).long()


def _pairs(grid: Tensor, blocks: Layout) -> Tensor:
    """[Q, W, W, ...] -> [R, ...], those between two utterances."""
    return grid[blocks.mask[:, :, None] & blocks.mask[:, None, :]]


def _plain(logits: Tensor, targets: Tensor) -> Term:
    total = functional.cross_entropy(logits.float(), targets, reduction="sum")
    return Term(total, torch.tensor(float(len(targets))))
