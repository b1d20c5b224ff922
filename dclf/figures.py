"""Figures of a run: the confusion matrix and the learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from dclf.canvas import (
    COLOURS,
    INK,
    PAGE,
    QUIET,
    SHADES,
    SIGNS,
    SMALL,
    TEXT,
    blank,
    few,
    in_style,
    literal,
    text_on,
    tidy,
)
from dclf.training.reports import EpochReport

_TERMS = {
    "total": ("total", INK, "-"),
    "ce": ("cross-entropy", COLOURS[0][0], "--"),
    "ca": ("context contrast", COLOURS[1][0], "-."),
    "mc": ("modality contrast", COLOURS[2][0], ":"),
    "unimodal": ("unimodal heads", COLOURS[3][0], (0, (5, 1, 1, 1, 1, 1))),
}
"""Legend, colour and dashes of each loss term."""
_SCORES = {"wf1": ("weighted F1", COLOURS[0][0], "-"), "wa": ("weighted accuracy", COLOURS[1][0], "--")}


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
    side = 1.6 + 0.55 * classes
    with in_style():
        figure = blank(side + 0.6, side)
        axes = figure.subplots()
        image = axes.imshow(shares, cmap=SHADES, vmin=0, vmax=100, aspect="auto")
        _write_cells(axes, counts, shares)
        totals = [
            f"{literal(name)}\n(n = {total:,})" for name, total in zip(class_names, counts.sum(axis=1), strict=True)
        ]
        axes.set_xticks(
            range(classes), list(map(literal, class_names)), rotation=40, ha="right", rotation_mode="anchor"
        )
        axes.set_yticks(range(classes), totals)
        axes.set(xlabel="predicted", ylabel="true", title=literal(title))
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
    with in_style():
        figure = blank(PAGE, 3.2)
        losses, scores = figure.subplots(1, 2)
        for term, look in _TERMS.items():
            if term in history[-1].losses:
                _curve(losses, history, [report.losses[term] for report in history], *look)
        for key, look in _SCORES.items():
            _curve(scores, history, [100 * report.validation[key] for report in history], *look)
        losses.set(title="Training loss", ylabel="mean per counted utterance")
        scores.set(title="Validation", ylabel="per cent")
        _mark_best(losses, scores, history[-1])
        for axes in (losses, scores):
            _finish(axes, history)
    return figure


def _curve(
    axes: Axes, history: Sequence[EpochReport], values: Sequence[float], label: str, colour: str, dashes: Any
) -> None:
    marker = "o" if len(history) <= 15 else ""
    epochs = [report.epoch for report in history]
    axes.plot(epochs, values, marker=marker, ms=3, lw=1.4, ls=dashes, color=colour, label=label)


def _write_cells(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        look: dict[str, Any] = {"ha": "center", "va": "center", "color": text_on(SHADES(share / 100)[:3])}
        axes.text(column, row - 0.14, f"{share:.1f}", fontsize=TEXT, **look)
        axes.text(column, row + 0.2, f"{count:,}", fontsize=SMALL, **look)


def _mark_best(losses: Axes, scores: Axes, last: EpochReport) -> None:
    """A line at the best epoch in both panels, and its WF1 as a star among the scores."""
    for axes in (losses, scores):
        axes.axvline(last.best_epoch, color=QUIET, lw=1, ls="--", zorder=0)
    best = 100 * last.best_wf1
    label = f"best F1: {best:.2f} in epoch {last.best_epoch}"
    star = SIGNS["best"]
    size = star["s"] ** 0.5
    scores.plot(
        [last.best_epoch], [best], star["marker"], ms=size, color=star["facecolor"], mec=INK, mew=0.8, label=label
    )


def _finish(axes: Axes, history: Sequence[EpochReport]) -> None:
    axes.set(xlabel="epoch", xlim=(history[0].epoch - 0.5, history[-1].epoch + 0.5))
    axes.xaxis.set_major_locator(few(9, integer=True))
    tidy(axes, "both")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, columnspacing=1.2)
