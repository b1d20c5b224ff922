"""Loss terms of other packages, added to eq. 11 with a weight of their own (``loss.terms``).

A term is a function of the framework's output and the batch, ``(DCLFOutput, Batch) -> Term``: a sum over the utterances
that it counts, with its gradient, and their number. Workers add sums and counts before they divide, so that two workers
give the loss of one; a term that forms its mean by itself cannot keep that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from dclf.extensions import ExtensionPoint
from dclf.losses.terms import Term

LossTerm = Callable[[Any, Any], Term]

LOSS_TERMS = ExtensionPoint("dclf.losses", "loss term", reserved=("total", "ce", "ca", "mc", "unimodal"))


def loss_term(name: str) -> LossTerm:
    """The loss term of this name: an entry point's or a class path's.

    Raises:
        ExtensionError: there is none, it cannot be imported, or cannot be called.
    """
    term: LossTerm = LOSS_TERMS.load(name)
    if not callable(term) or isinstance(term, type):
        raise LOSS_TERMS.refuse(name, "a function of DCLFOutput and Batch that returns a Term", repr(term))
    return term


def loss_terms(weights: Mapping[str, float]) -> dict[str, LossTerm]:
    """Name -> function of each term that has a weight."""
    return {name: loss_term(name) for name in weights}


def require_term(name: str, result: Any) -> Term:
    """Return the result of a term once it is known to be sound.

    Raises:
        TypeError: it is no ``Term`` of two scalars.
    """
    if isinstance(result, Term) and all(isinstance(part, Tensor) and not part.ndim for part in _parts(result)):
        return result
    raise TypeError(f"loss term {name} must return a Term of two scalar tensors, sum and count, returned {result!r}")


def _parts(term: Any) -> tuple[Any, Any]:
    """Sum and count, which another package may have filled with anything."""
    return term.total, term.count
