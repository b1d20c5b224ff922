"""What the paper says of a model under perturbed contexts: its Tables 1 and 6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dclf.config import Config
from dclf.paper_data import unlike_paper
from tune.analysis.comparison.paper import METHODS

SCORES = ("raw", "eccs", "eics")


def model_label(config: Config) -> str:
    """Return base model and what stands around it: ``mmgcn``, ``mmgcn + dclf``, ``mmgcn + dclf (no_cacl)``."""
    around = {"none": " + dclf", "base": ""}.get(config.loss.ablate, f" + dclf ({config.loss.ablate})")
    return f"{config.model.name}{around}"


def comparable_scores(config: Config, shards: str) -> dict[str, float]:
    """Return ``published_row`` of a run, as far as it is of these data (``dclf.paper_data``).

    Args:
        config: of the run.
        shards: folder or URI of the data it is tested on.
    """
    row = published_row(config.published, config.model.name, config.loss.ablate, config.data.modalities)
    return {} if not row or unlike_paper(config, shards) else row


def published_row(published: Mapping[str, Any], model: str, ablate: str, modalities: Sequence[str]) -> dict[str, float]:
    """Return ``raw``, ``eccs`` and ``eics`` in [0, 1]; empty where the paper has no such row.

    DialogueRNN and AGHMN are in Table 1 alone, without DCLF and with one modality; the others are in Table 6.

    Args:
        published: of a configuration.
        model: the base model.
        ablate: as ``loss.ablate``.
        modalities: that the model reads.
    """
    method = METHODS.get(ablate, "")
    try:
        tables = published[model]
        alone = method == "base" and len(modalities) == 1
        row = tables["table1"] if alone and "table1" in tables else tables["table6"][method]
        return {name: float(row[name]) / 100 for name in SCORES}
    except (KeyError, TypeError, ValueError):  # users' own files may say nothing, or other things
        return {}
