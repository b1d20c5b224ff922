"""The perturbation suite: substituted contexts (section 5.5; Tables 1 and 6), missing and noisy modalities."""

from dclf.perturb.conversations import Conversations, Labelled, fingerprint
from dclf.perturb.corruption import SHARES, Corruption, corruptions
from dclf.perturb.draw import KINDS, Kind, own_context, substitute_context
from dclf.perturb.scoring import (
    Outcome,
    perturbation_test,
    score_corrupted,
    score_raw,
    score_substituted,
)
from dclf.perturb.substitutions import Substitutions, read_substitutions, write_substitutions

__all__ = [
    "KINDS",
    "SHARES",
    "Conversations",
    "Corruption",
    "Kind",
    "Labelled",
    "Outcome",
    "Substitutions",
    "corruptions",
    "fingerprint",
    "own_context",
    "perturbation_test",
    "read_substitutions",
    "score_corrupted",
    "score_raw",
    "score_substituted",
    "substitute_context",
    "write_substitutions",
]
