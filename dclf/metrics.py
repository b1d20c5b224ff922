"""Scores of emotion predictions as the paper reports them (Tables 3-5): per class, weighted accuracy, weighted F1.

N   utterances      C   classes

Written out rather than taken from scikit-learn, whose import costs every process a second, as much as several epochs of
a small training.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def classification_scores(targets: ArrayLike, predictions: ArrayLike, class_names: Sequence[str]) -> dict[str, float]:
    """Scores in [0, 1].

    Args:
        targets: true class indices [N].
        predictions: predicted class indices [N].
        class_names: emotion of each class index, C of them.

    Returns:
        ``wa``: support-weighted mean of the classes' recall, which is the accuracy; ``wf1``: support-weighted mean of
        their F1; ``accuracy/<class>``: recall; ``f1/<class>``. A class without targets scores 0.0 and weighs nothing.

    Raises:
        ValueError: no utterance, different lengths, or a class index outside 0 .. C - 1.
    """
    matrix = confusion(targets, predictions, class_names)
    hits, support, called = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    # Without targets there are no hits either: the quotient is 0, whatever it is divided by.
    recall = hits / np.maximum(support, 1)
    f1 = 2 * hits / np.maximum(support + called, 1)
    scores = {"wa": float(np.average(recall, weights=support)), "wf1": float(np.average(f1, weights=support))}
    scores |= {f"accuracy/{name}": float(value) for name, value in zip(class_names, recall, strict=True)}
    scores |= {f"f1/{name}": float(value) for name, value in zip(class_names, f1, strict=True)}
    return scores


def shift_scores(
    targets: ArrayLike, predictions: ArrayLike, shifts: ArrayLike, class_names: Sequence[str]
) -> dict[str, float]:
    """WF1 of the utterances with and without emotion shift (Table 7).

    Args:
        targets: as for ``classification_scores``, and so are the others.
        predictions: likewise.
        shifts: bool [N], which utterances shift, see ``dclf.data.emotion_shifts``.
        class_names: likewise.

    Returns:
        ``shift/wf1`` and ``no_shift/wf1``; a side without utterances has none.

    Raises:
        ValueError: as ``classification_scores``, or ``shifts`` has another length.
    """
    true, predicted = _checked(targets, predictions, len(class_names))
    shifting = np.asarray(shifts, dtype=np.bool_)
    if shifting.shape != true.shape:
        raise ValueError(f"shifts must be [{len(true)}] like the targets, has shape {shifting.shape}")
    return {
        f"{side}/wf1": classification_scores(true[mask], predicted[mask], class_names)["wf1"]
        for side, mask in (("shift", shifting), ("no_shift", ~shifting))
        if mask.any()
    }


def confusion(targets: ArrayLike, predictions: ArrayLike, class_names: Sequence[str]) -> NDArray[np.int64]:
    """Counts int64 [C, C]: row true class, column predicted class. Arguments and errors as above."""
    classes = len(class_names)
    true, predicted = _checked(targets, predictions, classes)
    cells = np.bincount(true * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def _checked(targets: ArrayLike, predictions: ArrayLike, classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both as int64 [N]."""
    true, predicted = _indices("targets", targets, classes), _indices("predictions", predictions, classes)
    if len(true) != len(predicted):
        raise ValueError(
            f"targets and predictions must speak of the same utterances, are {len(true)} and {len(predicted)}"
        )
    return true, predicted


def _indices(name: str, values: ArrayLike, classes: int) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a list of at least one class index, has shape {array.shape}")
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must be integers, are {array.dtype}; take the argmax of logits first")
    outside = array[(array < 0) | (array >= classes)]
    if outside.size:
        raise ValueError(
            f"{name} must lie in 0 .. {classes - 1} for {classes} class names, "
            f"{outside.size} do not, such as {outside[0]}"
        )
    return array.astype(np.int64)
