"""DialogueRNN (Majumder et al., 2019): a state for the dialogue, one for each party, one for the emotion.

Per utterance u_t of speaker s, with q the party states, all states zero before the first utterance:

    g_t     = GRU_G([u_t, q_s before], g_t-1)                          [D_g], the global state
    alpha   = softmax over k < t of u_t W g_k
    c_t     = sum over k < t of alpha_k g_k, zero at the first         [D_g], the context
    q_s     = GRU_P([u_t, c_t], q_s before)                            [D_p]
    q_i     = q_i before, or GRU_L([u_t, c_t], q_i before), i other than s
    e_t     = GRU_E(q_s, e_t-1)                                        [D_e], the emotion state

    N   utterances of the batch   M   modalities   E   encoder width   S   speakers   n   dialogues of a step
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dclf.data.dialogue import MODALITIES
from dclf.layout import Layout
from dclf.models.contract import BaseModel, BaseOutput
from dclf.models.dropout import dropout, keep_mask
from dclf.models.gru import StackedGRU
from dclf.models.options import require, require_rate, require_size
from dclf.models.steps import Steps


@dataclass(frozen=True, kw_only=True)
class DialogueRNNConfig:
    """Hyperparameters of DialogueRNN; the widths are those of DDIN, which runs one DialogueRNN per modality.

    Attributes:
        encoder_width: E, width of the modality encoders.
        history_width: D_g, width of the global state.
        party_width: D_p, width of a party's state.
        emotion_width: D_e, width of the emotion state.
        decoder_width: D_h, width of the decoder's first layer, for each direction.
        listener: update the states of those who listen too, by a GRU of their own.
        dropout: dropout rate of the states.
    """

    encoder_width: int = 100
    history_width: int = 150
    party_width: int = 150
    emotion_width: int = 100
    decoder_width: int = 100
    listener: bool = False
    dropout: float = 0.1

    def __post_init__(self) -> None:
        require_size(encoder_width=self.encoder_width, history_width=self.history_width)
        require_size(party_width=self.party_width, emotion_width=self.emotion_width)
        require_size(decoder_width=self.decoder_width)
        require(isinstance(self.listener, bool), "listener", "true or false", self.listener)
        require_rate(dropout=self.dropout)


class DialogueRNN(BaseModel):
    """DialogueRNN on any subset of the modalities: u_t is their encoded features side by side, as in its paper.

    ``state`` is the emotion state e; without ``causal`` that of a second cell, which reads the dialogue backwards,
    follows (the paper's BiDialogueRNN). ``hidden`` is the linear map of it that the paper's classifier puts before its
    ReLU. ``context`` is the forward cell's c: row i reads earlier rows, and
    utterance i as the query. The paper's listeners are seen by a camera of their own; no data here has one, so GRU_L
    reads u_t for it, and c_t; the authors' program gives it u_t and the speaker's new state. That program drops the
    emotion states a second time in front of the classifier, which is left out.
    """

    Config = DialogueRNNConfig
    streams = True

    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: DialogueRNNConfig) -> None:
        super().__init__(modalities, speaker_count, causal, config)
        self.modalities = tuple(m for m in MODALITIES if m in modalities)
        self.encoder_width = config.encoder_width
        directions = 1 if causal else 2
        self.hidden_width, self.state_width = directions * config.decoder_width, directions * config.emotion_width
        self.context_width = config.history_width
        width = len(self.modalities) * config.encoder_width
        self.cells = nn.ModuleList(DialogueRNNCell(width, speaker_count, config) for _ in range(directions))
        self.linear = nn.Linear(self.state_width, self.hidden_width)

    def forward(self, encoded: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> BaseOutput:
        """See ``BaseModel.forward``."""
        rows = self._rows(encoded)
        with torch.autocast(rows.device.type, enabled=False):
            walks = [Steps.of(layout, backwards=backwards) for backwards in (False, True)[: len(self.cells)]]
            walked = [cell(rows, speakers, steps) for cell, steps in zip(self.cells, walks, strict=True)]
        emotions, contexts = zip(*walked, strict=True)
        state = torch.cat(emotions, 1)
        return BaseOutput(hidden=self.linear(state), state=state, context=contexts[0])

    def hear(self, encoded: Mapping[str, Tensor], speaker: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
        """See ``BaseModel.hear``."""
        cell: DialogueRNNCell = self.cells[0]  # type: ignore[assignment]
        row = self._rows(encoded)
        with torch.autocast(row.device.type, enabled=False):
            states = cell.beginning(row, 1) if memory is None else memory.states
            party, _, states = cell.turn(row, cell.query(row), speaker, states)
            emotion = cell.emotion.step(party.unsqueeze(0), None if memory is None else memory.emotion)
        return self.linear(emotion[0]), Memory(states, emotion)

    def _rows(self, encoded: Mapping[str, Tensor]) -> Tensor:
        """u [N, M E]."""
        dtype = self.linear.weight.dtype
        return torch.cat([encoded[modality].to(dtype) for modality in self.modalities], 1)


@dataclass(frozen=True, eq=False)
class States:
    """What n dialogues have come to.

    Attributes:
        past: g of every utterance so far, [n, t, D_g].
        parties: q [n, S, D_p].
    """

    past: Tensor
    parties: Tensor


@dataclass(frozen=True, eq=False)
class Memory:
    """What a session remembers.

    Attributes:
        states: of its one dialogue.
        emotion: e [1, 1, D_e].
    """

    states: States
    emotion: Tensor


class DialogueRNNCell(nn.Module):
    """One direction's parameters and its walk.

    Args:
        width: M E, width of an utterance.
        speakers: S.
        config: the model's hyperparameters.
    """

    def __init__(self, width: int, speakers: int, config: DialogueRNNConfig) -> None:
        super().__init__()
        history, party = config.history_width, config.party_width
        self.speakers = speakers
        self.dropout = config.dropout
        self.history = nn.GRUCell(width + party, history)
        self.query = nn.Linear(width, history, bias=False)
        self.party = nn.GRUCell(width + history, party)
        self.listener = nn.GRUCell(width + history, party) if config.listener else None
        self.emotion = StackedGRU(1, party, config.emotion_width)

    def forward(self, rows: Tensor, speakers: Tensor, steps: Steps) -> tuple[Tensor, Tensor]:
        """Walk through the batch.

        Args:
            rows: [N, M E], utterances.
            speakers: int64 [N].
            steps: the walk.

        Returns:
            Emotion states [N, D_e] and contexts [N, D_g].
        """
        rows, speakers = steps.arrange(rows), speakers[steps.rows]
        party, context = self._walk(rows, speakers, steps)
        shape = (1, len(rows), self.emotion.state_weight.shape[1])
        keep = keep_mask(shape, self.dropout, rows) if self.training and self.dropout else None
        emotion = self.emotion.walk(party.unsqueeze(0), steps, keep).squeeze(0)
        return steps.restore(emotion), steps.restore(context)

    def _walk(self, rows: Tensor, speakers: Tensor, steps: Steps) -> tuple[Tensor, Tensor]:
        """The speaker's state after each turn [N, D_p] and the contexts [N, D_g], in the order of the walk."""
        states = self.beginning(rows, steps.sizes[0])
        speaker_states, contexts = [], []
        views = zip(*(part.split(steps.sizes) for part in (rows, self.query(rows), speakers)), strict=True)
        for utterance, query, speaker in views:
            # Dialogues are sorted by length: those still running are the first ones.
            running = States(*(part[: len(utterance)] for part in (states.past, states.parties)))
            after, context, states = self.turn(utterance, query, speaker, running)
            speaker_states.append(after)
            contexts.append(context)
        return torch.cat(speaker_states), torch.cat(contexts)

    def beginning(self, like: Tensor, count: int) -> States:
        """What stands before the first utterance of ``count`` dialogues."""
        past = like.new_zeros(count, 0, self.history.hidden_size)
        return States(past, like.new_zeros(count, self.speakers, self.party.hidden_size))

    def turn(self, utterance: Tensor, query: Tensor, speaker: Tensor, states: States) -> tuple[Tensor, Tensor, States]:
        """One utterance of n dialogues.

        Args:
            utterance: u [n, M E].
            query: W u [n, D_g].
            speaker: int64 [n].
            states: before it.

        Returns:
            The speaker's state after it [n, D_p], the context [n, D_g], and the states after it.
        """
        past, parties = states.past, states.parties
        state = past[:, -1] if past.shape[1] else past.new_zeros(len(past), past.shape[2])
        before = parties.take_along_dim(speaker[:, None, None], 1).squeeze(1)
        context = attend(query, past)
        state = self._drop(self.history(torch.cat((utterance, before), 1), state))
        heard = torch.cat((utterance, context), 1)
        after = self._drop(self.party(heard, before))
        own = torch.arange(self.speakers, device=speaker.device) == speaker[:, None]
        parties = torch.where(own.unsqueeze(2), after.unsqueeze(1), self._listen(heard, parties))
        return after, context, States(torch.cat((past, state.unsqueeze(1)), 1), parties)

    def _listen(self, heard: Tensor, parties: Tensor) -> Tensor:
        """Party states [n, S, D_p] after an utterance and its context [n, M E + D_g], as if all had listened."""
        if self.listener is None:
            return parties
        each = heard.repeat_interleave(self.speakers, 0)
        return self._drop(self.listener(each, parties.flatten(0, 1)).view_as(parties))

    def _drop(self, state: Tensor) -> Tensor:
        return dropout(state, self.dropout, self.training)


def attend(query: Tensor, past: Tensor) -> Tensor:
    """Attention of queries [n, D_g] over the earlier states [n, t, D_g] -> [n, D_g], zero where t is 0."""
    weights = torch.bmm(past, query.unsqueeze(2)).softmax(1)
    return torch.bmm(weights.transpose(1, 2), past).squeeze(1)
