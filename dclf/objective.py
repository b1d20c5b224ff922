"""The total loss, eq. 11, as sums that several workers can turn into global means.

    L = L_CE + gamma_ca L_CA + gamma_mc sum_m L_MC^m + unimodal_weight sum_m CE(U^m) + sum_a w_a A_a + sum_t w_t T_t

with A_a the terms that the base model brings (``BaseModel.auxiliary``) and w_a their weights, which are among its
options, T_t the terms of other packages and w_t their weights, ``loss.terms``; the paper has neither. Every
cross-entropy, those of A_a too, is -(1 - p_y)^g ln p_y with p_y the probability of the label and g ``loss.focal_gamma``
(Lin et al., 2017), the plain one with g = 0; class weights multiply it.

Every term is a mean over its counted utterances. Unlabelled ones are counted by none, and in the terms of one modality
those without features in it are not either. A worker sees only its part of the batch, so a term is kept as a
sum and a count; the mean is taken after both were added up over the workers. lambda ||theta|| is the optimiser's
weight decay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from dclf.config import LossConfig
from dclf.data.batch import Batch
from dclf.errors import UserError
from dclf.loss_rows import labelled_part
from dclf.losses import Term, context_terms, modality_terms
from dclf.losses.own_terms import loss_terms, require_term
from dclf.models.framework import DCLF, DCLFOutput
from dclf.pairs import ContrastPairs

AUXILIARY = "auxiliary/"
"""Stands before the names of the base model's own terms."""


class NonFiniteLossError(UserError, ArithmeticError):
    """A loss term became NaN or infinite; the message names the term."""


class Objective:
    """The terms of eq. 11 and their weights.

    Args:
        loss: weights and forms of the terms.
        modalities: the modalities in use.
        class_weights: [C] weights of the cross-entropy, or None for none.
        auxiliary: names and weights of the base model's own terms.
    """

    def __init__(
        self,
        loss: LossConfig,
        modalities: Iterable[str],
        class_weights: Tensor | None = None,
        auxiliary: Mapping[str, float] | None = None,
    ) -> None:
        self.loss = loss
        self.class_weights = class_weights
        self.weights: dict[str, float] = {"ce": 1.0}
        if loss.uses_context_contrast:
            self.weights["ca"] = loss.gamma_ca
        if loss.uses_modality_contrast:
            for modality in modalities:
                self.weights[f"unimodal/{modality}"] = loss.unimodal_weight
                self.weights[f"mc/{modality}"] = loss.gamma_mc
        self.weights |= {f"{AUXILIARY}{name}": weight for name, weight in (auxiliary or {}).items()}
        self._own = loss_terms(loss.terms)
        self.weights |= loss.terms

    def terms(self, model: DCLF, output: DCLFOutput, batch: Batch, pairs: ContrastPairs | None) -> dict[str, Term]:
        """Every term of ``weights`` for one batch.

        Args:
            model: holds the head of the context contrast.
            output: the model's output for the batch.
            batch: the utterances.
            pairs: the context contrast's pairs; None where L_CA is not part of the loss.
        """
        part, labelled = labelled_part(output, batch)
        terms = {"ce": self._cross_entropy(part.logits, labelled.labels)}
        if pairs is not None and model.contrast is not None:
            # Of the whole batch: the pairs say which utterances count.
            terms["ca"] = self._context_contrast(model, output, pairs)
        for modality in part.unimodal:
            terms |= self._of_modality(modality, part, labelled)
        if labelled.layout.dialogues:
            terms |= self._auxiliary(model, part, labelled)
            terms |= {name: require_term(name, term(part, labelled)) for name, term in self._own.items()}
        return terms

    def _auxiliary(self, model: DCLF, output: DCLFOutput, batch: Batch) -> dict[str, Term]:
        """The base model's own terms, of the labelled utterances."""
        if model.auxiliary is None:
            return {}
        terms = model.auxiliary(output.base, output.logits, batch, self._cross_entropy)
        return {f"{AUXILIARY}{name}": term for name, term in terms.items()}

    def _of_modality(self, modality: str, output: DCLFOutput, batch: Batch) -> dict[str, Term]:
        """Cross-entropy of the head and L_MC^m, of the utterances that have features in this modality."""
        logits, encoded, labels = output.unimodal[modality], output.encoded[modality], batch.labels
        if modality in batch.present:
            rows = batch.present[modality].nonzero()[:, 0]
            logits, encoded, labels = logits[rows], encoded[rows], labels[rows]
        correct = logits.detach().argmax(dim=-1) == labels
        anchors = modality_terms(encoded, correct, self.loss.temperature, self.loss.mc_denominator)
        return {
            f"unimodal/{modality}": self._cross_entropy(logits, labels),
            f"mc/{modality}": Term(anchors.values.sum(), anchors.counted.sum()),
        }

    def mean(self, terms: Mapping[str, Term], counts: Mapping[str, float]) -> Tensor:
        """The weighted sum of the terms, each divided by its count over all workers; a term nobody counted is 0."""
        shares = [self.weights[name] * term.total / counts[name] for name, term in terms.items() if counts[name] > 0]
        return torch.stack(shares).sum()

    def summary(self, totals: Mapping[str, float], counts: Mapping[str, float]) -> dict[str, float]:
        """Means for a report: ``total``, ``ce``, ``ca``, ``mc`` and ``unimodal`` (over modalities), all others."""
        means = {name: totals[name] / counts[name] if counts[name] > 0 else 0.0 for name in self.weights}
        report = {"total": sum(self.weights[name] * mean for name, mean in means.items())}
        for name, mean in means.items():
            group = name if name in self._own or name.startswith(AUXILIARY) else name.split("/")[0]
            report[group] = report.get(group, 0.0) + mean
        return report

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Term:
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        if self.loss.focal_gamma:
            total = focal_cross_entropy(logits.float(), labels, self.loss.focal_gamma, weights)
        else:
            total = functional.cross_entropy(logits.float(), labels, weight=weights, reduction="sum")
        count = torch.tensor(float(len(labels))) if weights is None else weights[labels].sum()
        return Term(total, count)

    def _context_contrast(self, model: DCLF, output: DCLFOutput, pairs: ContrastPairs) -> Term:
        assert model.contrast is not None
        candidates = output.state if pairs.candidates is None else pairs.candidates
        cosines = model.contrast.cosines(output.state, output.context, candidates, pairs.index)
        window = pairs.positive_mask.shape[1]
        anchors = context_terms(
            cosines[:, :window],
            cosines[:, window:],
            pairs.positive_mask,
            pairs.negative_mask,
            self.loss.temperature,
            self.loss.denominator,
        )
        return Term(anchors.values.sum(), anchors.counted.sum())


def focal_cross_entropy(logits: Tensor, labels: Tensor, gamma: float, weights: Tensor | None = None) -> Tensor:
    """Sum of -w_y (1 - p_y)^gamma ln p_y over the rows (Lin et al., 2017, eq. 5).

    Args:
        logits: [K, C].
        labels: int64 [K].
        gamma: above 0: how little the rows count that are sure and right.
        weights: [C] w, or None for 1.
    """
    log_p = logits.log_softmax(-1).gather(1, labels[:, None])[:, 0]
    # Below 1 the power has an infinite slope at 0; what is that sure has no loss either.
    doubt = (-torch.expm1(log_p)).clamp_min(torch.finfo(logits.dtype).eps)
    losses = -doubt.pow(gamma) * log_p
    return (losses if weights is None else weights[labels] * losses).sum()


def check_finite(totals: Mapping[str, float], where: str) -> None:
    """Stop the run when a term is not finite.

    Raises:
        NonFiniteLossError: names every such term, the place and the remedy.
    """
    broken = [name for name, value in totals.items() if not abs(value) < float("inf")]
    if broken:
        raise NonFiniteLossError(
            f"loss term {', '.join(broken)} must be finite, is not, {where}; lower train.lr, set train.clip_norm, "
            "raise loss.temperature, or use train.precision fp32"
        )


def balanced_class_weights(labels: Tensor, classes: int) -> Tensor:
    """Inverse class frequency, [C] float32: weight 1 for a class of average frequency or none at all.

    Args:
        labels: int64, those of unlabelled utterances (-1) weigh nothing.
        classes: C.
    """
    labels = labels[labels >= 0]
    counts = torch.bincount(labels, minlength=classes).float()
    return torch.where(counts > 0, len(labels) / (classes * counts.clamp(min=1)), torch.ones(classes))
