"""What every base model must do, alone and wearing DCLF.

N   utterances of the batch, packed dialogue after dialogue
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from dclf.config import Config, DataConfig, LossConfig, ModelConfig
from dclf.data.batch import Batch
from dclf.layout import Layout
from dclf.losses.terms import Term
from dclf.models.contract import BaseOutput, base_model_class
from dclf.models.framework import DCLF, DCLFOutput
from dclf.testing.batches import INFO, LENGTHS, SPEAKERS, SUBSETS, WIDTHS, Rows, picked, random_rows, rows_of


class Encoded(nn.Module):
    """A base model behind linear encoders.

    Args:
        model: name and options.
        modalities: which of ``batches.WIDTHS`` it reads.
    """

    def __init__(self, model: ModelConfig, modalities: tuple[str, ...]) -> None:
        super().__init__()
        kind = base_model_class(model.name)
        self.base = kind(modalities, SPEAKERS, model.causal, kind.Config(**model.options))
        self.encoders = nn.ModuleDict({m: nn.Linear(WIDTHS[m], self.base.encoder_width_of(m)) for m in modalities})

    def forward(self, features: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> BaseOutput:
        """Encode and model; the shapes are those of ``BaseModel.forward``."""
        output: BaseOutput = self.base({m: self.encoders[m](x) for m, x in features.items()}, speakers, layout)
        return output


@dataclass
class Case:
    """A model of raw features in float64, and what it says of a batch.

    Attributes:
        model: the base model behind encoders, or wearing DCLF.
        modalities: which it reads.
        causal: whether it may hear later utterances.
    """

    model: Encoded | DCLF
    modalities: tuple[str, ...]
    causal: bool

    def __call__(self, rows: Rows) -> dict[str, Tensor]:
        """Name -> [N, width] of each output."""
        features, speakers, layout = rows
        output = self.model({m: features[m] for m in self.modalities}, speakers, layout)
        base = output if isinstance(output, BaseOutput) else output.base
        first = {"hidden": output.hidden} if isinstance(output, BaseOutput) else {"logits": output.logits}
        return {**first, "state": base.state, "context": base.context, **base.auxiliary}


class BaseModelContract:
    """Derive a class whose name begins with ``Test``, and set its attributes."""

    name: ClassVar[str]
    """As in ``model.name``: the entry point's name or the class path."""

    options: ClassVar[Mapping[str, Any]] = {}
    """``model.options`` that make it small: widths below ten. The tests take minutes with a large one."""

    idle: ClassVar[frozenset[str]] = frozenset()
    """Parameters that may have no gradient where one modality is read alone, such as a score of several."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One case per form, subset of the modalities and framework."""
        if "case" in metafunc.fixturenames:
            cases = [case for case in self._cases() if self._concerns(metafunc.function.__name__, *case)]
            ids = [f"{'+'.join(m)}-{'causal' if c else 'both'}-{'dclf' if d else 'base'}" for m, c, d in cases]
            without = pytest.param(None, marks=pytest.mark.skip(reason="the model has no form that this test asks of"))
            metafunc.parametrize("case", cases or [without], ids=ids or ["none"], indirect=True)

    def _cases(self) -> Iterator[tuple[tuple[str, ...], bool, bool]]:
        kind = base_model_class(self.name)
        for causal in [form for form, there in ((True, kind.real_time), (False, kind.bidirectional)) if there]:
            yield from ((modalities, causal, False) for modalities in SUBSETS)
            yield SUBSETS[-1], causal, True

    def _concerns(self, test: str, modalities: tuple[str, ...], causal: bool, dclf: bool) -> bool:
        """Whether a test has anything to ask of this case."""
        if "its_own_terms" in test:
            return dclf
        if "hearing_one_by_one" in test:
            return causal and not dclf and base_model_class(self.name).streams
        if "beyond_the_reach" in test:
            return causal
        # The slowest by far: one modality and all of them have every layer.
        return "finite_differences" not in test or len(modalities) in {1, len(SUBSETS[-1])}

    @pytest.fixture
    def case(self, request: pytest.FixtureRequest) -> Case:
        """A model with the same weights in every test."""
        modalities, causal, dclf = request.param
        torch.manual_seed(3)
        config = ModelConfig(name=self.name, causal=causal, options=dict(self.options))
        model = DCLF(INFO, modalities, config, LossConfig(ica_width=4)) if dclf else Encoded(config, modalities)
        return Case(model.double().eval(), modalities, causal)

    def test_a_configuration_can_name_it(self) -> None:
        """``model.name`` and these options are accepted, and an unknown option is not."""
        options = dict(self.options)
        data, model = DataConfig(shards="somewhere"), ModelConfig(name=self.name, options=options)
        assert Config(data=data, model=model).problems() == []
        unknown = ModelConfig(name=self.name, options={**options, "no_such_option": 1})
        assert len(Config(data=data, model=unknown).problems()) == 1

    def test_options_have_the_types_that_they_are_given_as(self) -> None:
        """Options are plain values, which a YAML file, a command line and a search can hold."""
        kind = base_model_class(self.name).Config
        for option in fields(kind):
            value = getattr(kind(), option.name)
            assert isinstance(value, bool | int | float | str | None), f"{option.name} is {value!r}"

    @pytest.mark.parametrize("rate", [-0.5, 1.0, 1.5])
    def test_an_impossible_dropout_is_refused(self, rate: float) -> None:
        """By a ValueError of the options' own class that names the option."""
        with pytest.raises(ValueError, match="dropout"):
            base_model_class(self.name).Config(**{**self.options, "dropout": rate})

    def test_shapes_are_as_announced(self, case: Case) -> None:
        """``hidden_width``, ``state_width`` and ``context_width``, and a row per utterance."""
        rows = random_rows()
        output, base, count = case(rows), case.model.base, rows[2].utterances
        assert output["state"].shape == (count, base.state_width)
        assert output["context"].shape == (count, base.context_width)
        if "hidden" in output:
            assert output["hidden"].shape == (count, base.hidden_width)

    def test_later_utterances_change_nothing_earlier(self, case: Case) -> None:
        """With ``causal``; without, they must be heard."""
        features, speakers, layout = rows = random_rows()
        before, later = case(rows), layout.time >= 3
        changed = {m: torch.where(later[:, None], 5 * x + 1, x) for m, x in features.items()}
        after = case((changed, torch.where(later, (speakers + 1) % SPEAKERS, speakers), layout))
        if case.causal:
            for name in before:
                assert_close(after[name][~later], before[name][~later], atol=1e-12, rtol=0)
        first = next(iter(before))
        assert not torch.allclose(after[first][later], before[first][later])
        if not case.causal:
            assert not torch.allclose(after[first][~later], before[first][~later])

    def test_history_is_used(self, case: Case) -> None:
        """Another first utterance changes what is decided, state and context of all later ones."""
        features, speakers, layout = rows = random_rows()
        changed = {m: torch.where((layout.time == 0)[:, None], -x, x) for m, x in features.items()}
        later, before = layout.time > 0, case(rows)
        after = case((changed, speakers, layout))
        for name in after.keys() & {"hidden", "logits", "state", "context"}:
            assert not torch.allclose(after[name][later], before[name][later]), name

    def test_nothing_beyond_the_reach_is_heard(self, case: Case) -> None:
        """Where ``reach`` is bounded; ``dclf predict`` forgets what lies beyond it."""
        reach = case.model.base.reach
        if reach is None or not case.causal:
            pytest.skip("reach is None or causal is false: all utterances may be heard")
        features, speakers, layout = random_rows([reach + 4], seed=2)
        whole = case((features, speakers, layout))
        rows = torch.arange(3, reach + 4)
        for name, late in case(picked((features, speakers, layout), rows, [reach + 1])).items():
            assert_close(late[-1], whole[name][-1], atol=1e-12, rtol=0)

    def test_hearing_one_by_one_says_what_the_whole_dialogue_says(self, case: Case) -> None:
        """Where the model streams; a memory that was handed over before gives the same again."""
        if not (case.model.base.streams and case.causal) or isinstance(case.model, DCLF):
            pytest.skip("the model does not stream")
        features, speakers, layout = random_rows()
        whole = case((features, speakers, layout))["hidden"]
        encoded = {m: case.model.encoders[m](features[m]) for m in case.modalities}
        for dialogue in range(len(LENGTHS)):
            memory: Any = None
            for row in rows_of(layout, dialogue).split(1):
                one = {m: x[row] for m, x in encoded.items()}
                hidden, after = case.model.base.hear(one, speakers[row], memory)
                assert_close(hidden, whole[row], atol=1e-10, rtol=0)
                assert torch.equal(case.model.base.hear(one, speakers[row], memory)[0], hidden)
                memory = after

    def test_its_own_terms_are_sums_and_counts_over_the_dialogues(self, case: Case) -> None:
        """Those of ``auxiliary``: each with a weight, so that workers that share a batch have the loss of one."""
        auxiliary = getattr(case.model, "auxiliary", None)
        if auxiliary is None:
            pytest.skip("the model has no terms of its own")
        assert all(weight > 0 for weight in auxiliary.weights.values())
        rows = random_rows()
        whole = _own_terms(case, rows)
        assert whole.keys() == auxiliary.weights.keys()
        parts = [_own_terms(case, picked(rows, rows_of(rows[2], d), [n])) for d, n in enumerate(LENGTHS)]
        for name, term in whole.items():
            assert term.total.isfinite()
            assert_close(torch.stack([part[name].total for part in parts]).sum(), term.total)
            assert sum(float(part[name].count) for part in parts) == pytest.approx(float(term.count))

    def test_its_own_terms_teach(self, case: Case) -> None:
        """Their gradient reaches each of their heads, and the base model."""
        auxiliary = getattr(case.model, "auxiliary", None)
        if auxiliary is None:
            pytest.skip("the model has no terms of its own")
        torch.stack([term.total for term in _own_terms(case, random_rows()).values()]).sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in auxiliary.parameters())
        assert any(p.grad is not None and p.grad.any() for p in case.model.base.parameters())

    def test_the_context_of_a_first_utterance_is_zero(self, case: Case) -> None:
        """It has no history."""
        rows = random_rows()
        assert not case(rows)["context"][rows[2].time == 0].any()

    def test_a_dialogue_alone_is_as_among_others(self, case: Case) -> None:
        """Whatever batch it comes in."""
        rows = random_rows()
        together = case(rows)
        for dialogue, length in enumerate(LENGTHS):
            utterances = rows_of(rows[2], dialogue)
            for name, alone in case(picked(rows, utterances, [length])).items():
                assert_close(alone, together[name][utterances], atol=1e-10, rtol=0)

    def test_the_order_of_dialogues_does_not_matter(self, case: Case) -> None:
        """The rows move with their dialogues."""
        rows, order = random_rows(), [2, 0, 3, 1]
        together, utterances = case(rows), torch.cat([rows_of(rows[2], dialogue) for dialogue in order])
        for name, permuted in case(picked(rows, utterances, [LENGTHS[d] for d in order])).items():
            assert_close(permuted, together[name][utterances], atol=1e-10, rtol=0)

    def test_single_precision_keeps_batch_invariance(self, case: Case) -> None:
        """Within what float32 rounds."""
        case.model.float()
        features, speakers, layout = random_rows()
        rows = ({m: x.float() for m, x in features.items()}, speakers, layout)
        together, utterances = case(rows), rows_of(layout, 2)
        for name, alone in case(picked(rows, utterances, [LENGTHS[2]])).items():
            assert_close(alone, together[name][utterances], atol=1e-5, rtol=0)

    def test_other_dialogues_do_not_leak(self, case: Case) -> None:
        """To the last bit, however large their features are."""
        features, speakers, layout = rows = random_rows()
        before, others = case(rows), layout.dialogue_of != 1
        changed = {m: torch.where(others[:, None], 100 * x, x) for m, x in features.items()}
        for name, after in case((changed, speakers, layout)).items():
            assert torch.equal(after[~others], before[name][~others])

    def test_other_dialogues_do_not_leak_in_training(self, case: Case) -> None:
        """Nor do they by what only training has, such as the mean of a batch; dropout draws the same each time."""
        case.model.train()
        features, speakers, layout = rows = random_rows()
        others = layout.dialogue_of != 1
        changed = {m: torch.where(others[:, None], 100 * x, x) for m, x in features.items()}
        torch.manual_seed(5)
        before = case(rows)
        torch.manual_seed(5)
        for name, after in case((changed, speakers, layout)).items():
            assert torch.equal(after[~others], before[name][~others])

    def test_zero_rows_stay_finite_with_their_gradients(self, case: Case) -> None:
        """Features that are all zero, with biases that are too: a norm or a logarithm of zero shows here."""
        features, speakers, layout = random_rows()
        silent = torch.tensor([0, 6])
        zeroed = {m: x.clone().index_fill_(0, silent, 0.0).requires_grad_() for m, x in features.items()}
        for parameter in case.model.parameters():
            if parameter.ndim == 1:
                parameter.data.zero_()
        output = case((zeroed, speakers, layout))
        _loss(output).backward()
        assert all(rows.isfinite().all() for rows in output.values())
        gradients = [zeroed[modality].grad for modality in case.modalities]
        assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
        assert all(p.grad.isfinite().all() for p in case.model.parameters() if p.grad is not None)

    def test_gradients_reach_every_parameter_of_the_base_model(self, case: Case) -> None:
        """But those in ``idle``, where one modality is alone."""
        _loss(case(random_rows())).backward()
        missing = {n for n, p in case.model.base.named_parameters() if p.grad is None or not p.grad.any()}
        assert missing <= (self.idle if len(case.modalities) == 1 else frozenset())

    def test_gradients_are_those_of_finite_differences(self, case: Case) -> None:
        """In float64, to every modality."""
        features, speakers, layout = random_rows([3, 2], seed=5)
        names = case.modalities

        def outputs(*inputs: Tensor) -> tuple[Tensor, ...]:
            return tuple(case((dict(zip(names, inputs, strict=True)), speakers, layout)).values())

        inputs = [features[m].clone().requires_grad_() for m in names]
        assert torch.autograd.gradcheck(outputs, inputs, fast_mode=True)

    def test_mixed_precision_is_near_full_precision(self, case: Case) -> None:
        """``train.precision: bf16``, with finite gradients."""
        case.model.float()
        features, speakers, layout = random_rows()
        rows = ({m: x.float() for m, x in features.items()}, speakers, layout)
        full = case(rows)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = case(rows)
            _loss({name: out.float() for name, out in mixed.items()}).backward()
        for name in full:
            assert_close(mixed[name].float(), full[name], atol=0.1, rtol=0.1)
        assert all(p.grad.isfinite().all() for p in case.model.parameters() if p.grad is not None)


def _own_terms(case: Case, rows: Rows) -> Mapping[str, Term]:
    """The terms that the base model brings, by a plain cross-entropy; labels follow from the features."""
    features, speakers, layout = rows
    assert isinstance(case.model, DCLF)
    labels = (features["text"][:, 0] * 10).long() % len(INFO.class_names)
    positions, names = torch.full_like(labels, -1), tuple(f"d{n}" for n in range(layout.dialogues))
    batch = Batch(layout, features, speakers, labels, positions, names)
    output: DCLFOutput = case.model({m: features[m] for m in case.modalities}, speakers, layout)
    assert case.model.auxiliary is not None
    terms: Mapping[str, Term] = case.model.auxiliary(output.base, output.logits, batch, _cross_entropy)
    return terms


def _cross_entropy(logits: Tensor, labels: Tensor) -> Term:
    return Term(nn.functional.cross_entropy(logits, labels, reduction="sum"), torch.tensor(float(len(labels))))


def _loss(output: Mapping[str, Tensor]) -> Tensor:
    return torch.stack([rows.square().sum() for rows in output.values()]).sum()
