"""What every loss term of another package must do."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from dclf.config import Config, DataConfig, LossConfig, ModelConfig
from dclf.data.batch import Batch
from dclf.losses.own_terms import loss_term, require_term
from dclf.losses.terms import Term
from dclf.models.framework import DCLF, DCLFOutput
from dclf.testing.batches import INFO, LENGTHS, SUBSETS, Rows, picked, random_rows, rows_of

MODEL = ModelConfig(name="mmgcn", options={"hidden": 6, "node_width": 8, "layers": 2})


class LossTermContract:
    """Derive a class whose name begins with ``Test``, and set its attributes."""

    name: ClassVar[str]
    """As in ``loss.terms``: the entry point's name or the class path."""

    additive: ClassVar[bool] = True
    """False for a term that compares utterances of several dialogues, whose value depends on the batch."""

    @pytest.fixture
    def model(self) -> DCLF:
        """The framework around a small model, with the same weights in every test."""
        torch.manual_seed(3)
        return DCLF(INFO, SUBSETS[-1], MODEL, LossConfig(ica_width=4)).double().eval()

    def test_a_configuration_can_name_it(self) -> None:
        """With a weight."""
        loss = LossConfig(terms={self.name: 0.5})
        assert Config(data=DataConfig(shards="somewhere"), loss=loss).problems() == []

    def test_it_is_a_finite_sum_and_a_count(self, model: DCLF) -> None:
        """Both scalars; the count is no negative number."""
        term = self._term(model, random_rows())[0]
        assert term.total.isfinite()
        assert term.count >= 0

    def test_sums_and_counts_add_up_over_the_dialogues(self, model: DCLF) -> None:
        """So that workers that share a batch have the loss of one."""
        if not self.additive:
            pytest.skip("the term compares utterances of several dialogues")
        rows = random_rows()
        whole = self._term(model, rows)[0]
        parts = [self._term(model, picked(rows, rows_of(rows[2], d), [n]))[0] for d, n in enumerate(LENGTHS)]
        torch.testing.assert_close(torch.stack([part.total for part in parts]).sum(), whole.total)
        assert sum(float(part.count) for part in parts) == pytest.approx(float(whole.count))

    def test_its_gradient_is_finite_and_reaches_the_model(self, model: DCLF) -> None:
        """A term without one only moves the figure that is printed."""
        term, output = self._term(model, random_rows())
        term.total.backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert any(gradient.any() for gradient in gradients)
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert output.logits.isfinite().all()

    def test_no_certainty_breaks_it(self, model: DCLF) -> None:
        """Logits of a thousand, as a model that is sure has them, give a finite sum."""
        rows = random_rows()
        output = self._output(model, rows)
        sure = replace(output, logits=1000.0 * torch.sign(output.logits))
        assert require_term(self.name, loss_term(self.name)(sure, _batch(rows))).total.isfinite()

    def _term(self, model: DCLF, rows: Rows) -> tuple[Term, DCLFOutput]:
        output = self._output(model, rows)
        return require_term(self.name, loss_term(self.name)(output, _batch(rows))), output

    def _output(self, model: DCLF, rows: Rows) -> DCLFOutput:
        features, speakers, layout = rows
        output: DCLFOutput = model(features, speakers, layout)
        return output


def _batch(rows: Rows) -> Batch:
    features, speakers, layout = rows
    return Batch(
        layout=layout,
        features=features,
        speakers=speakers,
        labels=_labels(features["text"]),
        positions=torch.arange(layout.utterances),
        dialogue_ids=tuple(str(dialogue) for dialogue in range(len(layout.lengths))),
    )


def _labels(text: Tensor) -> Tensor:
    """A label of each utterance, int64 [N], that stays with it in every batch."""
    return text.argmax(dim=-1) % len(INFO.class_names)
