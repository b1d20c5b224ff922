"""Spaces and configurations for tests of the search."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from dclf.config import Config
from tune.config.settings import load_config

BASE: Config = load_config("meld", {"data.shards": "shards"})

NOT_NEGATIVE = ("loss.gamma_ca", "loss.gamma_mc", "loss.unimodal_weight", "train.weight_decay", "train.clip_norm")
ABOVE_ZERO = ("loss.temperature", "train.lr")
WHOLE = ("loss.window", "loss.ica_width", "train.batch_size", "train.epochs", "train.patience")
CHOICES: dict[str, list[Any]] = {
    "model.name": ["mmgcn", "ddin"],
    "model.causal": [True, False],
    "model.options.dropout": [0, 0.25, 0.5],
    "data.modalities": [["text"], ["text", "audio"], ["text", "audio", "visual"]],
    "loss.ablate": ["none", "base", "no_ica"],
    "loss.pairs": ["bank", "batch"],
}


def numbers(lowest: float) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        plain_numbers(lowest), stepped(lowest), plain_numbers(0.001).map(lambda spec: spec | {"log": True})
    )


def plain_numbers(lowest: float) -> st.SearchStrategy[dict[str, Any]]:
    bounds = st.lists(st.floats(lowest, 10), min_size=2, max_size=2, unique=True)
    return bounds.map(sorted).map(lambda pair: {"low": pair[0], "high": pair[1]})


@st.composite
def stepped(draw: st.DrawFn, lowest: float) -> dict[str, Any]:
    low = Decimal(draw(st.integers(int(lowest * 1000), 2000))) / 1000
    step = Decimal(draw(st.integers(1, 500))) / 1000
    high = low + step * draw(st.integers(1, 7))
    return {"low": float(low), "high": float(high), "step": float(step)}


@st.composite
def whole(draw: st.DrawFn, lowest: int) -> dict[str, Any]:
    low, step, count = draw(st.integers(lowest, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 6))
    spec: dict[str, Any] = {"low": low, "high": low + step * count, "int": True}
    kind = draw(st.sampled_from(["plain", "step", "log"]))
    return {**spec, **({"step": step} if kind == "step" else {"log": True} if kind == "log" else {})}


def choices(key: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(st.sampled_from(CHOICES[key]), min_size=1, unique_by=repr).map(lambda some: {"choices": some})


def domain(key: str) -> st.SearchStrategy[dict[str, Any]]:
    if key in CHOICES:
        return choices(key)
    if key in WHOLE:
        # Pairs within a batch, one of the choices, need two dialogues in it.
        return whole(2 if key == "train.batch_size" else 1)
    return numbers(0.001 if key in ABOVE_ZERO else 0.0)


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Sound spaces over the base configuration, with conditions on choices and on whole numbers."""
    every = [*NOT_NEGATIVE, *ABOVE_ZERO, *WHOLE, *CHOICES]
    keys = draw(st.lists(st.sampled_from(every), min_size=1, max_size=6, unique=True))
    space = {key: draw(domain(key)) for key in keys}
    for place, key in enumerate(keys):
        parents = [other for other in keys[:place] if other in CHOICES or other in WHOLE]
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            allowed = space[parent].get("choices") or [space[parent]["low"], space[parent]["high"]]
            space[key]["when"] = {parent: draw(st.lists(st.sampled_from(allowed), min_size=1, unique_by=repr))}
    return dict(draw(st.permutations(list(space.items()))))
