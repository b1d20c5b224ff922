"""The live panel on a terminal, redrawn in place; what is printed scrolls above it and stays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.spinner import Spinner
from rich.text import Text

from dclf.training.reports import EpochReport
from tune.config.durations import duration
from tune.progress.live_parts import condition_rows, epoch_rows, extraction_row
from tune.progress.live_study import StudyRows
from tune.progress.renderer import Renderer
from tune.progress.state import Clock, StudyState
from tune.progress.texts import (
    budget_text,
    counts_text,
    restart_text,
    run_headline,
    score_lines,
    study_headline,
)
from tune.study import events


class Screen(Protocol):
    """Shows the panel as it stands, now and then and when it is told."""

    def start(self) -> None:
        """Show it from now on."""

    def refresh(self) -> None:
        """Show it as it is now."""

    def stop(self) -> None:
        """End it."""


class LivePanel(Renderer):
    """How far the work is, its latest scores, time spent and left; it is there inside the ``with``.

    Args:
        title: until something has started.
        console: where to draw; stderr where None.
        now: seconds, monotonic.
    """

    def __init__(
        self, title: str = "dclf", console: Console | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console or Console(stderr=True)
        self._now = now
        self._title = title
        self._begin()
        self._live = self._screen()

    def _screen(self) -> Screen:
        """Where the panel is drawn."""
        # Drawn once right here: what it shows must be there before.
        return Live(get_renderable=self.render, console=self._console, transient=True, refresh_per_second=4)

    def _begin(self) -> None:
        """Forget the last piece of work; of the next one nothing is known yet."""
        # First, as another thread may draw meanwhile.
        self._last: events.ConditionScored | None = None
        self._extracted: events.ExtractionProgress | None = None
        self._start_time = self._scoring = self._now()
        self._waiting = "starting"
        self._clock = Clock()
        self._report: EpochReport | None = None
        self._state = StudyState(self._now)
        self._trials = StudyRows(self._state, self._console)
        self._conditions, self._scored = 0, 0

    def __enter__(self) -> Self:
        super().__enter__()
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the panel away; of a study a line of counts stays."""
        self._live.stop()
        super().__exit__(kind, error, trace)
        self._leave_counts()

    def show(self, event: events.Event) -> None:
        """Print what stays, and show the rest in the panel."""
        match event:
            case events.RunStarted():
                self._title = run_headline(event.config, event.name, event.run_id)
                self._head(self._title, event.plan, "waiting for the first epoch")
            case events.EpochEnded(report):
                self._clock.add(report)
                self._report = report
                self._waiting = "scoring the test split" if report.epoch == report.epochs else ""
                self._live.refresh()
            case events.WorkersRestarted(count):
                self._print(restart_text(count), style="yellow")
            case events.RunFinished(final):
                self._waiting = "closing the run"
                self._print(*score_lines(final))
            case events.PerturbationStarted():
                self._title, self._conditions, self._scoring = event.title, event.total, self._now()
                self._head(event.title, event.lines, "scoring the raw dialogues")
            case events.ConditionScored():
                self._scored, self._last = self._scored + 1, event
                self._waiting = "" if self._scored < self._conditions else "writing the results"
                self._live.refresh()
            case events.ExtractionStarted():
                self._title, self._extracted = event.title, None
                self._head(event.title, event.lines, "waiting for the first rows")
            case events.ExtractionProgress():
                self._extracted = event
                self._waiting = "" if event.done < event.total else "going on"
                self._live.refresh()
            case events.ReproductionStudy():
                self._leave_counts()
                self.study = None
                self._begin()
                self.say("", f"{event.paper}: {event.title}")
            case _:
                self._show_study(event)

    def _show_study(self, event: events.Event) -> None:
        state = self._state
        state.update(event)
        match event:
            case events.StudyStarted():
                self._title = f"study {state.name} · {budget_text(state.settings)}"
                self._head(study_headline(event.folder, event.run_id), event.plan, "waiting for the first trial")
            case events.TrialChanged():
                self._waiting = "" if state.running or state.waiting else "writing the report"
            case events.StudyFinished():
                self._waiting = "closing the study"

    def note(self, text: str) -> None:
        """Print the message above the panel."""
        self._print(text, style="cyan")

    def say(self, *lines: str) -> None:
        """Print lines above the panel."""
        self._print(*lines)

    def render(self) -> RenderableType:
        """Return the panel as it stands."""
        title = Text(self._title, overflow="ellipsis", no_wrap=True)
        return Panel(Group(*self._parts()), title=title, title_align="left")

    def _parts(self) -> Iterator[RenderableType]:
        spent = self._now() - self._start_time
        if self._report is not None:
            yield from epoch_rows(self._report, spent, self._clock.seconds_left)
        yield from self._trials.rows()
        if self._last is not None:
            left = (self._now() - self._scoring) / self._scored * (self._conditions - self._scored)
            yield from condition_rows(self._last, self._scored, self._conditions, spent, left)
        if self._extracted is not None:
            yield extraction_row(self._extracted, spent)
        if self._waiting:
            yield Spinner("dots", text=f"{self._waiting}, {duration(spent)}")

    def _head(self, headline: str, lines: Sequence[str], waiting: str) -> None:
        """Print what begins and its plan, and say what is waited for."""
        self._waiting = waiting
        self._print(headline, style="bold")
        self._print(*lines, style="dim")

    def _leave_counts(self) -> None:
        if self.study is not None:
            self._print(f"{counts_text(self._state)}; {duration(self._state.spent)} spent")

    def _print(self, *lines: str, style: str = "") -> None:
        for line in lines:
            self._console.print(Text(line, style=style))
