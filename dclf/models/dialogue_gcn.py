"""DialogueGCN (Ghosal et al., 2019): a relational graph convolution over the utterances around each one.

    u_i      = LSTM over [u^m_i for every m], two layers                                [D]
    a_ij     = softmax over the j that i hears of u_i . W_e u_j,  i - past <= j <= i + future
    r(i, j)  = who says j, who says i, and whether j comes before i (the self edge does not)
    v_i      = R u_i + b + sum over those j of a_ij W_r(i,j) u_j                        [G], the relational layer
    g_i      = B v_i + c + V sum over those j of v_j                                    [G], the graph layer
    e_i      = [u_i, g_i]                                                               [D + G]
    n_ij     = softmax over all j of the dialogue of tanh((T e_i + t) . e_j)            the nodal attention
    h_i      = W sum_j n_ij e_j + b                                                     [G], what the decoder reads

With ``causal`` the LSTM reads forwards only, at the width of both directions, ``future`` is 0 and the nodal attention
reads no later utterance. What an utterance hears is a band of a product of all pairs of its dialogue, which the nodal
attention needs anyway; the relations are one product for each speaker.

This is the paper's weighting, in which what comes in sums to 1. The authors' program swaps the two windows, scores an
utterance by its place in the dialogue, and has what leaves an utterance sum to 1.

    N   utterances of the batch   B   dialogues   L   the longest   S   speakers   E   encoder width
    D   LSTM width, both directions together      G   graph width
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dclf.data.dialogue import MODALITIES
from dclf.layout import Layout
from dclf.models.contract import BaseModel, BaseOutput
from dclf.models.dialogue_lstm import DialogueLSTM
from dclf.models.history import pool_history
from dclf.models.options import require_rate, require_size, require_window


@dataclass(frozen=True, kw_only=True)
class DialogueGCNConfig:
    """Hyperparameters of DialogueGCN; the defaults are those of the authors' command for IEMOCAP.

    Attributes:
        encoder_width: E, width of the modality encoders.
        lstm_width: D / 2, width of the LSTM in each direction; ``causal`` has one direction of twice the width.
        graph_width: G, width of the graph layers and of the decoder's input.
        past: how many utterances back an utterance hears in each graph layer.
        future: how many utterances ahead; ``causal`` hears none.
        dropout: dropout rate between the layers of the LSTM.
    """

    encoder_width: int = 100
    lstm_width: int = 100
    graph_width: int = 100
    past: int = 10
    future: int = 10
    dropout: float = 0.4

    def __post_init__(self) -> None:
        require_size(encoder_width=self.encoder_width, lstm_width=self.lstm_width, graph_width=self.graph_width)
        require_window(self.past, self.future)
        require_rate(dropout=self.dropout)


@dataclass(frozen=True, eq=False)
class DialogueGCNMemory:
    """What a conversation leaves for its next utterance.

    Attributes:
        lstm: see ``DialogueLSTM.hear``.
        keys: W_e u of the last ``past`` utterances, [P, D].
        messages: W_r u of them, by who may hear it, [P, S, G].
        relational: v of them, [P, G].
        nodes: e of all utterances, [n, D + G].
    """

    lstm: tuple[Tensor, Tensor]
    keys: Tensor
    messages: Tensor
    relational: Tensor
    nodes: Tensor


class DialogueGCN(BaseModel):
    """DialogueGCN on any subset of the modalities, which its LSTM reads side by side; the authors' reads text alone.

    ``state`` is g; ``context`` pools that of earlier utterances with the own one as query (``history.pool_history``):
    row i reads utterances up to i, and its keys and values lie before i.
    """

    Config = DialogueGCNConfig
    streams = True

    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: DialogueGCNConfig) -> None:
        super().__init__(modalities, speaker_count, causal, config)
        self.modalities = tuple(m for m in MODALITIES if m in modalities)
        self.causal = causal
        self.past, self.future = config.past, 0 if causal else config.future
        self.encoder_width = config.encoder_width
        self.hidden_width = self.state_width = self.context_width = config.graph_width
        width = 2 * config.lstm_width
        self.lstm = DialogueLSTM(
            len(self.modalities) * config.encoder_width,
            width if causal else config.lstm_width,
            bidirectional=not causal,
            dropout=config.dropout,
        )
        self.relational = RelationalLayer(width, config.graph_width, speaker_count)
        self.own = nn.Linear(config.graph_width, config.graph_width)
        self.heard = nn.Linear(config.graph_width, config.graph_width, bias=False)
        self.nodal = nn.Linear(width + config.graph_width, width + config.graph_width)
        self.linear = nn.Linear(width + config.graph_width, config.graph_width)

    def forward(self, encoded: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> BaseOutput:
        """See ``BaseModel.forward``."""
        utterances = self.lstm(torch.cat([encoded[modality] for modality in self.modalities], 1), layout)
        with torch.autocast(utterances.device.type, enabled=False):
            graph = self._graph(utterances, speakers, layout)
            attended = self._attend(torch.cat((utterances, graph), 1), layout)
        return BaseOutput(hidden=self.linear(attended), state=graph, context=pool_history(graph, layout))

    def hear(
        self, encoded: Mapping[str, Tensor], speaker: Tensor, memory: DialogueGCNMemory | None
    ) -> tuple[Tensor, DialogueGCNMemory]:
        """See ``BaseModel.hear``."""
        row = torch.cat([encoded[modality] for modality in self.modalities], 1)
        utterance, lstm = self.lstm.hear(row, None if memory is None else memory.lstm)
        with torch.autocast(row.device.type, enabled=False):
            earlier = None if memory is None else (memory.keys, memory.messages)
            own, keys, messages = self.relational.hear(utterance, speaker, earlier)
            relational = own if memory is None else torch.cat((memory.relational, own))
            graph = self.own(own) + self.heard(relational.sum(0, keepdim=True))
            node = torch.cat((utterance, graph), 1)
            nodes = node if memory is None else torch.cat((memory.nodes, node))
            attended = (self.nodal(node) @ nodes.T).tanh().softmax(-1) @ nodes
        last = slice(-self.past, None)
        return self.linear(attended), DialogueGCNMemory(lstm, keys[last], messages[last], relational[last], nodes)

    def _graph(self, utterances: Tensor, speakers: Tensor, layout: Layout) -> Tensor:
        """u [N, D] -> g [N, G]."""
        window = band(layout, self.past, self.future)
        relational = self.relational(utterances, speakers, window, layout)
        around = layout.pack(torch.bmm(window.to(relational.dtype), layout.pad(relational)))
        graph: Tensor = self.own(relational) + self.heard(around)
        return graph

    def _attend(self, rows: Tensor, layout: Layout) -> Tensor:
        """e [N, D + G] -> what the nodal attention pools from it, likewise."""
        keys = layout.pad(rows)
        scores = torch.bmm(layout.pad(self.nodal(rows)), keys.transpose(1, 2)).tanh()
        whole = band(layout, layout.longest, 0 if self.causal else layout.longest)
        return layout.pack(torch.bmm(softmax_where(whole, scores), keys))


class RelationalLayer(nn.Module):
    """v: the graph convolution whose maps depend on who speaks to whom, and in which direction.

    Args:
        width: D.
        graph_width: G.
        speakers: S.
    """

    def __init__(self, width: int, graph_width: int, speakers: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(width)
        # [S who says j, D, 2 (j before i; not), S who says i, G]
        maps = torch.empty(speakers, width, 2, speakers, graph_width).uniform_(-bound, bound)
        self.relations = nn.Parameter(maps)
        self.edge = nn.Linear(width, width, bias=False)
        self.root = nn.Linear(width, graph_width)

    def forward(self, utterances: Tensor, speakers: Tensor, window: Tensor, layout: Layout) -> Tensor:
        """u [N, D], who says them int64 [N], who hears whom bool [B, L, L] -> v [N, G]."""
        weights = self.weights(utterances, window, layout)
        both = torch.cat((weights.tril(-1), weights.triu()), 2)  # [B, L, 2 L]
        messages = layout.pad(self._messages(utterances, speakers)).transpose(1, 2).flatten(1, 2)  # [B, 2 L, S, G]
        sums = layout.pack(torch.bmm(both, messages.flatten(2))).view(-1, *messages.shape[2:])  # [N, S, G]
        mine = speakers[:, None, None].expand(-1, 1, sums.shape[2])
        relational: Tensor = self.root(utterances) + sums.gather(1, mine).squeeze(1)
        return relational

    def hear(
        self, utterance: Tensor, speaker: Tensor, earlier: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The next utterance of a dialogue.

        Args:
            utterance: u [1, D].
            speaker: int64 [1].
            earlier: W_e u [P, D] and W_r u [P, S, G] of the utterances that it hears; None where there are none.

        Returns:
            v [1, G], and what was ``earlier`` with the utterance's own.
        """
        before, now = self._messages(utterance, speaker).unbind(1)
        keys, heard, messages = self.edge(utterance), now, before
        if earlier is not None:
            keys, heard, messages = (
                torch.cat(rows) for rows in ((earlier[0], keys), (earlier[1], now), (earlier[1], before))
            )
        weights = (utterance @ keys.T).softmax(-1)
        return self.root(utterance) + weights @ heard[:, speaker[0]], keys, messages

    def weights(self, utterances: Tensor, window: Tensor, layout: Layout) -> Tensor:
        """a [B, L, L], zero where nothing is heard; rows of padding mean nothing."""
        keys = layout.pad(self.edge(utterances))
        return softmax_where(window, torch.bmm(layout.pad(utterances), keys.transpose(1, 2)))

    def _messages(self, utterances: Tensor, speakers: Tensor) -> Tensor:
        """W_r u_j of every r that an utterance may have as a sender, [N, 2, S, G]: one product for each speaker."""
        order = speakers.argsort(stable=True)
        counts = speakers.bincount(minlength=len(self.relations)).tolist()
        parts = utterances.index_select(0, order).split(counts)
        messages = torch.cat([part @ maps for part, maps in zip(parts, self.relations.flatten(2), strict=True)])
        return messages.index_select(0, order.argsort()).view(-1, *self.relations.shape[2:])


def band(layout: Layout, past: int, future: int) -> Tensor:
    """Whether utterance i of a dialogue hears j, i - past <= j <= i + future: bool [B, L, L], false on padding."""
    steps = torch.arange(layout.longest, device=layout.device)
    ahead = steps - steps[:, None]
    return ((ahead >= -past) & (ahead <= future)) & layout.mask[:, None] & layout.mask[:, :, None]


def softmax_where(there: Tensor, scores: Tensor) -> Tensor:
    """Softmax over the last dimension where ``there``, zero elsewhere; rows with nothing there mean nothing."""
    weights: Tensor = scores.masked_fill(~there, torch.finfo(scores.dtype).min).softmax(-1)
    return weights
