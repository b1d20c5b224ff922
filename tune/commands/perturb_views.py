"""What a perturbation test shows while it goes on: plain lines, JSON lines, or nothing; ``perturb_live`` moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from tune.commands.options import chosen_log
from tune.commands.view_forms import JsonLines, Lines, Quiet
from tune.commands.views import percent
from tune.perturbed.view import NoPerturbationView


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


def choose_perturbation_view(log: str, *, quiet: bool) -> QuietPerturbationView:
    """The view that the options ask for, and on `auto` the one that stderr can show."""
    chosen = chosen_log(log, quiet=quiet)
    if chosen == "live":
        # rich is only needed on a terminal.
        from tune.commands.perturb_live import RichPerturbationView  # noqa: PLC0415

        return RichPerturbationView()
    kinds: dict[str, type[QuietPerturbationView]] = {
        "plain": PlainPerturbationView,
        "jsonl": JsonLinesPerturbationView,
    }
    return kinds.get(chosen, QuietPerturbationView)()
