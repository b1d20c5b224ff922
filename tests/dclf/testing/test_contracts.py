"""The contracts find what they are there for: a model, an importer and a loss term that break each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dclf.config import LossConfig, ModelConfig
from dclf.data.batch import Batch
from dclf.data.dialogue import SPLITS, DatasetInfo, Dialogue
from dclf.layout import Layout
from dclf.losses import Term
from dclf.models.contract import Auxiliary, BaseModel, BaseOutput, CrossEntropy
from dclf.models.framework import DCLF
from dclf.models.mmgcn import MMGCN
from dclf.testing import BaseModelContract, ImporterContract, LossTermContract
from dclf.testing.base_models import Case, Encoded
from dclf.testing.batches import INFO, SUBSETS
from dclf.testing.loss_terms import MODEL

WIDTH = 5


class Broken(BaseModel):
    """Sums the modalities; ``context`` and ``hidden`` say what is wrong with a model."""

    Config = MMGCN.Config
    bidirectional = False

    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: MMGCN.Config) -> None:
        super().__init__(modalities, speaker_count, causal, config)
        self.encoder_width = self.hidden_width = self.state_width = self.context_width = WIDTH
        self.layer, self.unused = nn.Linear(WIDTH, WIDTH), nn.Linear(1, 1)

    def forward(self, encoded: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> BaseOutput:
        x = self.layer(torch.stack(list(encoded.values())).sum(0))
        past = layout.pack(layout.pad(x).cumsum(1) - layout.pad(x))
        hidden = self.hidden(x + past, layout)
        return BaseOutput(hidden=hidden, state=hidden, context=self.context(past, layout))

    def hidden(self, rows: Tensor, layout: Layout) -> Tensor:
        return rows

    def context(self, past: Tensor, layout: Layout) -> Tensor:
        return past


class HearsLater(Broken):
    def hidden(self, rows: Tensor, layout: Layout) -> Tensor:
        return layout.pack(layout.pad(rows).flip(1).cumsum(1).flip(1))


class HearsOthers(Broken):
    def hidden(self, rows: Tensor, layout: Layout) -> Tensor:
        return rows - rows.mean(0)


class NormsTheBatch(Broken):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.norm = nn.BatchNorm1d(WIDTH)

    def hidden(self, rows: Tensor, layout: Layout) -> Tensor:
        normed: Tensor = self.norm(rows)
        return normed


class ForgetsHistory(Broken):
    def context(self, past: Tensor, layout: Layout) -> Tensor:
        return torch.zeros_like(past)


class RemembersNothing(Broken):
    def context(self, past: Tensor, layout: Layout) -> Tensor:
        return past + 1


class TooWide(Broken):
    def context(self, past: Tensor, layout: Layout) -> Tensor:
        return torch.cat([past, past], dim=-1)


class Divides(Broken):
    def hidden(self, rows: Tensor, layout: Layout) -> Tensor:
        return rows / rows.norm(dim=-1, keepdim=True)


class Copies(Broken):
    def hidden(self, rows: Tensor, layout: Layout) -> Tensor:
        return rows * rows.detach()


class Terms(Auxiliary):
    """A head's cross-entropy divided by the rows of the batch, and a layer that nothing reads."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weights = {"extra": 0.5}
        self.head, self.unused = nn.Linear(WIDTH, classes), nn.Linear(1, 1)

    def forward(self, output: BaseOutput, logits: Tensor, batch: Batch, cross_entropy: CrossEntropy) -> dict[str, Term]:
        term = cross_entropy(self.head(output.hidden), batch.labels)
        return {"extra": Term(term.total / len(logits), term.count)}


class DividesItsTerm(Broken):
    def auxiliary(self, class_names: Sequence[str]) -> Auxiliary:
        return Terms(len(class_names))


class ForgetsTheFirst(Broken):
    """Streams without its memory."""

    streams = True

    def hear(self, encoded: Mapping[str, Tensor], speaker: Tensor, memory: object) -> tuple[Tensor, object]:
        return self.layer(torch.stack(list(encoded.values())).sum(0)), None


CHECKS: list[tuple[type[Broken], Callable[[BaseModelContract, Case], None]]] = [
    (HearsLater, BaseModelContract.test_later_utterances_change_nothing_earlier),
    (HearsOthers, BaseModelContract.test_other_dialogues_do_not_leak),
    (HearsOthers, BaseModelContract.test_a_dialogue_alone_is_as_among_others),
    (HearsOthers, BaseModelContract.test_single_precision_keeps_batch_invariance),
    (NormsTheBatch, BaseModelContract.test_other_dialogues_do_not_leak_in_training),
    (ForgetsHistory, BaseModelContract.test_history_is_used),
    (RemembersNothing, BaseModelContract.test_the_context_of_a_first_utterance_is_zero),
    (TooWide, BaseModelContract.test_shapes_are_as_announced),
    (Divides, BaseModelContract.test_zero_rows_stay_finite_with_their_gradients),
    (Broken, BaseModelContract.test_gradients_reach_every_parameter_of_the_base_model),
    (ForgetsTheFirst, BaseModelContract.test_hearing_one_by_one_says_what_the_whole_dialogue_says),
    (DividesItsTerm, BaseModelContract.test_its_own_terms_are_sums_and_counts_over_the_dialogues),
    (DividesItsTerm, BaseModelContract.test_its_own_terms_teach),
]


@pytest.mark.parametrize(("model", "check"), CHECKS, ids=[f"{m.__name__}-{c.__name__}" for m, c in CHECKS])
def test_a_broken_model_is_found(model: type[Broken], check: Callable[[BaseModelContract, Case], None]) -> None:
    with pytest.raises(AssertionError):
        check(contract_of(model), case_of(model))


def test_gradients_that_are_none_are_found() -> None:
    with pytest.raises(RuntimeError, match="Jacobian"):
        BaseModelContract().test_gradients_are_those_of_finite_differences(case_of(Copies))


@pytest.mark.parametrize(
    "check",
    [
        BaseModelContract.test_nothing_beyond_the_reach_is_heard,
        BaseModelContract.test_hearing_one_by_one_says_what_the_whole_dialogue_says,
        BaseModelContract.test_its_own_terms_are_sums_and_counts_over_the_dialogues,
        BaseModelContract.test_its_own_terms_teach,
    ],
)
def test_what_a_model_does_not_have_is_skipped(check: Callable[[BaseModelContract, Case], None]) -> None:
    with pytest.raises(pytest.skip.Exception):
        check(contract_of(Broken), case_of(Broken))


def contract_of(model: type[Broken]) -> BaseModelContract:
    class Contract(BaseModelContract):
        name = f"{__name__}:{model.__name__}"

    return Contract()


def case_of(model: type[Broken]) -> Case:
    torch.manual_seed(3)
    config = ModelConfig(name=f"{__name__}:{model.__name__}")
    wearing = model.auxiliary is not Broken.auxiliary
    whole = DCLF(INFO, SUBSETS[-1], config, LossConfig(ica_width=4)) if wearing else Encoded(config, SUBSETS[-1])
    return Case(whole.double().eval(), SUBSETS[-1], causal=True)


drawn = np.random.default_rng()


def unseeded(source: Path, splits: str = "all", width: int = 1) -> tuple[DatasetInfo, Iterator[Dialogue]]:
    """Draws its features anew each time, may lack splits and announces a width of 1."""
    info = DatasetInfo(dataset="own", class_names=("a",), widths={"text": 1}, speaker_count=1)
    zeros = np.zeros(2, dtype=np.int32)

    def dialogues() -> Iterator[Dialogue]:
        for split in SPLITS if splits == "all" else SPLITS[:2]:
            features = {"text": drawn.standard_normal((2, width)).astype(np.float32)}
            yield Dialogue(dialogue_id=split, split=split, speakers=zeros, labels=zeros, features=features)

    return info, dialogues()


class Unseeded(ImporterContract):
    name = f"{__name__}:unseeded"


class WithoutTest(Unseeded):
    options: ClassVar = {"splits": "two"}


class Wide(Unseeded):
    options: ClassVar = {"width": 2}


class WithoutOption(Unseeded):
    options: ClassVar = {"colour": "red"}


def test_a_broken_importer_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        Unseeded().test_the_same_source_gives_the_same_shards(tmp_path, tmp_path)
    with pytest.raises(AssertionError):
        Unseeded().test_the_provenance_says_what_was_read(tmp_path, tmp_path)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        Unseeded().test_a_source_that_is_not_there_is_named(tmp_path / "other")
    with pytest.raises(AssertionError):
        WithoutTest().test_dialogues_are_sound(tmp_path)
    with pytest.raises(AssertionError):
        Wide().test_dialogues_are_sound(tmp_path)
    with pytest.raises(AssertionError):
        WithoutOption().test_its_options_are_its_own()


def test_a_contract_without_a_source_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match="Unseeded must have a method source"):
        Unseeded().source(tmp_path)


def mean(output: object, batch: object) -> Term:
    """No sum: the parts of a batch do not add up."""
    logits: Tensor = output.logits  # type: ignore[attr-defined]
    return Term(total=logits.square().mean(), count=torch.tensor(1.0))


def unbounded(output: object, batch: object) -> Term:
    logits: Tensor = output.logits  # type: ignore[attr-defined]
    return Term(total=logits.exp().sum(), count=torch.tensor(float(len(logits))))


def idle(output: object, batch: object) -> Term:
    logits: Tensor = output.logits.detach()  # type: ignore[attr-defined]
    return Term(total=(logits.sum() * 0).requires_grad_(), count=torch.tensor(float(len(logits))))


@pytest.mark.parametrize(
    ("term", "check"),
    [
        ("mean", LossTermContract.test_sums_and_counts_add_up_over_the_dialogues),
        ("unbounded", LossTermContract.test_no_certainty_breaks_it),
        ("idle", LossTermContract.test_its_gradient_is_finite_and_reaches_the_model),
    ],
)
def test_a_broken_loss_term_is_found(term: str, check: Callable[[LossTermContract, DCLF], None]) -> None:
    class Contract(LossTermContract):
        name = f"{__name__}:{term}"

    torch.manual_seed(3)
    model = DCLF(INFO, SUBSETS[-1], MODEL, LossConfig(ica_width=4)).double().eval()
    with pytest.raises(AssertionError):
        check(Contract(), model)
