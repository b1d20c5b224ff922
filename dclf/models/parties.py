"""What each party of a dialogue says, as a sequence of its own.

N   utterances of the batch
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dclf.layout import Layout


@dataclass(frozen=True, eq=False)
class Parties:
    """The sequences of a batch, packed one after the other: dialogue after dialogue, in it speaker after speaker.

    Attributes:
        layout: which rows form which sequence.
        rows: int64 [N], the utterance at each row.
        places: int64 [N], the row of each utterance: the inverse of ``rows``.
    """

    layout: Layout
    rows: Tensor
    places: Tensor

    @classmethod
    def of(cls, layout: Layout, speakers: Tensor) -> Parties:
        """Of the dialogues of ``layout``, whose utterances are by ``speakers``, int64 [N], 0 or more."""
        party = layout.dialogue_of * (speakers.max() + 1) + speakers
        ordered, rows = party.sort(stable=True)
        _, lengths = ordered.unique_consecutive(return_counts=True)
        return cls(Layout.of(lengths.tolist(), layout.device), rows, rows.argsort())
