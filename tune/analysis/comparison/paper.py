"""What the paper says of a variant: its numbers from a configuration's ``published`` section or from a study file.

Percent in the files, [0, 1] here, under the names of ``dclf.metrics`` and of Table 7 (``shift/wf1``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ABLATE, MODEL, WINDOW = "loss.ablate", "model.name", "loss.window"
GAMMA_CA, GAMMA_MC = "loss.gamma_ca", "loss.gamma_mc"
METHODS = {"none": "dclf", "base": "base"}
"""``loss.ablate`` -> the row of Tables 3, 6 and 7."""
OPTIMUM = {"iemocap": ("IEMOCAP", 0.8), "meld": ("MELD", 0.6)}
"""Data set -> its name, and the gamma_ca where section 5.4.2 and Figure 4 see the best WF1; gamma_mc is not named."""
_SHIFTS = {"whole": "wf1", "without_shift": "no_shift/wf1", "with_shift": "shift/wf1"}


def row_scores(paper: Mapping[str, Any], method: str) -> dict[str, float]:
    """Tables 3, 6 and 7 of a base model's row; Table 6 as ``raw``, ``eccs`` and ``eics``.

    Args:
        paper: the ``published`` section of the base model.
        method: ``base`` or ``dclf``.
    """
    table3, table7 = paper.get("table3", {}), paper.get("table7", {})
    scores = dict(table3.get(method, {}))
    for kind in ("accuracy", "f1"):
        scores |= {f"{kind}/{label}": value for label, value in table3.get(f"{method}_{kind}", {}).items()}
    row = table7.get(method, {})
    scores |= {name: row[key] for key, name in _SHIFTS.items() if key in row}
    scores |= paper.get("table6", {}).get(method, {})
    return shares(scores)


def variant_scores(paper: Mapping[str, Any], params: Mapping[str, Any], ablate: str) -> dict[str, float]:
    """The paper's scores where a variant of an ablation or grid is a row of its tables; empty where it is none.

    Args:
        paper: the ``published`` section of the variant's base model.
        params: what the variant changes.
        ablate: ``loss.ablate`` of the configuration; the paper's windows are of the whole framework.
    """
    changed = params.keys() - {MODEL}
    if changed == {ABLATE}:
        part = params[ABLATE]
        ablated = paper.get("table4", {}).get(part)
        whole = row_scores(paper, METHODS[part]) if part in METHODS else {}
        return {**whole, **({} if ablated is None else shares({"wf1": ablated}))}
    if changed == {WINDOW} and ablate == "none":
        wf1 = paper.get("table5_window", {}).get(str(params[WINDOW]))
        return {} if wf1 is None else shares({"wf1": wf1})
    return {}


def shares(percent: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among the values, from percent to [0, 1]."""
    return {key: float(value) / 100 for key, value in percent.items() if isinstance(value, int | float)}
