"""Borrows pyplot for Optuna's plots, which know no other way, and leaves it as it was.

A figure that is taken out belongs to the caller alone: pyplot has forgotten it, no window and no notebook shows it,
and it is freed like any object.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import optuna
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

_LOCK = threading.RLock()
"""Pyplot's current figure, its settings and the warnings' filters belong to the whole process."""


@contextmanager
def borrowed_pyplot() -> Iterator[None]:
    """Draw off screen, silently, with settings that end with the block."""
    with _LOCK, mpl.rc_context(), warnings.catch_warnings(), _quiet_optuna():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # That few trials make a rough picture the captions say; fonts without some character draw a box.
        warnings.simplefilter("ignore", UserWarning)
        backend, before = mpl.get_backend(), set(plt.get_fignums())
        plt.switch_backend("agg")
        try:
            yield
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)
            plt.switch_backend(backend)


def figure_of(plot: Callable[..., Any], *args: Any, **options: Any) -> Figure:
    """Return the figure that one of Optuna's plots draws, without its title: captions say it."""
    with borrowed_pyplot():
        # Now and not later: colour bars are placed by the way of layout that they were made under.
        mpl.rcParams["figure.constrained_layout.use"] = True
        axes = np.atleast_1d(plot(*args, **options)).ravel()
        figure: Figure = axes[0].figure
        figure.suptitle("")
        for ax in axes:
            ax.set_title("")
            ax.set_title("", loc="left")
        plt.close(figure)
        return figure


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Keep Optuna from logging every study that is made: ours are copies for plotting."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
