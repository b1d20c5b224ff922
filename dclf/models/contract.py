"""What DCLF asks of a base model.

A base model is the paper's SMMF (eq. 2): it turns encoded modalities into the emotional hidden state of every
utterance. A new one is a class derived from ``BaseModel``, here or in another package, and passes the contract tests of
``dclf.testing`` like those that ship.

    N   utterances of the batch, packed dialogue after dialogue (``dclf.layout``)
    E   encoder width, d hidden width, s state width, c context width, C emotion classes
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from dclf.data.batch import Batch
from dclf.extensions import ExtensionError
from dclf.layout import Layout
from dclf.losses.terms import Term
from dclf.models import BASE_MODELS
from dclf.models.dropout import Dropout


@dataclass(frozen=True, eq=False)
class BaseOutput:
    """What a base model says of N utterances.

    Attributes:
        hidden: [N, d], what the decoder reads (eq. 2-3).
        state: [N, s], the part of ``hidden`` that context shaped: the h of the context contrast (eq. 6-10).
        context: [N, c], the dialogue summary c_i of eq. 6. Row i sums up utterances before i only, utterance i
            being at most the query, and is zero for the first utterance of a dialogue.
        auxiliary: name -> [N, width], what the model's ``Auxiliary`` reads beside ``hidden``.
    """

    hidden: Tensor
    state: Tensor
    context: Tensor
    auxiliary: Mapping[str, Tensor] = field(default_factory=dict)


CrossEntropy = Callable[[Tensor, Tensor], Term]
"""(logits [K, C], labels int64 [K]) -> the configured cross-entropy, with its class weights and focal exponent."""


class Auxiliary(nn.Module, ABC):
    """Terms of the loss that belong to a base model, with the heads that only they need.

    Attributes:
        weights: name of the term -> its weight, above 0; a term whose weight is 0 is not there.
    """

    weights: Mapping[str, float]

    @abstractmethod
    def forward(
        self, output: BaseOutput, logits: Tensor, batch: Batch, cross_entropy: CrossEntropy
    ) -> Mapping[str, Term]:
        """The terms of ``weights``, each a sum and a count, so that workers can add them up.

        Args:
            output: of the labelled utterances, K rows.
            logits: [K, C], the decision of the whole model.
            batch: the labelled utterances: labels, speakers, layout, and which features are missing.
            cross_entropy: of any logits of the emotion classes.
        """


class BaseModel(nn.Module, ABC):
    """A multimodal conversational model without encoders.

    Subclasses take ``(modalities, speaker_count, causal, config)`` with ``config`` an instance of ``Config`` and set
    the four widths. With ``causal`` true no output row may depend on a later utterance of the dialogue.
    """

    Config: ClassVar[type[Any]]
    """The dataclass of the model's own hyperparameters; ``dropout``, which the decoder shares, is one of them."""

    bidirectional: ClassVar[bool] = True
    """Whether there is a form that hears later utterances; without one ``causal`` false is a ValueError."""

    real_time: ClassVar[bool] = True
    """Whether there is a form that hears no later utterance; without one ``causal`` true is a ValueError."""

    streams: ClassVar[bool] = False
    """Whether ``hear`` answers an utterance without going through the earlier ones again."""

    reach: int | None = None
    """With ``causal``, how many utterances back an output row may look at most; None where it may be all of them."""

    encoder_width: int | Mapping[str, int]
    """E, of every modality or per modality."""

    hidden_width: int
    state_width: int
    context_width: int

    @abstractmethod
    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: Any) -> None:
        super().__init__()
        if not causal and not self.bidirectional:
            raise ValueError(f"causal must be true for {type(self).__name__}, which reads forwards only, is false")
        if causal and not self.real_time:
            raise ValueError(f"causal must be false for {type(self).__name__}, which has no causal form, is true")
        self._decoder_dropout = config.dropout

    @abstractmethod
    def forward(self, encoded: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> BaseOutput:
        """Model the conversation.

        Args:
            encoded: modality -> u^m [N, E], the output of the modality encoders (eq. 1).
            speakers: int64 [N], 0 .. speaker_count - 1.
            layout: which rows form which dialogue.
        """

    def decoder(self, width: int, classes: int) -> nn.Module:
        """The layers from [h_i; P_m(u^m_i) for m in M] to the logits (eq. 3): here ReLU, dropout and a linear layer.

        A model whose authors decode otherwise has layers of its own. What they have before their last layer and its
        activation belongs to ``hidden``, so that the projections of ICA join in front of the last layer.

        Args:
            width: d and the widths of the projections.
            classes: C.
        """
        return nn.Sequential(nn.ReLU(), Dropout(self._decoder_dropout), nn.Linear(width, classes))

    def auxiliary(self, class_names: Sequence[str]) -> Auxiliary | None:  # noqa: ARG002 - for those that have some
        """The model's own terms of the loss; None where it has none, or where all their weights are 0.

        Args:
            class_names: C emotions.
        """
        return None

    @classmethod
    def check_classes(cls, config: Any, class_names: Sequence[str]) -> None:
        """Refuse classes that the model cannot learn; asked before a run starts.

        Args:
            config: an instance of ``Config``.
            class_names: C emotions.

        Raises:
            ValueError: says what must hold, what came instead and what to do.
        """

    def hear(self, encoded: Mapping[str, Tensor], speaker: Tensor, memory: Any | None) -> tuple[Tensor, Any]:
        """The next utterance of a conversation; in evaluation and with ``causal`` only.

        Args:
            encoded: modality -> u^m [1, E].
            speaker: int64 [1].
            memory: what the utterance before gave; None at the first. It is not changed.

        Returns:
            ``hidden`` [1, d] as ``forward`` has it, and the memory for the next utterance.
        """
        raise NotImplementedError(f"{type(self).__name__} does not stream: it needs the whole dialogue")

    def encoder_width_of(self, modality: str) -> int:
        """E of this modality."""
        return self.encoder_width if isinstance(self.encoder_width, int) else self.encoder_width[modality]


def base_model_class(name: str) -> type[BaseModel]:
    """The base model of this name: one that ships, an entry point's or a class path's.

    Raises:
        ExtensionError: there is none, it cannot be imported, or it is no base model.
    """
    kind = BASE_MODELS.load(name)
    if not (inspect.isclass(kind) and issubclass(kind, BaseModel)) or inspect.isabstract(kind):
        raise BASE_MODELS.refuse(name, f"a class derived from {BaseModel.__module__}.BaseModel with a forward", kind)
    options = getattr(kind, "Config", None)
    if not (inspect.isclass(options) and is_dataclass(options)):
        raise BASE_MODELS.refuse(name, "a class whose Config is a dataclass of its options", f"one with {options!r}")
    by_name = {option.name: option for option in fields(options)}
    if "dropout" not in by_name:
        raise BASE_MODELS.refuse(
            name,
            "a class whose Config has the field dropout, which the decoder shares",
            f"one with {', '.join(by_name)}",
        )
    bare = [key for key, option in by_name.items() if option.default is MISSING and option.default_factory is MISSING]
    if bare:
        raise BASE_MODELS.refuse(
            name, "a class whose Config has a default for every field", f"one without for {', '.join(bare)}"
        )
    return kind


def find_base_model(name: str) -> type[BaseModel] | None:
    """As ``base_model_class``; None for what that refuses, which ``Config.problems`` tells."""
    try:
        return base_model_class(name)
    except ExtensionError:
        return None
