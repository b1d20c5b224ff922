"""What every base model must do, alone and wearing DCLF; a registered model that is not covered fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from dclf.config import LossConfig, ModelConfig
from dclf.data.dialogue import DatasetInfo
from dclf.layout import Layout
from dclf.models import SHIPPED
from dclf.models.contract import BaseOutput, base_model_class, base_model_names, register
from dclf.models.framework import DCLF

SMALL = {
    "mmgcn": {"hidden": 6, "node_width": 8, "layers": 3},
    "ddin": {"encoder_width": 6, "history_width": 8, "party_width": 7, "emotion_width": 5},
    "dialogue_rnn": {"encoder_width": 6, "history_width": 8, "party_width": 7, "emotion_width": 5},
    "aghmn": {"encoder_width": 6, "width": 5, "window": 3},
}
WIDTHS = {"text": 9, "audio": 5, "visual": 7}
SUBSETS = [("text",), ("audio",), ("text", "visual"), ("audio", "visual"), ("text", "audio", "visual")]
LENGTHS = [5, 1, 8, 3]
SPEAKERS = 3


@dataclass
class Case:
    """A model of raw features, base or with DCLF, and what it says of a batch."""

    model: nn.Module
    modalities: tuple[str, ...]
    causal: bool

    def __call__(self, features: dict[str, Tensor], speakers: Tensor, layout: Layout) -> dict[str, Tensor]:
        output = self.model({m: features[m] for m in self.modalities}, speakers, layout)
        names = ("hidden", "state", "context") if isinstance(output, BaseOutput) else ("logits", "state", "context")
        return {name: getattr(output, name) for name in names}


class Encoded(nn.Module):
    """A base model behind linear encoders."""

    def __init__(self, name: str, modalities: tuple[str, ...], causal: bool) -> None:
        super().__init__()
        kind = base_model_class(name)
        self.base = kind(modalities, SPEAKERS, causal, kind.Config(**SMALL[name]))
        self.encoders = nn.ModuleDict({m: nn.Linear(WIDTHS[m], self.base.encoder_width) for m in modalities})

    def forward(self, features: dict[str, Tensor], speakers: Tensor, layout: Layout) -> BaseOutput:
        return self.base({m: self.encoders[m](x) for m, x in features.items()}, speakers, layout)


def cases() -> Iterator[tuple[str, tuple[str, ...], bool, bool]]:
    for name in base_model_names():
        for causal in (True, False) if base_model_class(name).bidirectional else (True,):
            for modalities in SUBSETS:
                yield name, modalities, causal, False
            yield name, SUBSETS[-1], causal, True


@pytest.fixture(params=cases(), ids=lambda c: f"{c[0]}-{'+'.join(c[1])}-{'causal' if c[2] else 'both'}-{c[3]}")
def case(request: pytest.FixtureRequest) -> Case:
    name, modalities, causal, dclf = request.param
    assert name in SMALL, f"give the contract tests a small configuration of {name}"
    torch.manual_seed(3)
    if not dclf:
        return Case(Encoded(name, modalities, causal).double().eval(), modalities, causal)
    info = DatasetInfo(dataset="x", class_names=tuple("abcd"), widths=WIDTHS, speaker_count=SPEAKERS)
    options = ModelConfig(name=name, causal=causal, options=SMALL[name])
    return Case(DCLF(info, modalities, options, LossConfig(ica_width=4)).double().eval(), modalities, causal)


def batch(lengths: list[int], seed: int = 0) -> tuple[dict[str, Tensor], Tensor, Layout]:
    generator = torch.Generator().manual_seed(seed)
    layout = Layout.of(lengths)
    features = {
        m: torch.randn(layout.utterances, w, generator=generator, dtype=torch.float64) for m, w in WIDTHS.items()
    }
    return features, torch.randint(SPEAKERS, (layout.utterances,), generator=generator), layout


def taken(
    rows: Tensor, features: dict[str, Tensor], speakers: Tensor, lengths: list[int]
) -> tuple[dict[str, Tensor], Tensor, Layout]:
    return {m: x[rows] for m, x in features.items()}, speakers[rows], Layout.of(lengths)


def test_shapes_are_as_announced(case: Case) -> None:
    features, speakers, layout = batch(LENGTHS)
    output = case(features, speakers, layout)
    base = case.model.base
    assert output["state"].shape == (layout.utterances, base.state_width)
    assert output["context"].shape == (layout.utterances, base.context_width)
    assert output.get("hidden", output["state"]).shape[0] == layout.utterances
    if "hidden" in output:
        assert output["hidden"].shape[1] == base.hidden_width


def test_later_utterances_change_nothing_earlier(case: Case) -> None:
    features, speakers, layout = batch(LENGTHS)
    before = case(features, speakers, layout)
    later = layout.time >= 3
    changed = {m: torch.where(later[:, None], 5 * x + 1, x) for m, x in features.items()}
    after = case(changed, torch.where(later, (speakers + 1) % SPEAKERS, speakers), layout)
    if case.causal:
        for name in before:
            assert_close(after[name][~later], before[name][~later], atol=1e-12, rtol=0)
    first = next(iter(before))
    assert not torch.allclose(after[first][later], before[first][later])
    if not case.causal:
        assert not torch.allclose(after[first][~later], before[first][~later])


def test_history_is_used(case: Case) -> None:
    features, speakers, layout = batch(LENGTHS)
    changed = {m: torch.where((layout.time == 0)[:, None], -x, x) for m, x in features.items()}
    later = layout.time > 0
    for name, rows in case(changed, speakers, layout).items():
        assert not torch.allclose(rows[later], case(features, speakers, layout)[name][later])


def test_the_context_of_a_first_utterance_is_zero(case: Case) -> None:
    features, speakers, layout = batch(LENGTHS)
    assert not case(features, speakers, layout)["context"][layout.time == 0].any()


def test_a_dialogue_alone_is_as_among_others(case: Case) -> None:
    features, speakers, layout = batch(LENGTHS)
    together = case(features, speakers, layout)
    for dialogue, length in enumerate(LENGTHS):
        rows = (layout.dialogue_of == dialogue).nonzero()[:, 0]
        alone = case(*taken(rows, features, speakers, [length]))
        for name in together:
            assert_close(alone[name], together[name][rows], atol=1e-10, rtol=0)


def test_the_order_of_dialogues_does_not_matter(case: Case) -> None:
    features, speakers, layout = batch(LENGTHS)
    together = case(features, speakers, layout)
    order = [2, 0, 3, 1]
    rows = torch.cat([(layout.dialogue_of == d).nonzero()[:, 0] for d in order])
    permuted = case(*taken(rows, features, speakers, [LENGTHS[d] for d in order]))
    for name in together:
        assert_close(permuted[name], together[name][rows], atol=1e-10, rtol=0)


def test_single_precision_keeps_batch_invariance(case: Case) -> None:
    case.model.float()
    features, speakers, layout = batch(LENGTHS)
    features = {m: x.float() for m, x in features.items()}
    together = case(features, speakers, layout)
    rows = (layout.dialogue_of == 2).nonzero()[:, 0]
    alone = case(*taken(rows, features, speakers, [LENGTHS[2]]))
    for name in together:
        assert_close(alone[name], together[name][rows], atol=1e-5, rtol=0)


def test_other_dialogues_do_not_leak(case: Case) -> None:
    features, speakers, layout = batch(LENGTHS)
    before = case(features, speakers, layout)
    others = layout.dialogue_of != 1
    changed = {m: torch.where(others[:, None], 100 * x, x) for m, x in features.items()}
    after = case(changed, speakers, layout)
    for name in before:
        assert torch.equal(after[name][~others], before[name][~others])


def test_zero_rows_stay_finite_with_their_gradients(case: Case) -> None:
    features, speakers, layout = batch(LENGTHS)
    zeroed = {m: x.clone().index_fill_(0, torch.tensor([0, 6]), 0.0).requires_grad_() for m, x in features.items()}
    for parameter in case.model.parameters():
        if parameter.ndim == 1:
            parameter.data.zero_()
    output = case(zeroed, speakers, layout)
    sum(rows.square().sum() for rows in output.values()).backward()
    for rows in output.values():
        assert rows.isfinite().all()
    for modality in case.modalities:
        assert zeroed[modality].grad is not None
        assert zeroed[modality].grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in case.model.parameters() if p.grad is not None)


def test_gradients_reach_every_parameter_of_the_base_model(case: Case) -> None:
    output = case(*batch(LENGTHS))
    sum(rows.square().sum() for rows in output.values()).backward()
    missing = [n for n, p in case.model.base.named_parameters() if p.grad is None or not p.grad.any()]
    # DDIN weighs the histories of several modalities by this score; one alone has weight 1 whatever it is.
    idle = {f"cells.{i}.score" for i in (0, 1)} if len(case.modalities) == 1 else set()
    assert set(missing) <= idle


def test_gradients_are_those_of_finite_differences(case: Case) -> None:
    features, speakers, layout = batch([3, 2], seed=5)
    names = case.modalities

    def outputs(*inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(case(dict(zip(names, inputs, strict=True)), speakers, layout).values())

    inputs = [features[m].clone().requires_grad_() for m in names]
    assert torch.autograd.gradcheck(outputs, inputs, fast_mode=True)


def test_mixed_precision_is_near_full_precision(case: Case) -> None:
    case.model.float()
    features, speakers, layout = batch(LENGTHS)
    features = {m: x.float() for m, x in features.items()}
    full = case(features, speakers, layout)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = case(features, speakers, layout)
        sum(rows.float().square().sum() for rows in mixed.values()).backward()
    for name in full:
        assert_close(mixed[name].float(), full[name], atol=0.1, rtol=0.1)
    assert all(p.grad.isfinite().all() for p in case.model.parameters() if p.grad is not None)


def test_the_models_that_ship_are_known_without_torch() -> None:
    shipped = {name for name in base_model_names() if base_model_class(name).__module__.startswith("dclf.models.")}
    assert shipped == set(SHIPPED)


@pytest.mark.parametrize("name", base_model_names())
@pytest.mark.parametrize("value", [0, -1])
def test_impossible_sizes_are_named(name: str, value: int) -> None:
    for option in SMALL[name]:
        with pytest.raises(ValueError, match=option):
            base_model_class(name).Config(**{option: value})
    with pytest.raises(ValueError, match="dropout"):
        base_model_class(name).Config(dropout=1.5)


def test_a_name_is_registered_once_and_an_unknown_one_is_explained() -> None:
    with pytest.raises(ValueError, match=r"'mmgcn' is taken by MMGCN"):
        register("mmgcn")(base_model_class("ddin"))
    with pytest.raises(ValueError, match=r"unknown base model 'gcn': choose one of aghmn, ddin, dialogue_rnn, mmgcn"):
        base_model_class("gcn")
