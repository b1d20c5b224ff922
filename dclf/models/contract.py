"""What DCLF asks of a base model.

A base model is the paper's SMMF (eq. 2): it turns encoded modalities into the emotional hidden state of every
utterance. A new one is a class derived from ``BaseModel``, here or in another package, and passes the contract tests of
``dclf.testing`` like those that ship.

    N   utterances of the batch, packed dialogue after dialogue (``dclf.layout``)
    E   encoder width, d hidden width, s state width, c context width
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from dclf.extensions import ExtensionError
from dclf.layout import Layout
from dclf.models import BASE_MODELS


@dataclass(frozen=True, eq=False)
class BaseOutput:
    """What a base model says of N utterances.

    Attributes:
        hidden: [N, d], what the emotion decoder reads (eq. 2-3).
        state: [N, s], the part of ``hidden`` that context shaped: the h of the context contrast (eq. 6-10).
        context: [N, c], the dialogue summary c_i of eq. 6. Row i depends on utterances before i only and is zero for
            the first utterance of a dialogue.
    """

    hidden: Tensor
    state: Tensor
    context: Tensor


class BaseModel(nn.Module, ABC):
    """A multimodal conversational model without encoders and decoder.

    Subclasses take ``(modalities, speaker_count, causal, config)`` with ``config`` an instance of ``Config`` and set
    the four widths. With ``causal`` true no output row may depend on a later utterance of the dialogue.
    """

    Config: ClassVar[type[Any]]
    """The dataclass of the model's own hyperparameters; ``dropout``, which the decoder shares, is one of them."""

    bidirectional: ClassVar[bool] = True
    """Whether there is a form that hears later utterances; without one ``causal`` false is a ValueError."""

    reach: int | None = None
    """With ``causal``, how many utterances back an output row may look at most; None where it may be all of them."""

    encoder_width: int
    hidden_width: int
    state_width: int
    context_width: int

    @abstractmethod
    def __init__(self, modalities: Sequence[str], speaker_count: int, causal: bool, config: Any) -> None:
        super().__init__()
        if not causal and not self.bidirectional:
            raise ValueError(f"causal must be true for {type(self).__name__}, which reads forwards only, is false")

    @abstractmethod
    def forward(self, encoded: Mapping[str, Tensor], speakers: Tensor, layout: Layout) -> BaseOutput:
        """Model the conversation.

        Args:
            encoded: modality -> u^m [N, E], the output of the modality encoders (eq. 1).
            speakers: int64 [N], 0 .. speaker_count - 1.
            layout: which rows form which dialogue.
        """


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
    named = {option.name: option for option in fields(options)}
    if "dropout" not in named:
        raise BASE_MODELS.refuse(
            name, "a class whose Config has the field dropout, which the decoder shares", f"one with {', '.join(named)}"
        )
    bare = [key for key, option in named.items() if option.default is MISSING and option.default_factory is MISSING]
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
