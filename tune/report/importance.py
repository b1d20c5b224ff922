"""Optuna's parameter importance without scikit-learn, which a process of ours that writes reports can do without.

Reports use Optuna's default, PED-ANOVA, which needs nothing further. The package has evaluators beside it that are made
of random forests, and importing scikit-learn for them takes longer than all else of a report: 2.1 of 5 s.
"""

from __future__ import annotations

import sys
from importlib import import_module


def leave_out_forests() -> None:
    """Import ``optuna.importance`` without scikit-learn.

    For processes that nobody else works in: Optuna's fANOVA and mean decrease of impurity then say that scikit-learn is
    missing. Nothing happens where the package has been imported before.
    """
    if "optuna.importance" in sys.modules or "sklearn" in sys.modules:
        return
    # Python's way to say that a module cannot be imported.
    sys.modules["sklearn"] = None  # type: ignore[assignment]
    try:
        import_module("optuna.importance")
    finally:
        del sys.modules["sklearn"]
