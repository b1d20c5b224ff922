"""The form in which a command shows its progress: live, plain lines, JSON lines or none."""

from __future__ import annotations

import os
import sys

from tune.progress.json_lines import JsonLines
from tune.progress.lines import Lines
from tune.progress.renderer import Renderer


def choose_renderer(log: str, *, quiet: bool, title: str = "dclf") -> Renderer:
    """Return the renderer that ``--log`` and ``--quiet`` ask for; on ``auto`` the one that stderr can show.

    Args:
        log: auto, live, plain, jsonl or quiet.
        quiet: whatever ``log`` says, show nothing.
        title: of the live panel until something has started.
    """
    if log == "auto":
        # rich draws no panel on such terminals.
        dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
        log = "live" if sys.stderr.isatty() and not dumb else "plain"
    if quiet or log == "quiet":
        return Renderer()
    if log == "live":
        # rich is only needed on a terminal.
        from tune.progress.live import LivePanel  # noqa: PLC0415

        return LivePanel(title)
    return JsonLines() if log == "jsonl" else Lines()
