"""The perturbation suite: substituted contexts (section 5.5; Tables 1 and 6), missing and noisy modalities."""

from dclf.perturb.batches import ScoredBatch, perturbed_batches, whole_batches
from dclf.perturb.conversations import Conversations, Labelled, fingerprint
from dclf.perturb.corruption import SHARES, Corruption, corruptions, utterance_mask
from dclf.perturb.draw import KINDS, Kind, own_context, substitute_context
from dclf.perturb.scoring import (
    Outcome,
    Recogniser,
    Scorable,
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
    "Recogniser",
    "Scorable",
    "ScoredBatch",
    "Substitutions",
    "corruptions",
    "fingerprint",
    "own_context",
    "perturbation_test",
    "perturbed_batches",
    "read_substitutions",
    "score_corrupted",
    "score_raw",
    "score_substituted",
    "substitute_context",
    "utterance_mask",
    "whole_batches",
    "write_substitutions",
]
