"""What each utterance has behind it: the up to K utterances before it, as a sequence of its own.

N   utterances of the batch   R   rows of all windows   K   window
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dclf.layout import Layout


@dataclass(frozen=True, eq=False)
class Windows:
    """The N windows of a batch, packed one after the other.

    The first utterance of a dialogue has nothing behind it; its window holds the utterance itself, so that none is
    empty, and whoever reads the windows has to put zero there.

    Attributes:
        layout: which rows form which window.
        rows: int64 [R], the utterance at each row.
        last: int64 [N], the last row of each window.
    """

    layout: Layout
    rows: Tensor
    last: Tensor

    @classmethod
    def of(cls, layout: Layout, size: int) -> Windows:
        """The windows of up to ``size`` utterances."""
        lengths = layout.time.clamp(1, size)
        windows = Layout.of(lengths.tolist(), layout.device)
        begins = torch.arange(layout.utterances, device=layout.device) - layout.time.clamp(max=size)
        return cls(windows, begins[windows.dialogue_of] + windows.time, windows.starts + lengths - 1)
