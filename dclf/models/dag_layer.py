"""A layer of DAG-ERC (Shen et al., 2021): attention over predecessors within the layer itself, and two GRU cells.

With X the layer below and j the predecessors of i (``predecessors``), utterances in order:

    a_ij  = softmax over j of w . H_j
    p_ir  = sum over j of relation r of a_ij H_j       r: j has the speaker of i, or another
    M_i   = V_same p_i,same + V_other p_i,other        [H], the message; zero for the first utterance
    H_i   = GRU_n(input X_i, state M_i) + GRU_c(input M_i, state X_i)

    N   utterances of the batch, in the order of the walk (``steps``)   H   width   p   predecessors of an utterance

GRU_n is the paper's nodal information unit, GRU_c its contextual one. What does not depend on the recurrence, X's share
of both, is computed for all rows at once; ``dag_walk`` does the rest.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dclf.models.dag_walk import DAGWalk, LayerInputs
from dclf.models.predecessors import Predecessors


class DAGLayer(nn.Module):
    """Parameters of a layer, its walk and its single step.

    Args:
        width: H.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.key = nn.Linear(width, 1, bias=False)
        self.same = nn.Linear(width, width, bias=False)
        self.other = nn.Linear(width, width, bias=False)
        self.nodal = nn.GRUCell(width, width)
        self.contextual = nn.GRUCell(width, width)

    def forward(self, below: Tensor, predecessors: Predecessors) -> tuple[Tensor, Tensor]:
        """Walk through the batch.

        Args:
            below: X [N, H].
            predecessors: of every utterance, with the walk.

        Returns:
            H [N, H] and M [N, H].
        """
        nodal, contextual = self.nodal, self.contextual
        inputs = LayerInputs(
            below=below,
            nodal=functional.linear(below, nodal.weight_ih, nodal.bias_ih),
            contextual=functional.linear(below, contextual.weight_hh, contextual.bias_hh),
            nodal_weight=nodal.weight_hh.T,
            nodal_bias=nodal.bias_hh,
            contextual_weight=contextual.weight_ih.T,
            contextual_bias=contextual.bias_ih,
            relations=torch.cat((self.same.weight, self.other.weight), 1).T,
            key=self.key.weight[0],
        )
        return DAGWalk.apply(predecessors, *inputs.tensors)  # type: ignore[no-any-return, no-untyped-call]

    def step(self, below: Tensor, past: Tensor, own: Tensor) -> Tensor:
        """H [1, H] of one utterance.

        Args:
            below: X [1, H].
            past: [p, H], H of its predecessors, none for a first utterance.
            own: bool [p], which of them have its speaker.
        """
        shares = self.key(past).softmax(0) * past
        message = self.same(shares[own].sum(0, keepdim=True)) + self.other(shares[~own].sum(0, keepdim=True))
        state: Tensor = self.nodal(below, message) + self.contextual(message, below)
        return state
