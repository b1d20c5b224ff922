"""Whom an utterance of DAG-ERC hears: all since its speaker's own earlier utterance, and that one.

Walking back from utterance i, every utterance is a predecessor until the ``window``-th of i's own speaker, which is the
last one; all are where the speaker has fewer. Predecessors are therefore neighbours, first_i .. i-1, and there is one
for every i > 0.

    N   utterances of the batch   n_t  dialogues of step t (``steps``)   p_t  predecessors that step t looks at
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dclf.layout import Layout
from dclf.models.parties import party_keys
from dclf.models.steps import Steps


def first_predecessors(speakers: Tensor, layout: Layout, window: int) -> Tensor:
    """The place within its dialogue of each utterance's earliest predecessor; 0 for a first utterance, which has none.

    Args:
        speakers: int64 [N].
        layout: which rows form which dialogue.
        window: how many of the speaker's own utterances are heard at most, 1 or more.

    Returns:
        int64 [N].
    """
    turns = party_keys(layout, speakers)
    order = turns.argsort(stable=True)
    earlier, later = order[:-window], order[window:]
    same = turns[earlier] == turns[later]
    first = torch.zeros_like(speakers)
    first[later[same]] = layout.time[earlier[same]]
    return first


@dataclass(frozen=True, eq=False)
class StepPredecessors:
    """The predecessors of the n_t utterances of step t.

    Attributes:
        places: from the earliest predecessor of any of them up to t, p_t places.
        unheard: bool [n_t, p_t], true where an utterance does not hear that place.
        relations: [n_t, 2, p_t], 1 in the first row where that place has the utterance's speaker, 1 in the second where
            it has another, else 0.
    """

    places: slice
    unheard: Tensor
    relations: Tensor


@dataclass(frozen=True, eq=False)
class Predecessors:
    """The predecessors of a batch, step by step.

    Attributes:
        steps: the walk.
        each: those of each step.
    """

    steps: Steps
    each: tuple[StepPredecessors, ...]

    @classmethod
    def of(cls, speakers: Tensor, layout: Layout, window: int, like: Tensor) -> Predecessors:
        """The predecessors of a batch.

        Args:
            speakers: int64 [N].
            layout: which rows form which dialogue.
            window: as for ``first_predecessors``.
            like: has the dtype that ``relations`` get.
        """
        steps = Steps.of(layout)
        firsts = first_predecessors(speakers, layout, window)[steps.rows].split(steps.sizes)
        voices = speakers[steps.rows].split(steps.sizes)
        grid = layout.pad(speakers)[layout.length_tensor.argsort(descending=True, stable=True)]
        earliest = torch.stack([first.min() for first in firsts]).tolist()
        each = []
        for t, (begin, first, voice) in enumerate(zip(earliest, firsts, voices, strict=True)):
            places = slice(begin, t)
            unheard = torch.arange(begin, t, device=speakers.device) < first[:, None]
            own = grid[: len(voice), places] == voice[:, None]
            each.append(StepPredecessors(places, unheard, torch.stack((own, ~own), 1).to(like.dtype)))
        return cls(steps, tuple(each))
