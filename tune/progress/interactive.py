"""Progress of a function that Python calls: a panel in a notebook or on a terminal, nothing where nobody looks."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dclf.prose import suggestion
from tune.config.defaults import PROGRESS_FORMS
from tune.config.yaml_files import ConfigError
from tune.progress.forms import choose_renderer
from tune.progress.lines import Lines
from tune.progress.renderer import Renderer
from tune.study.events import Listener


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in a notebook, which shows it in one line rather than with the place that it happened to meet."""

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of the traceback."""
        return [f"{type(self).__name__}: the work was ended where it stood"]


@contextmanager
def listening(listeners: Sequence[Listener] | None, progress: str = "auto") -> Iterator[Sequence[Listener]]:
    """Give the listeners of a block of work: those of the caller, and one that shows its progress.

    Args:
        listeners: of the caller.
        progress: the form of ``--log``. On auto, where the caller names no listeners, a panel in a notebook and on a
            terminal, and nothing elsewhere: log messages then go the ways of ``logging``.

    Raises:
        ConfigError: there is no such form.
        Interrupted: Ctrl-C, in a notebook.
    """
    if progress not in PROGRESS_FORMS:
        choices, hint = ", ".join(PROGRESS_FORMS), suggestion(str(progress), PROGRESS_FORMS)
        raise ConfigError([f"progress: must be one of {choices}, is {progress!r}{hint}"])
    form = progress
    if form == "auto":
        form = "live" if listeners is None and (in_notebook() or sys.stderr.isatty()) else "quiet"
    if form == "quiet":
        yield listeners or ()
        return
    with _renderer(form) as renderer:
        try:
            yield [*(listeners or ()), renderer]
        except KeyboardInterrupt:
            if in_notebook():
                raise Interrupted from None
            raise


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    # A prompt in a terminal has none.
    return getattr(shell, "kernel", None) is not None


def _renderer(form: str) -> Renderer:
    if not in_notebook():
        return choose_renderer(form, quiet=False)
    if form == "live":
        # rich is only needed where a panel is shown.
        from tune.progress.notebook import NotebookPanel  # noqa: PLC0415

        return NotebookPanel()
    # A notebook shows what goes to stderr like a mistake.
    return Lines(sys.stdout) if form == "plain" else choose_renderer(form, quiet=False)
