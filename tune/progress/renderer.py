"""What all forms of showing a command's progress share; by itself the form that shows nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from tune.progress.log_messages import messages_to
from tune.progress.texts import stages_text
from tune.study.events import FIRST_BATCH, Event, RunFinished, RunStarted, StageEnded, StudyFinished, StudyStarted


class Renderer:
    """Shows nothing; the base of the forms that do, and a listener of events.

    Inside the ``with`` log messages go to ``note``. Results are printed by the command on stdout; renderers write to
    stderr, save for JSON lines, which are made to be piped.

    Attributes:
        run: the run that has started; None before.
        study: the study that has started last; None before.
        run_finished: whether that run is scored, so that there is nothing to go on with.
    """

    run: RunStarted | None = None
    study: StudyStarted | None = None
    run_finished: bool = False
    _stages: tuple[StageEnded, ...] = ()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(messages_to(self.note))
            self._messages = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was; log messages go where they went before."""
        self._messages.close()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, RunStarted):
            self.run, self.run_finished = event, False
        elif isinstance(event, RunFinished):
            self.run_finished = True
        elif isinstance(event, StudyStarted):
            self.study = event
        self._follow_start(event)
        self.show(event)

    def show(self, event: Event) -> None:
        """Show an event in this form."""

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Measure the imports inside the ``with``, as the first stage of the start; no event, as nothing has begun."""
        began = time.monotonic()
        yield
        self._stages = (*self._stages, StageEnded("libraries", time.monotonic() - began))

    def _follow_start(self, event: Event) -> None:
        """Keep the stages of a start, and show them in one line with the last of them."""
        if isinstance(event, RunFinished | StudyFinished):
            self._stages = ()
        if isinstance(event, StageEnded):
            self._stages = (*self._stages, event)
            if event.name == FIRST_BATCH:
                self.say(stages_text(self._stages))
                self._stages = ()

    def note(self, text: str) -> None:
        """Show a log message; may be called from any thread."""

    def say(self, *lines: str) -> None:
        """Show lines that are meant for people alone."""
