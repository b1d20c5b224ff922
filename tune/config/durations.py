"""Durations as people write them, ``90min``, ``12h``, ``1h30min``, and as they read them."""

from __future__ import annotations

import math
import re

SECONDS = {"d": 86400, "h": 3600, "min": 60, "m": 60, "s": 1}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s)\s*")


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``1h30min`` or ``45s``.

    Raises:
        ValueError: it is none, or nothing at all.
    """
    parts = list(_PART.finditer(text.strip()))
    if not parts or "".join(part[0] for part in parts) != text.strip():
        raise ValueError(f"must be a duration such as 90min, 12h or 1h30min, is {text!r}")
    total = sum(float(part[1]) * SECONDS[part[2]] for part in parts)
    if total <= 0:
        raise ValueError(f"must be longer than nothing, is {text!r}")
    if math.isinf(total):
        raise ValueError("must be a length that a clock can measure, is beyond; give no time where there is no limit")
    return total


def duration(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def duration_text(seconds: float) -> str:
    """``0.4 s``, ``48 s``, ``2:03 min`` or ``1:02:03 h``; a dash where it is not known."""
    if math.isnan(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{duration(seconds)} {'h' if round(seconds) >= 3600 else 'min'}"
