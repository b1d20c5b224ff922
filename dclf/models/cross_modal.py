"""Cross-modal attention around a hub: the layer of CFN-ESA, whose equations stand in ``cfn_esa``.

N   utterances of the batch   H   width
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from dclf.layout import Layout
from dclf.models.attention import DialogueAttention, KeysValues
from dclf.models.dropout import dropout

Attend = Callable[[str, Tensor, Tensor], Tensor]
"""(name of an attention, rows that ask, rows that answer) -> what it says, all [N, H]."""


class CrossModalLayer(nn.Module):
    """Every modality attends to itself, then hub and spokes to each other.

    Args:
        modalities: the hub, then the spokes.
        width: H.
        heads: heads of each attention.
        causal: hear no later utterance.
        dropout: dropout rate.
    """

    def __init__(self, modalities: Sequence[str], width: int, heads: int, *, causal: bool, dropout: float) -> None:
        super().__init__()
        self.hub, *self.spokes = modalities
        self.dropout = dropout
        pairs = (
            [(m, m) for m in modalities] + [(self.hub, m) for m in self.spokes] + [(m, self.hub) for m in self.spokes]
        )
        self.attentions = nn.ModuleDict(
            {_asking_answering(*pair): DialogueAttention(width, heads, causal=causal) for pair in pairs}
        )
        self.joined = nn.Linear(len(self.spokes) * width, width) if self.spokes else None
        self.parts = nn.ModuleDict({m: ModalityPart(width, dropout=dropout) for m in modalities})

    def forward(self, rows: Mapping[str, Tensor], layout: Layout, passes: int = 1) -> dict[str, Tensor]:
        """Modality -> x_m [N, H] to modality -> x_m'.

        Args:
            rows: x_m.
            layout: which rows form which dialogue.
            passes: P, how often to go through the layer, each time with dropout of its own.

        Returns:
            x_m' [P N, H], pass after pass.
        """
        # No dropout stands before what a modality says to itself: it is the same in every pass.
        answers = self._to_itself(rows, self._within(layout))
        if passes > 1:
            rows, answers = ({m: x.repeat(passes, 1) for m, x in each.items()} for each in (rows, answers))
        return self._from_there(rows, answers, self._within(layout.repeat(passes)))

    def hear(
        self, rows: Mapping[str, Tensor], memory: Mapping[str, KeysValues]
    ) -> tuple[dict[str, Tensor], dict[str, KeysValues]]:
        """The next utterance, with ``causal``; name of an attention -> what it keeps, empty at the first."""
        keys_values: dict[str, KeysValues] = {}

        def attend(name: str, asking: Tensor, answering: Tensor) -> Tensor:
            answers: Tensor
            answers, keys_values[name] = self.attentions[name].hear(asking, answering, memory.get(name))  # type: ignore[operator]
            return answers

        return self._from_there(rows, self._to_itself(rows, attend), attend), keys_values

    def _within(self, layout: Layout) -> Attend:
        return lambda name, asking, answering: self.attentions[name](asking, answering, layout)

    def _to_itself(self, rows: Mapping[str, Tensor], attend: Attend) -> dict[str, Tensor]:
        return {m: attend(_asking_answering(m, m), x, x) for m, x in rows.items()}

    def _from_there(
        self, rows: Mapping[str, Tensor], answers: Mapping[str, Tensor], attend: Attend
    ) -> dict[str, Tensor]:
        """x_m' of x_m and of what each modality says to itself."""
        own = {m: self.parts[m].own(x, self._drop(answers[m])) for m, x in rows.items()}  # type: ignore[operator]
        crossed = self.crossed(own, attend)
        return {m: self.parts[m](x, own[m], crossed.get(m)) for m, x in rows.items()}

    def crossed(self, own: Mapping[str, Tensor], attend: Attend) -> dict[str, Tensor]:
        """Modality -> z_m of s_m, both [N, H]; none where a modality is alone."""
        if self.joined is None:
            return {}
        hub = own[self.hub]
        crossed = {m: self._drop(attend(_asking_answering(m, self.hub), own[m], hub)) for m in self.spokes}
        answers = [self._drop(attend(_asking_answering(self.hub, m), hub, own[m])) for m in self.spokes]
        return {**crossed, self.hub: self._drop(self.joined(torch.cat(answers, 1))).relu()}

    def _drop(self, rows: Tensor) -> Tensor:
        return dropout(rows, self.dropout, self.training)


class ModalityPart(nn.Module):
    """What a layer has for each modality beside the attentions: three norms, and a wide layer between two of them.

    Args:
        width: H.
        dropout: dropout rate.
    """

    def __init__(self, width: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.own_norm = nn.LayerNorm(width)
        self.cross_norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, 2 * width)
        self.outer = nn.Linear(2 * width, width)
        self.last_norm = nn.LayerNorm(width)

    def own(self, rows: Tensor, answers: Tensor) -> Tensor:
        """Return s_m of x_m and what it says of itself, all [N, H]."""
        normed: Tensor = self.own_norm(rows + answers)
        return normed

    def cross(self, rows: Tensor, own: Tensor, crossed: Tensor | None) -> Tensor:
        """Return c_m of x_m, s_m and z_m, all [N, H]."""
        normed: Tensor = self.cross_norm(rows + own if crossed is None else rows + own + crossed)
        return normed

    def forward(self, rows: Tensor, own: Tensor, crossed: Tensor | None) -> Tensor:
        """Return x_m' of x_m, s_m and z_m, all [N, H]."""
        normed = self.cross(rows, own, crossed)
        # Dropout before the ReLU is the same as after it, and what the ReLU keeps is then what the next layer keeps.
        inner = dropout(self.inner(normed), self.dropout, self.training).relu()
        changed = dropout(self.outer(inner), self.dropout, self.training)
        last: Tensor = self.last_norm(rows + normed + changed)
        return last


def _asking_answering(asking: str, answering: str) -> str:
    return f"{asking}_{answering}"
