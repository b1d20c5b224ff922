"""Times as people say them."""

from __future__ import annotations

import math


def spoken(seconds: float) -> str:
    """``0.4 s``, ``48 s``, ``2:03 min`` or ``1:02:03 h``; a dash where it is not known."""
    if math.isnan(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h" if hours else f"{minutes}:{rest:02d} min"
