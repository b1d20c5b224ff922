"""Figures of a run: the confusion matrix and the learning curves.

Figures are built on their own canvas, without pyplot: nothing is kept alive, no window opens, threads do not mix.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from dclf.training.reports import EpochReport

_INK, _GRID = "#222222", "#dddddd"
_TERMS = {
    "total": ("total", "#222222"),
    "ce": ("cross-entropy", "#0072b2"),
    "ca": ("context contrast", "#d55e00"),
    "mc": ("modality contrast", "#009e73"),
    "unimodal": ("unimodal heads", "#cc79a7"),
}
"""Legend and colour of each loss term; the colours differ for colour-blind readers too."""
_SCORES = {"wf1": ("weighted F1", "#0072b2"), "wa": ("weighted accuracy", "#e69f00")}


def confusion_figure(matrix: ArrayLike, class_names: Sequence[str], title: str = "") -> Figure:
    """A confusion matrix: each cell's share of its row in per cent, and its count.

    Args:
        matrix: counts [C, C], rows are true classes, columns predictions.
        class_names: emotion of each class index, C of them.
        title: above the matrix.

    Raises:
        ValueError: the matrix is not [C, C].
    """
    counts = np.asarray(matrix)
    classes = len(class_names)
    if counts.shape != (classes, classes):
        raise ValueError(f"matrix must be [{classes}, {classes}] for {classes} class names, is {counts.shape}")
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.6 + 0.85 * classes
    figure = _figure(side + 1.2, side)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    _write_cells(axes, counts, shares)
    totals = [f"{name}\n(n = {total:,})" for name, total in zip(class_names, counts.sum(axis=1), strict=True)]
    axes.set_xticks(range(classes), class_names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(classes), totals)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, label="% of the true class")
    return figure


def learning_curves(history: Sequence[EpochReport]) -> Figure:
    """Loss terms on the left, validation scores on the right, the best epoch marked in both.

    Args:
        history: one report per epoch, at least one.

    Raises:
        ValueError: the history is empty.
    """
    if not history:
        raise ValueError("learning curves need at least one finished epoch, the history is empty")
    figure = _figure(12, 4.8)
    losses, scores = figure.subplots(1, 2)
    for term, (label, colour) in _TERMS.items():
        if term in history[-1].losses:
            _curve(losses, history, [report.losses[term] for report in history], label, colour)
    for key, (label, colour) in _SCORES.items():
        _curve(scores, history, [100 * report.validation[key] for report in history], label, colour)
    losses.set(title="Training loss", ylabel="mean per counted utterance")
    scores.set(title="Validation", ylabel="per cent")
    _mark_best(losses, scores, history[-1])
    for axes in (losses, scores):
        _tidy(axes, history)
    return figure


def _figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches with a canvas that can be saved."""
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _curve(axes: Axes, history: Sequence[EpochReport], values: Sequence[float], label: str, colour: str) -> None:
    marker = "o" if len(history) <= 15 else ""
    width = 2.4 if label == "total" else 1.7
    epochs = [report.epoch for report in history]
    axes.plot(epochs, values, marker=marker, ms=4, lw=width, color=colour, label=label)


def _write_cells(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        colour = "white" if share > 55 else _INK
        axes.text(column, row - 0.1, f"{share:.1f}", ha="center", va="center", color=colour, fontsize=12)
        axes.text(column, row + 0.22, f"{count:,}", ha="center", va="center", color=colour, fontsize=8, alpha=0.85)


def _mark_best(losses: Axes, scores: Axes, last: EpochReport) -> None:
    """A line at the best epoch in both panels, and its WF1 as a star among the scores."""
    for axes in (losses, scores):
        axes.axvline(last.best_epoch, color="#888888", lw=1, ls="--", zorder=0)
    best = 100 * last.best_wf1
    label = f"best F1: {best:.2f} in epoch {last.best_epoch}"
    scores.plot([last.best_epoch], [best], "*", ms=15, color=_SCORES["wf1"][1], mec="white", label=label)


def _tidy(axes: Axes, history: Sequence[EpochReport]) -> None:
    axes.set(xlabel="epoch", xlim=(history[0].epoch - 0.5, history[-1].epoch + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.grid(color=_GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, columnspacing=1.2, fontsize=9)
