"""Modality contribution contrastive loss L_MC (Algorithm 1).

    N     utterances of the batch; each is an anchor and a partner of all others
    d_m   width of modality m's features u^m
    p_i   pseudo-label: whether modality m alone predicts utterance i correctly
    F     exp(cos(u_i, u_j) / tau)

Per modality and anchor, with l+ the sum of F over the n other utterances of the same pseudo-label and l- the sum over
those of the other one: -log( (1/n) l+ / l- ), the denominator "negatives". As in ``context`` there are two others:
"all" has l+ + l- below the bar, "khosla" the mean over the positives of -log( F / (l+ + l-) ). An anchor with an empty
side does not count.

The N x N matrix of F is symmetric: a score serves both of its utterances, as anchor and as partner. Rows are sorted by
pseudo-label: positives and negatives are then blocks of the matrix, without masks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dclf.losses.cosine import full_precision, unit, without_autocast
from dclf.losses.terms import AnchorTerms, Denominator, check_denominator, check_temperature

_CHUNK_SCORES = 1 << 22
"""Most scores that "negatives" and "all" hold at once; of batches with more they go through groups of rows."""


def modality_contribution_loss(
    features: Mapping[str, Tensor],
    correct: Mapping[str, Tensor],
    temperature: float,
    denominator: Denominator = "negatives",
) -> Tensor:
    """L_MC of N utterances: per modality the mean over the anchors that count, summed over the modalities.

    Args:
        features: modality -> u^m [N, d_m].
        correct: modality -> bool [N], the pseudo-labels p_i.
        temperature: tau, above 0.
        denominator: the form, see the module.

    Returns:
        A scalar, zero when no anchor counts. float32, or float64 for float64 input; never less under autocast.

    Raises:
        ValueError: no modality, different modalities in both mappings, shapes that do not fit, a bad temperature.
    """
    if not features or features.keys() != correct.keys():
        raise ValueError(
            f"features and correct must have the same modalities, at least one: "
            f"have {sorted(features)} and {sorted(correct)}"
        )
    means = [modality_terms(features[m], correct[m], temperature, denominator).mean() for m in features]
    return torch.stack(means).sum()


def modality_terms(
    features: Tensor, correct: Tensor, temperature: float, denominator: Denominator = "negatives"
) -> AnchorTerms:
    """The loss of each anchor in one modality.

    Args:
        features: u^m [N, d_m].
        correct: bool [N], the pseudo-labels p_i.
        temperature: tau, above 0.
        denominator: the form, see the module.

    Raises:
        ValueError: shapes that do not fit each other, labels that are not bool, an impossible temperature, an unknown
            denominator.
    """
    check_temperature(temperature)
    check_denominator(denominator)
    if features.ndim != 2 or correct.dtype != torch.bool or correct.shape != features.shape[:1]:
        raise ValueError(
            f"features must be [N, d] and correct bool [N], "
            f"are {tuple(features.shape)} and {correct.dtype} {tuple(correct.shape)}"
        )
    order = correct.argsort(descending=True, stable=True)
    right = int(correct.sum())
    counts = _positive_counts(correct, right)
    counted = counts > 0
    with without_autocast(features):
        rows = unit(full_precision(features).index_select(0, order))
        values = _values(rows, right, counts[order], temperature, denominator)
        values = torch.empty_like(rows[:, 0]).index_copy(0, order, values)
    return AnchorTerms(torch.where(counted, values, 0.0), counted)


def _values(rows: Tensor, right: int, counts: Tensor, temperature: float, denominator: Denominator) -> Tensor:
    """The loss of each anchor [N] from unit rows [N, d], sorted, and its number of positives n [N]."""
    size = counts.clamp_min(1).to(rows.dtype)
    if denominator == "khosla":
        scores = (rows / temperature) @ rows.T
        own = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
        return scores.masked_fill(own, float("-inf")).logsumexp(1) - _mean_score(rows, right, size, temperature)
    log_ratio = _log_ratio(rows, right, temperature)
    if denominator == "all":
        # log l+ - log(l+ + l-), from log l+ - log l- alone.
        log_ratio = functional.logsigmoid(log_ratio)
    return size.log() - log_ratio


def _mean_score(rows: Tensor, right: int, size: Tensor, temperature: float) -> Tensor:
    """The mean of cos / tau over each anchor's positives [N]: with the sum of its side, less the anchor itself."""
    sides = rows[:right], rows[right:]
    total = torch.cat([side @ side.sum(0) for side in sides])
    return (total - rows.square().sum(1)) / (size * temperature)


def _positive_counts(correct: Tensor, right: int) -> Tensor:
    """Positives of each anchor [N], zero where the anchor has no negative and so does not count."""
    wrong = len(correct) - right
    of_right, of_wrong = (right - 1, wrong - 1) if right and wrong else (0, 0)
    return torch.where(correct, of_right, of_wrong)


def _log_ratio(rows: Tensor, right: int, temperature: float) -> Tensor:
    """log(l+ / l-) of unit rows [N, d] of which the first ``right`` share one pseudo-label and the rest the other."""
    # exp(s - 1 / tau) is between exp(-2 / tau) and 1, and must not underflow.
    whole = len(rows) ** 2 <= _CHUNK_SCORES and 2 / temperature < -math.log(torch.finfo(rows.dtype).tiny)
    form = _LogRatio if whole else _LogRatioInParts
    result: Tensor = form.apply(rows, right, temperature)  # type: ignore[no-untyped-call]
    return result


class _LogRatio(torch.autograd.Function):
    """log(l+ / l-) with the gradient written out, from the exponentials of all scores.

    With s_ij = cos_ij / tau and incoming gradients e_i, the gradient at the symmetric s_ij is
    (e_i / l+_i + e_j / l+_j) exp s_ij for a positive and -(e_i / l-_i + e_j / l-_j) exp s_ij for a negative. One factor
    exp(-1 / tau) in all exponentials keeps them finite and leaves every ratio as it is. For rows a of the one
    pseudo-label and b of the other, three blocks are enough: a with a, b with b, and a with b.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, right: int, temperature: float) -> Tensor:
        a, b = rows[:right], rows[right:]
        aa, bb, ab = (_exponentials(x, y, temperature) for x, y in ((a, a), (b, b), (a, b)))
        aa.fill_diagonal_(0)
        bb.fill_diagonal_(0)
        plus = torch.cat([aa.sum(1), bb.sum(1)])
        minus = torch.cat([ab.sum(1), ab.sum(0)])
        counted = (plus > 0) & (minus > 0)
        ctx.save_for_backward(rows, aa, bb, ab, plus, minus, counted)
        ctx.right, ctx.temperature = right, temperature
        return torch.where(counted, plus.log() - minus.log(), 0.0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        rows, aa, bb, ab, plus, minus, counted = ctx.saved_tensors
        sizes = [ctx.right, len(rows) - ctx.right]
        grad = torch.where(counted, grad, 0.0) / ctx.temperature
        of_plus = torch.where(counted, grad / plus, 0.0).split(sizes)
        of_minus = torch.where(counted, -grad / minus, 0.0).split(sizes)
        with without_autocast(rows):
            a, b = rows.split(sizes)
            between = _outer_sum(*of_minus).mul_(ab)
            of_a = _outer_sum(of_plus[0], of_plus[0]).mul_(aa) @ a
            of_b = _outer_sum(of_plus[1], of_plus[1]).mul_(bb) @ b
            return torch.cat([of_a.addmm_(between, b), of_b.addmm_(between.T, a)]), None, None


def _exponentials(x: Tensor, y: Tensor, temperature: float) -> Tensor:
    """exp((cos - 1) / tau) of unit rows x [n, d] and y [m, d], [n, m]."""
    return torch.mm(x / temperature, y.T).sub_(1 / temperature).exp_()


def _outer_sum(x: Tensor, y: Tensor) -> Tensor:
    """x [n], y [m] -> x_i + y_j [n, m]."""
    return x[:, None] + y[None, :]


class _LogRatioInParts(torch.autograd.Function):
    """The same for any number of rows and any temperature: scores in groups of rows, made twice, under logarithms.

    With a_i = log l+ and b_i = log l-, the gradient at s_ij of anchor i's output is exp(s_ij - a_i) for a positive and
    -exp(s_ij - b_i) for a negative. s_ij enters the outputs of both i and j.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, right: int, temperature: float) -> Tensor:
        total = len(rows)
        # Infinity marks an anchor that does not count: exp(s - inf) = 0 keeps it out of every gradient.
        plus = rows.new_full((total,), float("inf"))
        minus = plus.clone()
        for part, same, other in _parts(total, right):
            if same.stop - same.start > 1 and other.stop > other.start:
                scores = _scores(rows, part, temperature)
                plus[part] = scores[:, same].logsumexp(1)
                minus[part] = scores[:, other].logsumexp(1)
        ctx.save_for_backward(rows, plus, minus)
        ctx.right, ctx.temperature = right, temperature
        return torch.where(plus.isinf(), 0.0, plus - minus)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        rows, plus, minus = ctx.saved_tensors
        result = torch.empty_like(rows)
        with without_autocast(rows):
            for part, same, other in _parts(len(rows), ctx.right):
                scores = _scores(rows, part, ctx.temperature)
                weights = torch.empty_like(scores)
                weights[:, same] = _weights(scores[:, same], plus, grad, part, same)
                weights[:, other] = _weights(scores[:, other], minus, -grad, part, other)
                result[part] = weights @ rows / ctx.temperature
        return result, None, None


def _parts(total: int, right: int) -> Iterator[tuple[slice, slice, slice]]:
    """Groups of rows of one pseudo-label, each with the columns of the same and of the other pseudo-label."""
    size = max(1, _CHUNK_SCORES // max(1, total))
    first, second = slice(0, right), slice(right, total)
    for same, other in ((first, second), (second, first)):
        for start in range(same.start, same.stop, size):
            yield slice(start, min(start + size, same.stop)), same, other


def _scores(rows: Tensor, part: slice, temperature: float) -> Tensor:
    """s_ij of the rows of one part against all [n, N]; -inf for a row against itself."""
    scores = (rows[part] / temperature) @ rows.T
    scores.diagonal(part.start).fill_(float("-inf"))
    return scores


def _weights(scores: Tensor, log_sum: Tensor, grad: Tensor, part: slice, columns: slice) -> Tensor:
    """Gradient at s_ij from anchor i and from anchor j, for the scores of one side."""
    from_row = (scores - log_sum[part, None]).exp_().mul_(grad[part, None])
    from_column = (scores - log_sum[None, columns]).exp_().mul_(grad[None, columns])
    return from_row.add_(from_column)
