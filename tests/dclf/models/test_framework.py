"""What is missing stays off, in the framework around every base model."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dclf.config import LossConfig, ModelConfig
from dclf.models.framework import DCLF, DCLFOutput
from dclf.testing.batches import INFO, LENGTHS, random_rows
from tests.dclf.models.small import SMALL

MODALITIES = ("text", "audio", "visual")


def model_of(name: str) -> DCLF:
    torch.manual_seed(3)
    loss = LossConfig(ica_width=4)
    return DCLF(INFO, MODALITIES, ModelConfig(name=name, options=dict(SMALL[name])), loss).double().eval()


def every_tensor(output: DCLFOutput) -> dict[str, Tensor]:
    tensors = {"logits": output.logits, "state": output.state, "context": output.context}
    tensors |= {f"encoded/{m}": rows for m, rows in output.encoded.items()}
    return tensors | {f"unimodal/{m}": rows for m, rows in output.unimodal.items()}


def masks_of(missing: dict[str, list[int]]) -> dict[str, Tensor]:
    every = torch.ones(sum(LENGTHS), dtype=torch.bool)
    return {m: every.index_fill(0, torch.tensor(rows), value=False) for m, rows in missing.items()}


@pytest.mark.parametrize("name", SMALL)
def test_what_stands_in_a_missing_row_is_not_read(name: str) -> None:
    model, (features, speakers, layout) = model_of(name), random_rows()
    present = masks_of({"text": [0, 6], "visual": [6, 7, 8]})
    changed = {m: torch.where(present.get(m, torch.tensor([True]))[:, None], x, 9.0) for m, x in features.items()}
    before = every_tensor(model(features, speakers, layout, present))
    after = every_tensor(model(changed, speakers, layout, present))
    for tensor in before:
        assert torch.equal(before[tensor], after[tensor]), tensor
    assert not torch.allclose(before["logits"], model(features, speakers, layout).logits)


@pytest.mark.parametrize("name", SMALL)
def test_no_bias_speaks_for_a_missing_row(name: str) -> None:
    model, (features, speakers, layout) = model_of(name), random_rows()
    present = masks_of({"audio": [2, 5, 9]})
    before = model(features, speakers, layout, present)
    assert not before.encoded["audio"][[2, 5, 9]].any()
    assert before.encoded["audio"].any(1).sum() == sum(LENGTHS) - 3
    with torch.no_grad():
        for layer in (model.encoders.layers["audio"], model.projections["audio"]):
            layer.bias.add_(5.0)
    alone = masks_of({"audio": list(range(sum(LENGTHS)))})
    silent = model(features, speakers, layout, alone)
    with torch.no_grad():
        model.encoders.layers["audio"].bias.add_(7.0)
        model.projections["audio"].bias.add_(7.0)
    assert torch.equal(model(features, speakers, layout, alone).logits, silent.logits)


@pytest.mark.parametrize("name", SMALL)
def test_a_missing_row_teaches_nothing(name: str) -> None:
    model, (features, speakers, layout) = model_of(name), random_rows()
    inputs = {m: x.clone().requires_grad_() for m, x in features.items()}
    present = masks_of({"text": [1], "audio": list(range(sum(LENGTHS)))})
    output = model(inputs, speakers, layout, present)
    torch.stack([rows.square().sum() for rows in every_tensor(output).values()]).sum().backward()
    assert inputs["text"].grad is not None
    assert not inputs["text"].grad[1].any()
    assert inputs["text"].grad[2].any()
    for layer in (model.encoders.layers["audio"], model.projections["audio"]):
        assert all(not parameter.grad.any() for parameter in layer.parameters())


@settings(max_examples=20)
@given(st.sampled_from(sorted(SMALL)), st.sets(st.sampled_from(MODALITIES)), st.lists(st.integers(1, 6), min_size=1))
def test_masks_that_hide_nothing_change_no_bit(name: str, modalities: set[str], lengths: list[int]) -> None:
    model, (features, speakers, layout) = model_of(name), random_rows(lengths)
    full = {m: torch.ones(sum(lengths), dtype=torch.bool) for m in modalities}
    with_masks = every_tensor(model(features, speakers, layout, full))
    for tensor, rows in every_tensor(model(features, speakers, layout)).items():
        assert torch.equal(rows, with_masks[tensor])


def test_standardised_missing_rows_are_zero() -> None:
    model, (features, _, _) = model_of("mmgcn"), random_rows()
    model.standardise.get_buffer("text_mean").fill_(3.0)
    standardised = model.standardise(features, masks_of({"text": [4]}))
    assert not standardised["text"][4].any()
    assert torch.equal(standardised["text"][5], features["text"][5] - 3.0)


def test_the_contrast_compares_the_states_or_all_that_the_decoder_reads() -> None:
    rows = random_rows()
    outputs = {}
    for state in ("graph", "hidden"):
        torch.manual_seed(3)
        loss = LossConfig(ica_width=4, state=state)  # type: ignore[arg-type]
        model = DCLF(INFO, MODALITIES, ModelConfig(name="mmgcn", options=dict(SMALL["mmgcn"])), loss).double().eval()
        outputs[state] = model(*rows)
        assert outputs[state].state.shape[1] == model.state_width
        assert model.contrast is not None
        assert model.contrast.extract is not None
        assert len(model.contrast.extract.weight) == model.state_width
    assert torch.equal(outputs["hidden"].state, outputs["graph"].base.hidden)
    assert outputs["graph"].state.shape[1] < outputs["hidden"].state.shape[1]
