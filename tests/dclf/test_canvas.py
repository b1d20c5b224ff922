"""The style that all figures share."""

import io
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from dclf.canvas import COLUMN, INK, SHADES, blank, in_style, legend_below, text_on, wrapped


def lightness(colour: object) -> float:
    return float(np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)))  # type: ignore[arg-type]


def test_the_style_holds_whatever_the_users_settings_are_and_leaves_them() -> None:
    mpl.get_backend()  # it is chosen at the first look
    with mpl.rc_context({"font.size": 5, "text.color": "red"}):
        before = mpl.rcParams.copy()
        with in_style():
            text = blank(COLUMN, 1).text(0.5, 0.5, "x")
        assert text.get_fontsize() == 8
        assert text.get_color() == INK
        assert mpl.rcParams == before


def test_a_character_that_the_font_lacks_warns_of_nothing() -> None:
    with in_style():
        figure = blank(COLUMN, 1)
        figure.text(0.5, 0.5, "喜")
        figure.savefig(io.BytesIO())


def test_a_legend_fits_into_the_figure_and_hides_nothing() -> None:
    with in_style():
        figure = blank(COLUMN, 2)
        axes = figure.subplots()
        long = "mypackage.emotions.models:TheModelOfTheLab, w/o the contrast of contexts"
        for name in ("a", "rather long name", "another one that is long", long, "b"):
            axes.plot([0, 1], label=name)
        legend_below(figure, last="a")
        figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert [text.get_text() for text in legend.get_texts()][-1] == "a"
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
    assert box.y1 < axes.get_tightbbox().y0  # type: ignore[union-attr]
    assert figure.get_figheight() > 2, "the axes keep their height"


def test_shades_read_in_grey() -> None:
    steps = [lightness(SHADES(place)[:3]) for place in np.linspace(0, 1, 20)]
    assert all(later < earlier for earlier, later in pairwise(steps))


@pytest.mark.parametrize(
    ("ground", "dark"), [("#ffffff", True), ("#e3eff7", True), ("#00568a", False), ("#000000", False)]
)
def test_text_stands_out_from_its_ground(ground: str, dark: bool) -> None:
    assert (lightness(text_on(ground)) < 0.5) is dark


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("validation WF1 (%)", "validation WF1 (%)"),
        ("validation WF1 on emotion shifts (%)", "validation WF1 on emotion\nshifts (%)"),
        ("model.options.hidden_channels_of_it", "model.options.hidden_\nchannels_of_it"),
        ("", ""),
    ],
)
def test_long_labels_are_wrapped(text: str, lines: str) -> None:
    assert wrapped(text, 26) == lines
