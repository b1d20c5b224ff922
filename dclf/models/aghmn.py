"""AGHMN (Jiao, Lyu and King, 2020): the utterance asks a memory of what was said before it, in order.

    u_i       = tanh(reader [u^m_i for every m])                        [D], an utterance
    h_k       = GRU(u_k, h_k-1), k = i-K .. i-1, from zero              [D], the fusion layer over a window
    m_k       = u_k + h_k                                               the memory
    a_k       = softmax over k of u_i . m_k
    r_k       = sigmoid(W_r m_k + U_r s_k-1 + b_r)
    s~_k      = tanh(W m_k + b + r_k (U s_k-1 + b'))
    s_k       = a_k s~_k + (1 - a_k) s_k-1, from zero                   [D], the attention GRU
    c_i       = s_i-1, zero at the first utterance                      the context
    e_i       = u_i + c_i                                               what the decoder reads

    N   utterances of the batch   R   rows of all windows   K   window   E   encoder width   n   windows of a step

This is the paper's UniF-AGRU with one reading of the memory. Each window is a sequence of its own, so that nothing
before it reaches u_i.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dclf.data.dialogue import MODALITIES
from dclf.layout import Layout
from dclf.models.attention_gru import AttentionGRU
from dclf.models.contract import BaseModel, BaseOutput
from dclf.models.dropout import Dropout
from dclf.models.gru import StackedGRU
from dclf.models.options import require_rate, require_size
from dclf.models.steps import Steps
from dclf.models.windows import Windows


@dataclass(frozen=True, kw_only=True)
class AGHMNConfig:
    """Hyperparameters of AGHMN; the defaults are those of the original's IEMOCAP program.

    Attributes:
        encoder_width: E, width of the modality encoders.
        width: D, width of utterances, memories and context.
        window: K, how many past utterances the memory holds.
        dropout: dropout rate of utterances and memories.
    """

    encoder_width: int = 100
    width: int = 100
    window: int = 40
    dropout: float = 0.3

    def __post_init__(self) -> None:
        require_size(encoder_width=self.encoder_width, width=self.width, window=self.window)
        require_rate(dropout=self.dropout)


class AGHMN(BaseModel):
    """AGHMN on any subset of the modalities, which its reader joins; speakers are unknown to it.

    ``hidden`` = ``state`` is e, ``context`` is c: row i reads earlier rows, and utterance i as the query. The decoder
    is the authors': dropout and a linear layer, no ReLU.
    """

    Config = AGHMNConfig
    bidirectional = False

    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: AGHMNConfig) -> None:
        super().__init__(modalities, speaker_count, causal, config)
        self.modalities = tuple(m for m in MODALITIES if m in modalities)
        self.window = self.reach = config.window
        self.encoder_width = config.encoder_width
        self.hidden_width = self.state_width = self.context_width = config.width
        self.reader = nn.Linear(len(self.modalities) * config.encoder_width, config.width)
        self.fusion = StackedGRU(1, config.width, config.width)
        self.memory = AttentionGRU(config.width)
        self.dropout = Dropout(config.dropout)

    def decoder(self, width: int, classes: int) -> nn.Module:
        """See ``BaseModel.decoder``."""
        return nn.Sequential(Dropout(self.dropout.rate), nn.Linear(width, classes))

    def forward(
        self,
        encoded: Mapping[str, Tensor],
        speakers: Tensor,  # noqa: ARG002 (the contract's; the paper's model does not ask who speaks)
        layout: Layout,
    ) -> BaseOutput:
        """See ``BaseModel.forward``."""
        dtype = self.reader.weight.dtype
        rows = torch.cat([encoded[modality].to(dtype) for modality in self.modalities], 1)
        with torch.autocast(rows.device.type, enabled=False):
            utterances = self.dropout(self.reader(rows).tanh())
            context = self._context(utterances, layout)
        hidden = utterances + context
        return BaseOutput(hidden=hidden, state=hidden, context=context)

    def _context(self, utterances: Tensor, layout: Layout) -> Tensor:
        """c [N, D] of the utterances u [N, D]."""
        windows = Windows.of(layout, self.window)
        steps = Steps.of(windows.layout)
        inputs = utterances.index_select(0, windows.rows[steps.rows])
        memories = self.dropout(inputs + self.fusion.walk(inputs.unsqueeze(0), steps).squeeze(0))
        weights = self._weights(utterances, steps.restore(memories), windows.layout)
        context = self.memory(memories, steps.arrange(weights), steps, windows.last)
        return torch.where(layout.time[:, None] > 0, context, 0)

    @staticmethod
    def _weights(utterances: Tensor, memories: Tensor, windows: Layout) -> Tensor:
        """a [R] of the utterances [N, D] as queries over the memories [R, D] of their windows."""
        scores = torch.bmm(windows.pad(memories), utterances.unsqueeze(2)).squeeze(2)
        return windows.pack(scores.masked_fill(~windows.mask, -torch.inf).softmax(1))
