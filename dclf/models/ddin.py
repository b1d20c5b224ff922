"""DDIN, also called BiDDIN (Zhang et al., 2020): one dialogue RNN per modality, attending to each other's history.

The recurrent core is in ``ddin_cell``; this file holds its parameters and what comes before and after it.

    N   utterances of the batch   M   modalities   D_m  encoder width   D_g  history   D_p  party   D_e  emotion width
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dclf.layout import Layout
from dclf.models.contract import BaseModel, BaseOutput
from dclf.models.ddin_cell import CellInputs, CellPlan, DDINWalk, turns
from dclf.models.dropout import keep_mask
from dclf.models.gru import StackedGRU
from dclf.models.options import require, require_rate, require_size
from dclf.models.parties import party_keys
from dclf.models.positions import positional_table
from dclf.models.steps import Steps

ORDER = ("text", "visual", "audio")
"""Order of the modalities in ``hidden``."""


@dataclass(frozen=True, kw_only=True)
class DDINConfig:
    """Hyperparameters of DDIN; the defaults are those of the original's IEMOCAP program.

    Attributes:
        encoder_width: D_m, width of the modality encoders.
        history_width: D_g, width of the dialogue's history; even.
        party_width: D_p, width of a speaker's state.
        emotion_width: D_e, width of the emotion state.
        decoder_width: D_h, width of the decoder's first layer, for each modality and direction.
        dropout: dropout rate of the three states.
    """

    encoder_width: int = 100
    history_width: int = 150
    party_width: int = 150
    emotion_width: int = 100
    decoder_width: int = 100
    dropout: float = 0.1

    def __post_init__(self) -> None:
        require_size(encoder_width=self.encoder_width, history_width=self.history_width)
        require_size(party_width=self.party_width, emotion_width=self.emotion_width)
        require_size(decoder_width=self.decoder_width)
        require(self.history_width % 2 == 0, "history_width", "even, sines and cosines in pairs", self.history_width)
        require_rate(dropout=self.dropout)


class DDIN(BaseModel):
    """DDIN on any subset of the modalities.

    ``state`` holds the emotion states e_m of the modalities present, in the order text, visual, audio; without
    ``causal`` those of a second cell, which reads the dialogue backwards, follow. ``hidden`` is a linear map of it, the
    first layer of the authors' classifier. ``context`` holds the forward cell's attention contexts c_m in the same
    order: row i depends on earlier rows and on utterance i (the query).
    """

    Config = DDINConfig

    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: DDINConfig) -> None:
        super().__init__(modalities, speaker_count, causal, config)
        self.modalities = tuple(m for m in ORDER if m in modalities)
        self.encoder_width = config.encoder_width
        states = len(self.modalities) * (1 if causal else 2)
        self.hidden_width, self.state_width = states * config.decoder_width, states * config.emotion_width
        self.context_width = len(self.modalities) * config.history_width
        self.cells = nn.ModuleList(DDINCell(len(self.modalities), config) for _ in range(1 if causal else 2))
        self.linear = nn.Linear(self.state_width, self.hidden_width)

    def forward(self, encoded: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> BaseOutput:
        """See ``BaseModel.forward``."""
        dtype = next(self.parameters()).dtype
        rows = torch.stack([encoded[modality].to(dtype) for modality in self.modalities], 1)
        keys = party_keys(layout, speakers)
        with torch.autocast(rows.device.type, enabled=False):
            emotions, contexts = zip(
                *(cell(rows, keys, Steps.of(layout, backwards=index == 1)) for index, cell in enumerate(self.cells)),
                strict=True,
            )
        state = torch.cat(emotions, 1)
        return BaseOutput(hidden=self.linear(state), state=state, context=contexts[0])


class DDINCell(nn.Module):
    """One direction's parameters and its walk, M modalities side by side.

    The original's score has a bias; a softmax over the histories does not see it, so there is none here. Its final
    gate (a softmax over one element) and its dropout of positions are left out as well.
    """

    def __init__(self, modalities: int, config: DDINConfig) -> None:
        super().__init__()
        width, encoder = config.history_width, config.encoder_width
        self.dropout = config.dropout
        self.encoder_width = encoder
        self.history = StackedGRU(modalities, encoder + config.party_width, width)
        self.party = StackedGRU(modalities, encoder + width, config.party_width)
        self.emotion = StackedGRU(modalities, config.party_width, config.emotion_width)
        self.transform = _uniform(encoder, modalities, encoder, modalities * width)
        self.score = _uniform(width, modalities, width)
        self.fuse = _uniform(modalities * width, modalities, modalities * width, width)
        self.fuse_bias = _uniform(modalities * width, modalities, 1, width)

    def forward(self, rows: Tensor, keys: Tensor, steps: Steps) -> tuple[Tensor, Tensor]:
        """Walk through the batch.

        Args:
            rows: [N, M, D_m], encoded utterances.
            keys: int64 [N], equal for the utterances of one speaker in one dialogue.
            steps: the walk.

        Returns:
            Emotion states [N, M D_e] and contexts [N, M D_g].
        """
        rows = steps.arrange(rows).transpose(0, 1)
        plan, inputs = self._plan(rows, keys, steps), self._inputs(rows)
        party, context = DDINWalk.apply(plan, *inputs.tensors)  # type: ignore[no-untyped-call]
        emotion = self.emotion.walk(party, steps, self._keep(party, self.emotion.state_weight.shape[1]))
        emotion, context = (steps.restore(t.transpose(0, 1).flatten(1)) for t in (emotion, context))
        return emotion, context

    def _inputs(self, rows: Tensor) -> CellInputs:
        """What the core computes from, the products with U done."""
        modalities, encoder, width = len(rows), self.encoder_width, self.score.shape[1]
        queries = torch.bmm(rows, self.transform).unflatten(2, (modalities, width)).permute(1, 2, 0, 3).contiguous()
        return CellInputs(
            history=torch.baddbmm(self.history.input_bias, rows, self.history.input_weight[:, :encoder]),
            party=torch.baddbmm(self.party.input_bias, rows, self.party.input_weight[:, :encoder]),
            queries=queries,
            history_party=self.history.input_weight[:, encoder:],
            history_state=self.history.state_weight,
            history_bias=self.history.state_bias,
            party_context=self.party.input_weight[:, encoder:],
            party_state=self.party.state_weight,
            party_bias=self.party.state_bias,
            score=self.score,
            fuse=self.fuse,
            fuse_bias=self.fuse_bias,
        )

    def _plan(self, rows: Tensor, keys: Tensor, steps: Steps) -> CellPlan:
        widths = self.history.state_weight.shape[1], self.party.state_weight.shape[1]
        keep_history, keep_party = (self._keep(rows, width) for width in widths)
        positions = positional_table(len(steps.sizes), widths[0]).to(rows)
        return CellPlan(steps, *turns(keys[steps.rows]), positions, keep_history, keep_party)

    def _keep(self, like: Tensor, width: int) -> Tensor | None:
        """A scaled dropout mask [M, N, width]; none in evaluation."""
        if not self.training or not self.dropout:
            return None
        return keep_mask((*like.shape[:2], width), self.dropout, like)


def _uniform(fan_in: int, *shape: int) -> nn.Parameter:
    bound = 1 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))
