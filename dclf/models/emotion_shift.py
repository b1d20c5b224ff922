"""The shift term of CFN-ESA, whose equations stand in ``cfn_esa``: have two utterances of a dialogue the same emotion?

K   labelled utterances of the batch   n   of one dialogue   H   width   S   width of the hidden layer
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dclf.data.batch import Batch
from dclf.losses.terms import Term
from dclf.models.contract import Auxiliary, BaseOutput, CrossEntropy
from dclf.models.dropout import dropout


class EmotionShift(Auxiliary):
    """The term ``shift``, of ``hidden`` and of ``auxiliary["again"]``, which differs from it by dropout alone.

    Args:
        width: H.
        inner: S.
        weight: of the term, above 0.
        share: q, share of the pairs whose emotions differ.
        dropout: dropout rate of e and e'.
        inner_dropout: dropout rate of the hidden layer.
    """

    def __init__(
        self, width: int, inner: int, *, weight: float, share: float, dropout: float, inner_dropout: float
    ) -> None:
        super().__init__()
        self.weights = {"shift": weight}
        self.rates = dropout, inner_dropout
        self.first = nn.Linear(width, inner)
        self.second = nn.Linear(width, inner, bias=False)
        self.output = nn.Linear(inner, 2)
        self.register_buffer("pair_weights", torch.tensor([0.5 / (1 - share), 0.5 / share]), persistent=False)

    def forward(
        self,
        output: BaseOutput,
        logits: Tensor,  # noqa: ARG002 - the contract's, as the next but one
        batch: Batch,
        cross_entropy: CrossEntropy,  # noqa: ARG002
    ) -> dict[str, Term]:
        """See ``Auxiliary.forward``."""
        firsts, seconds = self.halves(output)
        parts = (rows.split(batch.layout.lengths) for rows in (firsts, seconds, batch.labels))
        pairs = [(self.scores(first, second), labels) for first, second, labels in zip(*parts, strict=True)]
        scores = torch.cat([scores.flatten(0, 1) for scores, _ in pairs]).float()
        shifts = torch.cat([(labels[:, None] != labels).flatten() for _, labels in pairs]).long()
        weights = self.get_buffer("pair_weights").float()
        total = functional.cross_entropy(scores, shifts, weights, reduction="sum")
        return {"shift": Term(total, weights[shifts].sum())}

    def halves(self, output: BaseOutput) -> tuple[Tensor, Tensor]:
        """W_a e + b and W_b e', each [K, S]."""
        hidden, again = output.hidden.relu(), output.auxiliary["again"].relu()
        rate = self.rates[0]
        first: Tensor = self.first(dropout(hidden, rate, self.training))
        second: Tensor = self.second(dropout(again, rate, self.training))
        return first, second

    def scores(self, first: Tensor, second: Tensor) -> Tensor:
        """The scores [n, n, 2] of one dialogue's pairs, of its halves [n, S]: same emotion, another."""
        # Dropout before the ReLU is the same as after it, and what the ReLU keeps is then what the next layer keeps.
        inner = dropout(first[:, None] + second, self.rates[1], self.training).relu()
        scores: Tensor = self.output(inner)
        return scores
