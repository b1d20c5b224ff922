"""What a perturbation test shows while it goes on: plain lines, JSON lines, or nothing; ``perturb_live`` moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from tune.analysis.perturbation.view import NoPerturbationView
from tune.commands.view_forms import JsonLines, Lines, Quiet
from tune.commands.views import percent


class QuietPerturbationView(Quiet, NoPerturbationView):
    """Says nothing; also the ground on which the other views stand."""


class PlainPerturbationView(Lines, QuietPerturbationView):
    """A line per condition, for terminals that cannot redraw and for log files."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._done, self._total = 0, 0

    def started(self, title: str, lines: Sequence[str], total: int) -> None:
        """Name model, data and run."""
        self._total = total
        self._say(title, *lines)

    def scored(self, name: str, wf1: float) -> None:
        """The condition and its WF1."""
        self._done += 1
        self._say(f"{self._done}/{self._total}  {name}  WF1 {percent(wf1)}")


class JsonLinesPerturbationView(JsonLines, QuietPerturbationView):
    """One JSON object per event, each with the key ``event``: started, scored or failed."""

    def started(self, title: str, lines: Sequence[str], total: int) -> None:
        """Write what is tested, and how many conditions there are."""
        self._write("started", title=title, lines=list(lines), conditions=total)

    def scored(self, name: str, wf1: float) -> None:
        """Write the condition and its WF1."""
        self._write("scored", condition=name, wf1=wf1)
