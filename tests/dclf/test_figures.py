"""What the figures say, read back from their artists."""

import io
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from dclf.canvas import ON_DARK, PAGE
from dclf.figures import confusion_figure, learning_curves
from dclf.training.reports import EpochReport


def history(epochs: int, terms: tuple[str, ...] = ("total", "ce", "ca", "mc", "unimodal")) -> list[EpochReport]:
    """WF1 rises to 0.5 in epoch 2 and stays below it afterwards."""
    return [
        EpochReport(
            epoch=epoch,
            epochs=epochs,
            losses={term: 1 / epoch + number for number, term in enumerate(terms)},
            validation={"wf1": 0.5 if epoch == 2 else 0.4, "wa": 0.45},
            best_epoch=min(epoch, 2),
            best_wf1=0.4 if epoch == 1 else 0.5,
            seconds=1.0,
        )
        for epoch in range(1, epochs + 1)
    ]


def png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def curves(figure: Figure, panel: int) -> dict[str, tuple[list[float], list[float]]]:
    return {
        str(line.get_label()): (list(line.get_xdata()), list(line.get_ydata()))
        for line in figure.axes[panel].lines
        if not str(line.get_label()).startswith("_")
    }


def test_cells_show_the_share_of_their_row_and_the_count() -> None:
    figure = confusion_figure([[1500, 500], [3, 1]], ("neutral", "joy"), "Test split")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["75.0", "1,500", "25.0", "500", "75.0", "3", "25.0", "1"]
    assert figure.axes[0].get_title() == "Test split"
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["neutral", "joy"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["neutral\n(n = 2,000)", "joy\n(n = 4)"]
    assert png(figure).startswith(b"\x89PNG")


def test_a_class_without_targets_has_shares_of_zero() -> None:
    figure = confusion_figure(np.diag([4, 0, 2]), ("a", "b", "c"))
    assert [text.get_text() for text in figure.axes[0].texts][6:12] == ["0.0", "0"] * 3


def test_text_stays_readable_on_dark_cells() -> None:
    texts = confusion_figure([[9, 1], [0, 10]], ("a", "b")).axes[0].texts
    assert [text.get_color() == ON_DARK for text in texts[::2]] == [True, False, False, True]


def test_a_matrix_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[3, 3\] for 3 class names, is \(2, 2\)"):
        confusion_figure([[1, 2], [3, 4]], ("a", "b", "c"))


def test_curves_show_every_term_of_the_run_and_no_other() -> None:
    whole, base = learning_curves(history(4)), learning_curves(history(4, ("total", "ce")))
    names = ["total", "cross-entropy", "context contrast", "modality contrast", "unimodal heads"]
    assert list(curves(whole, 0)) == names
    assert curves(base, 0) == {
        "total": ([1, 2, 3, 4], [1, 1 / 2, 1 / 3, 1 / 4]),
        "cross-entropy": ([1, 2, 3, 4], [2, 1 + 1 / 2, 1 + 1 / 3, 1 + 1 / 4]),
    }


def test_the_best_epoch_is_marked_in_both_panels() -> None:
    figure = learning_curves(history(4))
    assert curves(figure, 1) == {
        "weighted F1": ([1, 2, 3, 4], [40, 50, 40, 40]),
        "weighted accuracy": ([1, 2, 3, 4], [45] * 4),
        "best F1: 50.00 in epoch 2": ([2], [50]),
    }
    for axes in figure.axes:
        assert any(list(line.get_xdata()) == [2, 2] for line in axes.lines)
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("epochs", [1, 2, 60])
def test_epochs_are_whole_numbers_on_the_axis(epochs: int) -> None:
    figure = learning_curves(history(epochs))
    png(figure)
    ticks = [tick for tick in figure.axes[0].get_xticks() if 0.5 <= tick <= epochs + 0.5]
    assert ticks
    assert all(tick == int(tick) for tick in ticks)


def test_an_empty_history_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one finished epoch"):
        learning_curves([])


@pytest.mark.parametrize(
    "figure",
    [
        learning_curves(history(20)),
        confusion_figure(
            np.diag([300] * 7), ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"), "Test"
        ),
        confusion_figure(np.diag([3, 4]), ("a", "b")),
    ],
)
def test_nothing_is_cut_off_or_too_small_for_print(figure: Figure) -> None:
    # Saved once, as the layout is made then.
    png(figure)
    box = figure.get_tightbbox()
    assert min(box.x0, box.y0, figure.get_figwidth() - box.x1, figure.get_figheight() - box.y1) > -0.01
    assert figure.get_figwidth() <= PAGE
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 8


def test_no_figure_is_kept_by_pyplot() -> None:
    png(learning_curves(history(2)))
    if "matplotlib.pyplot" in sys.modules:
        assert not sys.modules["matplotlib.pyplot"].get_fignums()
