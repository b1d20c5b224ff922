"""How a test's model and conditions are called, and what the paper says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dclf.config import Config
from dclf.perturb import Corruption
from tune.perturbed.data import Condition, Cut, Draw, Raw
from tune.perturbed.settings import PerturbationSettings


def model_label(config: Config) -> str:
    """Base model and what stands around it: ``mmgcn``, ``mmgcn + dclf``, ``mmgcn + dclf (no_cacl)``."""
    around = {"none": " + dclf", "base": ""}.get(config.loss.ablate, f" + dclf ({config.loss.ablate})")
    return f"{config.model.name}{around}"


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


def published_scores(config: Config) -> Mapping[str, Any]:
    """The paper's Table 6 for this model, WF1 in percent, and the dataset; empty where the run's preset has none.

    DialogueRNN and AGHMN are in its Table 1 alone, without DCLF and with one modality.
    """
    method = {"none": "dclf", "base": "base"}.get(config.loss.ablate, "")
    try:
        tables = config.published[config.model.name]
        alone = method == "base" and len(config.data.modalities) == 1
        row = tables["table1"] if alone and "table1" in tables else tables["table6"][method]
        values = {name: float(row[name]) for name in ("raw", "eccs", "eics")}
    except (KeyError, TypeError, ValueError):  # users' own files may say nothing, or other things
        return {}
    return {**values, "dataset": config.published.get("dataset", "another dataset")}
