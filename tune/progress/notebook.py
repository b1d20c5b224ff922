"""The live panel in a notebook: one output of the cell, redrawn in place, which stays as it was at the end."""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from tune.config.sweep_settings import SweepSettings
from tune.progress.live import LivePanel
from tune.progress.live_study import StudyRows
from tune.study import events

COLUMNS = 100
"""Characters in a line of the panel."""
ROWS = 25
"""Lines of the panel at most, and of messages above it: the latest."""
_HTML = (
    "<pre style=\"white-space:pre; overflow-x:auto; line-height:normal; font-family:Menlo,'DejaVu Sans Mono',consolas,"
    "'Courier New',monospace\">{code}</pre>"
)


class NotebookPanel(LivePanel):
    """The live panel as an output of the cell that works; above it stay log messages and restarts.

    What else a terminal keeps is left out: results show themselves.
    """

    def __init__(self) -> None:
        self._lines: deque[Text] = deque(maxlen=ROWS)
        self._ending = ""
        # It says how much room there is; what is shown is written by consoles of their own.
        super().__init__("dclf", Console(file=io.StringIO(), width=COLUMNS, height=ROWS, force_jupyter=False))

    def _screen(self) -> CellOutput:
        return CellOutput(self._forms)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the panel as it is, with what goes on from there where it was cut short."""
        self._waiting = ""
        # Without the rows that were kept for trials.
        self._trials = StudyRows(self._state, self._console)
        if error is not None:
            word = "interrupted" if isinstance(error, KeyboardInterrupt | SystemExit) else "failed"
            self._ending = f"{word}{self._next_call()}"
        super().__exit__(kind, error, trace)

    def _next_call(self) -> str:
        if self.study is not None:
            folder = self.study.folder
            usual = folder.storage == str(Path(SweepSettings.storage).absolute())
            storage = "" if usual else f", storage={folder.storage!r}"
            return f"; tune.resume({folder.definition.name!r}{storage}) goes on"
        if self.run is None or self.run_finished:
            return ""
        return f"; tune.train(config, resume={self.run.run_id!r}) goes on"

    def show(self, event: events.Event) -> None:
        """Show it in the panel."""
        if isinstance(event, events.RunFinished):
            self._waiting = "closing the run"
        else:
            super().show(event)

    def say(self, *lines: str) -> None:
        """Show nothing: the panel says how far the work is."""

    def _head(self, headline: str, lines: Sequence[str], waiting: str) -> None:  # noqa: ARG002 - the title says it
        self._waiting = waiting

    def _leave_counts(self) -> None:
        """Do nothing: the panel stays."""

    def _print(self, *lines: str, style: str = "") -> None:
        self._lines += [Text(line, style=style) for line in lines]

    def _parts(self) -> Iterator[RenderableType]:
        yield from super()._parts()
        if self._ending:
            yield Text(self._ending, style="bold yellow")

    def _forms(self) -> dict[str, str]:
        """The panel as HTML, and as text for where that is not shown."""
        console = Console(
            file=io.StringIO(),
            width=COLUMNS,
            record=True,
            force_jupyter=False,
            force_terminal=True,
            color_system="truecolor",
        )
        console.print(Group(*self._lines, self.render()))
        html = console.export_html(inline_styles=True, code_format=_HTML, clear=False)
        return {"text/html": html, "text/plain": console.export_text()}


class CellOutput:
    """An output of a cell that is replaced every second, as its times run on, and when it is told.

    Args:
        forms: media type -> what is shown now.
        seconds: between two of them.
    """

    def __init__(self, forms: Callable[[], dict[str, str]], seconds: float = 1.0) -> None:
        self._forms = forms
        self._seconds = seconds
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="notebook-panel", daemon=True)
        self._handle: Any = None

    def start(self) -> None:
        """Show it for the first time."""
        # Imported here: where a notebook runs it is there, and nobody else needs it.
        from IPython.display import display  # noqa: PLC0415

        self._handle = display(self._forms(), raw=True, display_id=True)  # type: ignore[no-untyped-call]
        self._thread.start()

    def refresh(self) -> None:
        """Show it as it is now."""
        with self._lock:
            self._handle.update(self._forms(), raw=True)

    def stop(self) -> None:
        """Show it for the last time."""
        self._ended.set()
        self._thread.join()
        self.refresh()

    def _go_on(self) -> None:
        while not self._ended.wait(self._seconds):
            self.refresh()
