"""What GraphCFC and GraphMFT (Li et al., 2023) share: how an utterance is read, and what a node of a graph hears.

    x^text_i = W [LSTM forward; LSTM backward](u^text)_i + b + p(speaker_i)         two layers, H per direction
    x^m_i    = tanh(u^m_i) + p(speaker_i)                                            the other modalities

A graph has one member or a pair of them. Within a member utterance i hears i - past .. i + future, itself included;
across, it hears itself in the other member. With scores over what (m, i) hears, and values v,

    [a_mi; a'_mi] = softmax of the scores within and across                          per head
    y_mi          = mean over heads of (sum over j of a_mij v_mj + a'_mi v_m'i)

    N   utterances of the batch    n   of one dialogue    M   members, 1 or 2    h   heads    H   width of a node
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from dclf.layout import Layout
from dclf.models.contract import BaseModel
from dclf.models.dialogue_lstm import DialogueLSTM

ORDER = ("audio", "visual", "text")
"""Order of the modalities in both models."""

SLOPE = 0.2
"""Below zero, of the leaky ReLU in the attention's scores."""

TOGETHER = 256
"""Utterances that go through the graphs together on a CPU."""


class UtteranceReader(nn.Module):
    """u^m of every modality to the features x^m of its nodes; computed in the parameters' precision.

    Args:
        modalities: which, in ``ORDER``.
        speaker_count: how many speakers have an embedding.
        width: H, and the width of u^m of all modalities but text.
        text_width: width of u^text.
        bidirectional: read the text in both directions; else forwards only.
        dropout: dropout rate between the layers of the LSTM.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        speaker_count: int,
        *,
        width: int,
        text_width: int,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.modalities = tuple(modalities)
        self.speakers = nn.Embedding(speaker_count, width)
        self.lstm: DialogueLSTM | None = None
        if "text" in modalities:
            self.lstm = DialogueLSTM(text_width, width, bidirectional=bidirectional, dropout=dropout)
            self.text = nn.Linear((1 + bidirectional) * width, width)

    def forward(self, encoded: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> dict[str, Tensor]:
        """Modality -> x^m [N, H].

        Args:
            encoded: modality -> u^m [N, H], of text [N, text_width].
            speakers: int64 [N].
            layout: which rows form which dialogue.
        """
        who: Tensor = self.speakers(speakers)
        return {m: self._read(m, encoded[m].to(who.dtype), layout) + who for m in self.modalities}

    def _read(self, modality: str, encoded: Tensor, layout: Layout) -> Tensor:
        if modality != "text" or self.lstm is None:
            return encoded.tanh()
        read: Tensor = self.text(self.lstm(encoded, layout))
        return read


class PairGraphModel(BaseModel):
    """What both models have around their graphs: the windows, the reader, and a decoder that takes h as it is.

    Without ``causal`` the reader's LSTM reads in both directions, and utterances up to ``future`` later are heard.
    """

    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: Any) -> None:
        super().__init__(modalities, speaker_count, causal, config)
        self.modalities = tuple(m for m in ORDER if m in modalities)
        self.past, self.future = config.past, 0 if causal else config.future
        self.encoder_width = {m: config.text_width if m == "text" else config.hidden for m in self.modalities}
        self.hidden_width = self.state_width = self.context_width = config.hidden
        self.reader = UtteranceReader(
            self.modalities,
            speaker_count,
            width=config.hidden,
            text_width=config.text_width,
            bidirectional=not causal,
            dropout=config.dropout,
        )

    def decoder(self, width: int, classes: int) -> nn.Module:
        """See ``BaseModel.decoder``; h enters as it is."""
        return nn.Linear(width, classes)


def groups(layout: Layout) -> Iterator[tuple[slice, Layout]]:
    """Whole dialogues that go through the graphs together: their rows, and which of these form which dialogue.

    On a CPU up to ``TOGETHER`` utterances, or one longer dialogue: what lies between two layers then fits its cache,
    and does not leave holes of many sizes in its memory. On a GPU all.
    """
    start, lengths = 0, list[int]()
    for length in layout.lengths:
        if lengths and layout.device.type == "cpu" and sum(lengths) + length > TOGETHER:
            yield slice(start, start + sum(lengths)), Layout(tuple(lengths), layout.device)
            start, lengths = start + sum(lengths), []
        lengths.append(length)
    yield slice(start, start + sum(lengths)), Layout(tuple(lengths), layout.device)


@dataclass(frozen=True, eq=False)
class PairGraph:
    """What the nodes of one batch hear.

    Attributes:
        layout: which rows form which dialogue.
        past: how many earlier utterances are heard.
        future: how many later ones.
    """

    layout: Layout
    past: int
    future: int

    @cached_property
    def hearing(self) -> list[Tensor]:
        """Per dialogue bool [n, n]: row hears column within its member."""
        times = [torch.arange(n, device=self.layout.device) for n in self.layout.lengths]
        ahead = [time - time[:, None] for time in times]
        return [(-self.past <= later) & (later <= self.future) for later in ahead]

    def attend(self, within: Iterable[Tensor], across: Tensor | None, values: Tensor) -> Tensor:
        """y [M, N, H].

        Args:
            within: per dialogue scores [M, h, n, n], of any size where row does not hear column.
            across: [M, h, N], scores of the own utterance in the other member; None where there is one member.
            values: v [M, h, N, H].
        """
        lengths = self.layout.lengths
        beyond = [None] * len(lengths) if across is None else across.split(lengths, -1)
        parts = zip(within, self.hearing, beyond, values.split(lengths, 2), strict=True)
        return torch.cat([_attend(*part) for part in parts], 1)


def _attend(within: Tensor, heard: Tensor, across: Tensor | None, values: Tensor) -> Tensor:
    """y [M, n, H] of one dialogue."""
    scores = within.masked_fill(~heard, -torch.inf)
    if across is None:
        return (scores.softmax(-1) @ values).mean(1)
    weights = torch.cat((scores, across.unsqueeze(-1)), -1).softmax(-1)
    first, second = weights[..., -1:]
    # The members apart: turned around in one tensor, every layer would keep a copy of its values for the gradient.
    crossing = torch.stack((first * values[1], second * values[0]))
    return (weights[..., :-1] @ values + crossing).mean(1)
