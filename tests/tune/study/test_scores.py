"""Numbers and names as people read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dclf.training.reports import EpochReport
from tune.study.scores import Score, deviation, scores_after, short_names, value_text


@pytest.mark.parametrize(
    ("name", "label", "text"),
    [
        ("wf1", "validation WF1 (%)", "68.42"),
        ("eics/wf1", "validation WF1 under EICS (%)", "68.42"),
        ("shift/wf1", "validation WF1 on emotion shifts (%)", "68.42"),
        ("f1/sad", "validation F1 of sad (%)", "68.42"),
        ("accuracy/very happy", "validation accuracy of very happy (%)", "68.42"),
        ("seconds", "seconds", "0.6842"),
    ],
)
def test_shares_are_percent(name: str, label: str, text: str) -> None:
    assert Score(name=name).unit_label == label
    assert Score(name=name).number(0.68421) == text


def test_the_deviation_is_of_a_sample() -> None:
    assert deviation([0.5, 0.6, 0.7]) == pytest.approx(0.1)
    assert math.isnan(deviation([0.5]))


def test_mean_and_deviation() -> None:
    assert Score(name="wf1").text([0.68, 0.7], 0.69) == "69.00 ± 1.41"
    assert Score(name="wf1").text([0.69], 0.69) == "69.00"
    assert Score(name="wf1").number(math.nan) == "–"


@pytest.mark.parametrize(("direction", "gain"), [("maximize", 2.0), ("minimize", -2.0)])
def test_a_gain_is_positive_for_better(direction: str, gain: float) -> None:
    assert Score(name="wf1", direction=direction).gain(0.62, 0.6) == pytest.approx(gain)


@given(st.lists(st.from_regex(r"[ab](\.[ab]){0,3}", fullmatch=True), unique=True, max_size=8))
def test_short_names_differ(keys: list[str]) -> None:
    names = short_names(keys)
    assert len(set(names.values())) == len(keys)
    assert all(key == name or key.endswith(f".{name}") for key, name in names.items())


def test_short_names_are_short() -> None:
    names = short_names(["loss.gamma_ca", "model.options.dropout", "train.dropout"])
    assert list(names.values()) == ["gamma_ca", "options.dropout", "train.dropout"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.0699999, "0.07"), (10, "10"), (["text", "audio"], "text + audio"), (True, "True")]
)
def test_values(value: object, text: str) -> None:
    assert value_text(value) == text


def test_objectives_are_read_of_the_best_epoch_so_far() -> None:
    robust = {"eccs/wf1": 0.5, "eics/wf1": 0.4, "shift/wf1": 0.3}
    wf1 = (0.6, 0.7, 0.65)
    history = [
        EpochReport(
            epoch=epoch,
            epochs=3,
            losses={},
            validation={"wf1": value, "wa": value / 2},
            best_epoch=min(epoch, 2),
            best_wf1=max(wf1[:epoch]),
            seconds=1.0,
            robust=robust if epoch == 3 else {},
        )
        for epoch, value in enumerate(wf1, start=1)
    ]
    assert scores_after(history, 3) == {"wf1": 0.7, "wa": 0.35, **robust}
    early = scores_after(history, 1)
    assert (early["wf1"], early.keys()) == (0.6, {"wf1", "wa", *robust})
    assert all(math.isnan(early[name]) for name in robust)
