"""CFN-ESA (Li et al., 2024): a recurrent encoder, cross-modal attention around the text, and a sense of emotion shifts.

Recurrent encoder, its layers shared by all modalities:

    y       = LN(x + drop(W_r GRU(x)))                              x = u^m [N, H] at first
    x'      = LN'(x + y + drop(W_2 drop(relu(W_1 y))))              W_1 [2H, H]

Cross-modal layer, weights of its own for each modality; b is the hub (the text), the others are spokes:

    s_m     = LN(x_m + drop(Att(x_m asks, x_m answers)))            see ``attention``
    z_m     = drop(Att(s_m asks, s_b answers))                      a spoke
    z_b     = drop(relu(W [drop(Att(s_b asks, s_m answers)) for every spoke m]))
    c_m     = LN1(x_m + s_m + z_m)                                  without z where a modality is alone
    x_m'    = LN2(x_m + c_m + drop(W_2 drop(relu(W_1 c_m))))

    h       = W_h [x_m for every m] + b_h                           what the decoder reads

Shift term, of all ordered pairs i, j of a dialogue, i = j included:

    e, e'   = drop(relu(h)), drop(relu(h'))                         h' a second pass of the cross-modal half
    p_ij    = softmax(W_o drop(relu(W_a e_i + W_b e'_j + b)) + b_o)     same emotion or another; W_a, W_b [S, H]
    shift   = - sum of v_t ln p_ij,t / sum of v_t, t the truth, v = 1 / (2 (1 - q)), 1 / (2 q)

    N   utterances of the batch   H   width   S   shift_width   q   share of the pairs whose emotions differ
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dclf.layout import Layout
from dclf.models.attention import KeysValues
from dclf.models.contract import Auxiliary, BaseModel, BaseOutput
from dclf.models.cross_modal import CrossModalLayer
from dclf.models.dialogue_gru import DialogueGRU
from dclf.models.dropout import dropout
from dclf.models.emotion_shift import EmotionShift
from dclf.models.history import pool_history
from dclf.models.options import require, require_rate, require_size

ORDER = ("text", "visual", "audio")
"""The order of the modalities; the first one present is the hub."""


@dataclass(frozen=True, kw_only=True)
class CFNESAConfig:
    """Hyperparameters of CFN-ESA; the defaults are its authors' for IEMOCAP.

    Attributes:
        width: H, of encoders, recurrent and cross-modal layers, and hidden states.
        recurrent_layers: how many.
        cross_layers: how many.
        heads: heads of each attention, which divide H.
        shift_width: S, width of the shift term's hidden layer.
        shift_weight: weight of the term ``shift``; 0 leaves it out, and its second pass.
        shift_share: q, share of the training data's pairs whose emotions differ.
        recurrent_dropout: dropout rate of the recurrent encoder.
        dropout: dropout rate of the cross-modal half and the decoder.
        shift_dropout: dropout rate of the shift term's hidden layer.
        recompute: compute the cross-modal layers again on the way back: a quarter more time, half the memory.
    """

    width: int = 512
    recurrent_layers: int = 2
    cross_layers: int = 5
    heads: int = 8
    shift_width: int = 128
    shift_weight: float = 1.0
    shift_share: float = 0.4364
    recurrent_dropout: float = 0.2
    dropout: float = 0.4
    shift_dropout: float = 0.05
    recompute: bool = False

    def __post_init__(self) -> None:
        require_size(width=self.width, heads=self.heads, shift_width=self.shift_width)
        require_size(recurrent_layers=self.recurrent_layers, cross_layers=self.cross_layers)
        require(self.width % self.heads == 0, "width", f"a multiple of heads, {self.heads}", self.width)
        require(0 <= self.shift_weight < math.inf, "shift_weight", "0 or more", self.shift_weight)
        require(0 < self.shift_share < 1, "shift_share", "in (0, 1)", self.shift_share)
        require(isinstance(self.recompute, bool), "recompute", "true or false", self.recompute)
        require_rate(recurrent_dropout=self.recurrent_dropout, dropout=self.dropout, shift_dropout=self.shift_dropout)


@dataclass(frozen=True, eq=False)
class CFNESAMemory:
    """A conversation so far.

    Attributes:
        states: of each recurrent layer, see ``DialogueGRU.hear``.
        keys_values: of each cross-modal layer, name of an attention -> what it keeps.
    """

    states: Sequence[tuple[Tensor, ...]]
    keys_values: Sequence[Mapping[str, KeysValues]]


class CFNESA(BaseModel):
    """CFN-ESA on any subset of the modalities; speakers are unknown to it.

    ``hidden`` = ``state`` is h; ``context`` pools the states of earlier utterances (``history.pool_history``). The hub
    is the text, else the visual modality. With ``causal`` the GRU reads forwards only and no attention hears later
    utterances; nothing else mixes time.
    """

    Config = CFNESAConfig
    streams = True

    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: CFNESAConfig) -> None:
        super().__init__(modalities, speaker_count, causal, config)
        self.modalities = tuple(m for m in ORDER if m in modalities)
        self.config = config
        self.encoder_width = self.hidden_width = self.state_width = self.context_width = config.width
        self.recurrent = nn.ModuleList(
            RecurrentLayer(config.width, causal=causal, dropout=config.recurrent_dropout)
            for _ in range(config.recurrent_layers)
        )
        self.cross = nn.ModuleList(
            CrossModalLayer(self.modalities, config.width, config.heads, causal=causal, dropout=config.dropout)
            for _ in range(config.cross_layers)
        )
        self.joined = nn.Linear(len(self.modalities) * config.width, config.width)

    def auxiliary(self, class_names: Sequence[str]) -> Auxiliary | None:  # noqa: ARG002 - a shift has no class
        """See ``BaseModel.auxiliary``."""
        config = self.config
        if not config.shift_weight:
            return None
        return EmotionShift(
            config.width,
            config.shift_width,
            weight=config.shift_weight,
            share=config.shift_share,
            dropout=config.dropout,
            inner_dropout=config.shift_dropout,
        )

    def forward(
        self,
        encoded: Mapping[str, Tensor],
        speakers: Tensor,  # noqa: ARG002 - the contract's; the model does not ask who speaks
        layout: Layout,
    ) -> BaseOutput:
        """See ``BaseModel.forward``."""
        # The modalities are dialogues of their own to the encoder that they share.
        several = layout.repeat(len(self.modalities))
        rows = self._encode(encoded, lambda layer, x: layer(x, several))
        shifts = self.config.shift_weight > 0
        differs = shifts and self.training and self.config.dropout > 0
        passes = self._fuse(rows, layout, 2 if differs else 1).split(layout.utterances)
        hidden, auxiliary = passes[0], {"again": passes[-1]} if shifts else {}
        return BaseOutput(hidden=hidden, state=hidden, context=pool_history(hidden, layout), auxiliary=auxiliary)

    def hear(
        self,
        encoded: Mapping[str, Tensor],
        speaker: Tensor,  # noqa: ARG002 - the contract's
        memory: CFNESAMemory | None,
    ) -> tuple[Tensor, CFNESAMemory]:
        """See ``BaseModel.hear``."""
        before = iter([None] * len(self.recurrent) if memory is None else memory.states)
        states: list[tuple[Tensor, ...]] = []

        def recur(layer: RecurrentLayer, x: Tensor) -> Tensor:
            x, after = layer.hear(x, next(before))
            states.append(after)
            return x

        rows, heard = self._encode(encoded, recur), []
        for number, layer in enumerate(self.cross):
            rows, keys_values = layer.hear(rows, {} if memory is None else memory.keys_values[number])  # type: ignore[operator]
            heard.append(keys_values)
        return self._join(rows), CFNESAMemory(states, heard)

    def _encode(
        self, encoded: Mapping[str, Tensor], recur: Callable[[RecurrentLayer, Tensor], Tensor]
    ) -> dict[str, Tensor]:
        """Modality -> what the recurrent encoder says of it, [N, H]; ``recur`` runs a layer over all, [M N, H]."""
        dtype = self.joined.weight.dtype
        rows = torch.cat([encoded[m].to(dtype) for m in self.modalities])
        for layer in self.recurrent:
            rows = recur(layer, rows)  # type: ignore[arg-type]
        return dict(zip(self.modalities, rows.chunk(len(self.modalities)), strict=True))

    def _fuse(self, rows: Mapping[str, Tensor], layout: Layout, passes: int) -> Tensor:
        """h [P N, H] of P passes of the cross-modal half, which go through it side by side."""
        each = [(layout, passes)] + [(layout.repeat(passes), 1)] * (len(self.cross) - 1)
        for layer, arguments in zip(self.cross, each, strict=True):
            again = self.config.recompute and self.training
            rows = checkpoint(layer, rows, *arguments, use_reentrant=False) if again else layer(rows, *arguments)
        return self._join(rows)

    def _join(self, rows: Mapping[str, Tensor]) -> Tensor:
        joined: Tensor = self.joined(torch.cat([rows[m] for m in self.modalities], 1))
        return joined


class RecurrentLayer(nn.Module):
    """One layer of the recurrent encoder, x to x'.

    Args:
        width: H, also of each direction.
        causal: read forwards only.
        dropout: dropout rate.
    """

    def __init__(self, width: int, *, causal: bool, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.gru = DialogueGRU(width, width, layers=1, bidirectional=not causal)
        self.narrow = nn.Linear(self.gru.directions * width, width)
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, 2 * width)
        self.outer = nn.Linear(2 * width, width)
        self.last_norm = nn.LayerNorm(width)

    def forward(self, rows: Tensor, layout: Layout) -> Tensor:
        """Rows [N, H] -> [N, H]."""
        return self._after(rows, self.gru(rows, layout))

    def hear(self, rows: Tensor, states: tuple[Tensor, ...] | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The next utterance, see ``DialogueGRU.hear``; its modalities are rows [M, H]."""
        read, states = self.gru.hear(rows, states)
        return self._after(rows, read), states

    def _after(self, rows: Tensor, read: Tensor) -> Tensor:
        """x' of x [N, H] and what the GRU says of it."""
        normed = self.norm(rows + self._drop(self.narrow(read)))
        # Dropout before the ReLU is the same as after it, and what the ReLU keeps is then what the next layer keeps.
        changed = self._drop(self.outer(self._drop(self.inner(normed)).relu()))
        last: Tensor = self.last_norm(rows + normed + changed)
        return last

    def _drop(self, rows: Tensor) -> Tensor:
        return dropout(rows, self.dropout, self.training)
