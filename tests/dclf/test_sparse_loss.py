"""The total loss where labels and features are missing, against a plain float64 loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dclf.bank import MemoryBank
from dclf.config import LossConfig, ModelConfig
from dclf.data.batch import Batch, collate
from dclf.data.dialogue import Dialogue
from dclf.data.generator import generate
from dclf.losses import Term
from dclf.models.framework import DCLF
from dclf.negatives import EmotionIndex
from dclf.objective import Objective, balanced_class_weights
from dclf.pairs import ContrastPairs, PairSampler
from tests.dclf.sparse import made_sparse, total_loss

INFO, DIALOGUES = generate("iemocap-small", dialogues=8, seed=2)
WHOLE = list(DIALOGUES)
SPARSE = made_sparse(WHOLE)
MODALITIES = ("text", "audio", "visual")
LOSS = LossConfig(window=3, ica_width=4, gamma_ca=0.7, gamma_mc=0.4, unimodal_weight=0.9)


def batch_of(dialogues: list[Dialogue]) -> Batch:
    batch = collate(dialogues, MODALITIES)
    double = {m: x.double() for m, x in batch.features.items()}
    return replace(batch, features=double, positions=torch.arange(batch.layout.utterances))


def model_of(loss: LossConfig = LOSS) -> DCLF:
    torch.manual_seed(1)
    options = {"hidden": 6, "node_width": 8, "layers": 2}
    return DCLF(INFO, MODALITIES, ModelConfig(options=options), loss).double().eval()


def pairs_of(batch: Batch, source: str) -> ContrastPairs:
    if source == "batch":
        return PairSampler(LOSS.window, 0).pairs(batch, 1)
    model, total = model_of(), batch.layout.utterances
    bank = MemoryBank(total, model.base.state_width)
    bank.write(torch.arange(total), torch.randn(total, model.base.state_width))
    bank.turn()
    index = EmotionIndex(batch.labels.numpy(), np.array(batch.layout.lengths))
    pairs = PairSampler(LOSS.window, 0, bank, index).pairs(batch, 1)
    assert pairs.candidates is not None
    return replace(pairs, candidates=pairs.candidates.double())


@pytest.mark.slow
@pytest.mark.parametrize("source", ["bank", "batch"])
@pytest.mark.parametrize("denominator", ["all", "negatives"])
@pytest.mark.parametrize("weighed", [False, True])
def test_every_mean_leaves_out_what_is_missing(source: str, denominator: str, weighed: bool) -> None:
    loss = replace(LOSS, denominator=denominator)
    batch, model = batch_of(SPARSE), model_of(loss)
    assert batch.labelled is not None
    assert set(batch.present) == set(MODALITIES)
    weights = balanced_class_weights(batch.labels, len(INFO.class_names)) if weighed else None
    objective, pairs = Objective(loss, MODALITIES, weights), pairs_of(batch, source)
    output = model(batch.features, batch.speakers, batch.layout, batch.present)
    terms = objective.terms(model, output, batch, pairs)
    counts = {name: term.count.item() for name, term in terms.items()}
    total = objective.mean(terms, counts)
    every = torch.ones(len(INFO.class_names)) if weights is None else weights
    expected = total_loss(model, output, batch, pairs, loss, every.double())
    summary = objective.summary({name: term.total.item() for name, term in terms.items()}, counts)
    for name, value in expected.items():
        assert summary[name] == pytest.approx(value.item(), rel=2e-6), name
    parameters = [p for p in model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(total, parameters, retain_graph=True, allow_unused=True)
    expected_gradients = torch.autograd.grad(expected["total"], parameters, allow_unused=True)
    for gradient, want in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, want, rtol=1e-4, atol=1e-6)


def test_class_weights_count_labelled_utterances_alone() -> None:
    labels = torch.tensor([0, -1, 0, 1, -1, 0])
    assert torch.equal(balanced_class_weights(labels, 3), balanced_class_weights(labels[labels >= 0], 3))


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_missing_modality_of_one_utterance_changes_nothing_for_the_others(modality: str) -> None:
    model, batch = model_of(), batch_of(WHOLE)
    output = model(batch.features, batch.speakers, batch.layout)
    one = 7
    mask = torch.ones(batch.layout.utterances, dtype=torch.bool).index_fill(0, torch.tensor([one]), value=False)
    objective = Objective(LOSS, MODALITIES)
    masked = objective.terms(model, output, replace(batch, present={modality: mask}), None)
    # The same output, of which nobody but the loss knows that a row is missing: without the row altogether.
    rows = mask.nonzero()[:, 0]
    right = output.unimodal[modality].argmax(1) == batch.labels
    expected = objective.terms(model, output, batch, None)
    for name in expected:
        same = torch.equal(masked[name].total, expected[name].total)
        assert same is (not name.endswith(modality)), name
    assert masked[f"unimodal/{modality}"].count.item() == len(rows)
    anchors = total_of_others(output.encoded[modality], right, rows.tolist())
    assert masked[f"mc/{modality}"].total.item() == pytest.approx(anchors, rel=1e-6)


def total_of_others(encoded: torch.Tensor, right: torch.Tensor, rows: list[int]) -> float:
    unit = encoded / encoded.norm(dim=1, keepdim=True)
    scores = (unit @ unit.T / LOSS.temperature).exp()
    total = 0.0
    for i in rows:
        same = [scores[i, j].item() for j in rows if j != i and right[j] == right[i]]
        other = [scores[i, j].item() for j in rows if right[j] != right[i]]
        total -= np.log(sum(same) / sum(other) / len(same)) if same and other else 0.0
    return float(total)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(range(8)), min_size=1, max_size=4, unique=True), st.sampled_from(["bank", "batch"]))
def test_with_all_labels_and_all_features_masks_change_no_bit(numbers: list[int], source: str) -> None:
    model, dialogues = model_of(), [WHOLE[n] for n in numbers]
    full = [replace(d, present={m: np.ones(len(d), np.bool_) for m in MODALITIES}) for d in dialogues]
    plain, with_masks = batch_of(dialogues), batch_of(full)
    torch.manual_seed(0)
    pairs = pairs_of(plain, source)
    everything = torch.ones(plain.layout.utterances, dtype=torch.bool)
    forms = (plain, with_masks, replace(plain, present=dict.fromkeys(MODALITIES, everything)))
    results = []
    for batch in forms:
        output = model(batch.features, batch.speakers, batch.layout, batch.present)
        terms = Objective(LOSS, MODALITIES).terms(model, output, batch, pairs)
        results.append([value for term in terms.values() for value in (term.total.item(), term.count.item())])
    assert not with_masks.present
    assert results[0] == results[1] == results[2]


def test_a_batch_without_labels_has_terms_that_count_nothing() -> None:
    bare = [replace(d, labels=np.full(len(d), -1, np.int32)) for d in SPARSE]
    name = f"{__name__}:never"
    loss = replace(LOSS, terms={name: 0.5})
    model, batch = model_of(loss), batch_of(bare)
    output = model(batch.features, batch.speakers, batch.layout, batch.present)
    terms = Objective(loss, MODALITIES).terms(model, output, batch, PairSampler(3, 0).pairs(batch, 1))
    assert name not in terms
    assert all(term.count.item() == term.total.item() == 0.0 for term in terms.values())


def never(_output: object, _batch: object) -> Term:
    """A term that nothing may be asked of."""
    raise AssertionError("there is nothing to count")


def labels_seen(_output: object, batch: Batch) -> Term:
    """How many labels there are, as a sum and as a count."""
    assert batch.labels.min() >= 0
    return Term(batch.labels.new_tensor(len(batch.labels)).double(), torch.tensor(float(batch.layout.utterances)))


def test_terms_of_other_packages_see_labelled_utterances_alone() -> None:
    name = f"{__name__}:labels_seen"
    loss = replace(LOSS, terms={name: 0.5})
    model, batch = model_of(loss), batch_of(SPARSE)
    output = model(batch.features, batch.speakers, batch.layout, batch.present)
    term = Objective(loss, MODALITIES).terms(model, output, batch, None)[name]
    assert term.total.item() == term.count.item() == int((batch.labels >= 0).sum()) < batch.layout.utterances
