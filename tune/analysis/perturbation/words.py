"""How the conditions of a test are called."""

from __future__ import annotations

from dclf.perturb import Corruption
from tune.analysis.perturbation.data import Condition, Cut, Draw, Raw
from tune.analysis.perturbation.settings import PerturbationSettings


def condition_text(condition: Condition, settings: PerturbationSettings) -> str:
    """A condition in words, such as ``eics, draw 2 of 5``."""
    match condition:
        case Raw():
            return "raw"
        case Cut():
            return "up to the target"
        case Draw(kind, number):
            return f"{kind}, draw {number + 1} of {settings.draws}"
        case Corruption():
            return f"{'+'.join(condition.modalities)}, {condition.damage}, {100 * condition.share:g} %"
