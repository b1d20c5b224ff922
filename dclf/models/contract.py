"""What DCLF asks of a base model, and the register of those that answer.

A base model is the paper's SMMF (eq. 2): it turns encoded modalities into the emotional hidden state of every
utterance. A new one is one file that defines a ``BaseModel`` and registers it; it then passes the contract tests in
``tests/dclf/models`` like the others.

    N   utterances of the batch, packed dialogue after dialogue (``dclf.layout``)
    E   encoder width, d hidden width, s state width, c context width
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

from torch import Tensor, nn

from dclf.layout import Layout


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


_REGISTRY: dict[str, type[BaseModel]] = {}


def register(name: str) -> Callable[[type[BaseModel]], type[BaseModel]]:
    """Class decorator: make a base model available as ``model.name: <name>``."""

    def enter(model: type[BaseModel]) -> type[BaseModel]:
        if name in _REGISTRY:
            raise ValueError(f"base model name {name!r} is taken by {_REGISTRY[name].__name__}; choose another")
        _REGISTRY[name] = model
        return model

    return enter


def _load_shipped() -> None:
    # Imported here and not above, because the models that ship import this module.
    import_module("dclf.models.catalogue")


def base_model_class(name: str) -> type[BaseModel]:
    """The registered base model of this name; ValueError names the known ones."""
    _load_shipped()
    if name not in _REGISTRY:
        raise ValueError(f"unknown base model {name!r}: choose one of {', '.join(base_model_names())}")
    return _REGISTRY[name]


def base_model_names() -> tuple[str, ...]:
    """Names of all registered base models, sorted."""
    _load_shipped()
    return tuple(sorted(_REGISTRY))
