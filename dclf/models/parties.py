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
        ordered, rows = party_keys(layout, speakers).sort(stable=True)
        _, lengths = ordered.unique_consecutive(return_counts=True)
        return cls(Layout.of(lengths.tolist(), layout.device), rows, rows.argsort())


def party_keys(layout: Layout, speakers: Tensor) -> Tensor:
    """A number for each speaker of each dialogue, int64 [N]: equal where both are, and growing with the dialogue.

    Args:
        layout: which rows form which dialogue.
        speakers: int64 [N], 0 or more.
    """
    return layout.dialogue_of * (speakers.max() + 1) + speakers
