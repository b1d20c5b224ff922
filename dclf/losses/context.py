"""Context-aware contrastive loss L_CA (eq. 7-10).

    N   anchors h_i          P   positives g_p per anchor        Q   negatives g_n per anchor
    d   width                F   exp(cos(h_i, g) / tau)          |P| positives that the mask admits

Per anchor, with the sums over the pairs that the masks admit:

    denominator "negatives"   -log( (1/|P|)  sum_p F / sum_n F )                 eq. 10 to the letter
    denominator "all"         -log( (1/|P|)  sum_p F / (sum_p F + sum_n F) )     the same above all pairs
    denominator "khosla"      -(1/|P|) sum_p log( F_p / (sum_p F + sum_n F) )    Khosla et al. (2020), L_out

Khosla's supervised contrastive loss averages logarithms over the positives; eq. 10 takes the logarithm of the sum, and
so does "all": it differs from eq. 10 in the denominator alone, and is least where any one positive is near, whereas
Khosla's asks it of each. Eq. 10 has no lower bound (positives and negatives can be driven apart for ever), the others
have one: log |P|. Where eq. 10 sums over the anchors we take the mean over those that count, so that the weight
gamma_ca does not depend on the batch size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dclf.losses.cosine import cosine_to_each, full_precision, without_autocast
from dclf.losses.terms import AnchorTerms, Denominator, check_denominator, check_temperature


def context_contrastive_loss(
    anchor: Tensor,
    positives: Tensor,
    negatives: Tensor,
    positive_mask: Tensor,
    negative_mask: Tensor,
    temperature: float,
    denominator: Denominator = "negatives",
) -> Tensor:
    """L_CA of N anchors: the mean over those with at least one positive and one negative.

    Args:
        anchor: h_i [N, d].
        positives: g_p [N, P, d].
        negatives: g_n [N, Q, d].
        positive_mask: bool [N, P], true on real positives.
        negative_mask: bool [N, Q], true on real negatives.
        temperature: tau, above 0.
        denominator: which pairs stand below the fraction bar, see the module.

    Returns:
        A scalar, zero when no anchor counts. float32, or float64 for float64 input; never less under autocast.

    Raises:
        ValueError: shapes that do not fit each other, an unknown denominator, an impossible temperature.
    """
    _check_vectors(anchor, positives, negatives)
    with without_autocast(anchor):
        h, p, n = full_precision(anchor), full_precision(positives), full_precision(negatives)
        cosines = cosine_to_each(h, p), cosine_to_each(h, n)
    return context_terms(*cosines, positive_mask, negative_mask, temperature, denominator).mean()


def context_terms(
    positive_cosine: Tensor,
    negative_cosine: Tensor,
    positive_mask: Tensor,
    negative_mask: Tensor,
    temperature: float,
    denominator: Denominator = "negatives",
) -> AnchorTerms:
    """The loss of each anchor from its cosines; ``context_contrastive_loss`` is the mean of these.

    Args:
        positive_cosine: cos(h_i, g_p) [N, P].
        negative_cosine: cos(h_i, g_n) [N, Q].
        positive_mask: bool [N, P], true on real positives.
        negative_mask: bool [N, Q], true on real negatives.
        temperature: tau, above 0.
        denominator: which pairs stand below the fraction bar, see the module.

    Raises:
        ValueError: as ``context_contrastive_loss``.
    """
    check_temperature(temperature)
    _check_masks(positive_cosine, negative_cosine, positive_mask, negative_mask)
    check_denominator(denominator)
    counted = positive_mask.any(1) & negative_mask.any(1)
    above = _log_sum_exp(positive_cosine, positive_mask, counted, temperature)
    below = _log_sum_exp(negative_cosine, negative_mask, counted, temperature)
    if denominator != "negatives":
        below = torch.logaddexp(above, below)
    size = positive_mask.sum(1).clamp_min(1).to(above.dtype)
    if denominator == "khosla":
        near = (full_precision(positive_cosine) * positive_mask).sum(1) / (size * temperature)
    else:
        near = above - size.log()
    return AnchorTerms(torch.where(counted, below - near, 0.0), counted)


def _log_sum_exp(cosine: Tensor, mask: Tensor, counted: Tensor, temperature: float) -> Tensor:
    """Log of sum F per anchor [N].

    Anchors that do not count keep all their pairs: a row of nothing but -inf has no gradient to multiply by zero.
    """
    if cosine.shape[1] == 0:
        return full_precision(cosine).sum(1)
    scores = full_precision(cosine) / temperature
    return scores.masked_fill(~mask & counted[:, None], float("-inf")).logsumexp(1)


def _check_vectors(anchor: Tensor, positives: Tensor, negatives: Tensor) -> None:
    if anchor.ndim != 2:
        raise ValueError(f"anchor must be [N, d], has shape {tuple(anchor.shape)}")
    n, d = anchor.shape
    for name, vectors in (("positives", positives), ("negatives", negatives)):
        if vectors.ndim != 3 or vectors.shape[0] != n or vectors.shape[2] != d:
            raise ValueError(f"{name} must be [{n}, K, {d}] like the anchor, has shape {tuple(vectors.shape)}")


def _check_masks(positive: Tensor, negative: Tensor, positive_mask: Tensor, negative_mask: Tensor) -> None:
    for name, cosine, mask in (("positive", positive, positive_mask), ("negative", negative, negative_mask)):
        if mask.dtype != torch.bool or mask.shape != cosine.shape:
            raise ValueError(
                f"{name}_mask must be bool of shape {tuple(cosine.shape)}, is {mask.dtype} of {tuple(mask.shape)}"
            )
    if len(positive) != len(negative):
        raise ValueError(f"positives and negatives must share their anchors, have {len(positive)} and {len(negative)}")
