"""The contrastive losses of DCLF: context-aware (eq. 6-10) and modality contribution (Algorithm 1).

``own_terms`` has the terms of other packages.
"""

from dclf.losses.context import context_contrastive_loss, context_terms
from dclf.losses.contrast_head import ContextContrast
from dclf.losses.modality import modality_contribution_loss, modality_terms
from dclf.losses.terms import Term

__all__ = [
    "ContextContrast",
    "Term",
    "context_contrastive_loss",
    "context_terms",
    "modality_contribution_loss",
    "modality_terms",
]
