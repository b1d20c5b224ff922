"""Dialogues of which some utterances lack a label or features, and the total loss (eq. 11) of them as a plain loop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from dclf.config import LossConfig
from dclf.data import Dialogue
from dclf.data.batch import Batch
from dclf.models.framework import DCLF, DCLFOutput
from dclf.pairs import ContrastPairs


def made_sparse(dialogues: Iterable[Dialogue], unlabelled: float = 0.3, missing: float = 0.2) -> list[Dialogue]:
    """These shares of labels and, per modality, of rows are gone; of every seventh dialogue all labels are."""
    random = np.random.default_rng(5)
    return [_sparse(dialogue, random, unlabelled if n % 7 else 1.0, missing) for n, dialogue in enumerate(dialogues)]


def _sparse(dialogue: Dialogue, random: np.random.Generator, unlabelled: float, missing: float) -> Dialogue:
    count = len(dialogue)
    present = {m: random.random(count) >= missing for m in dialogue.features}
    return replace(
        dialogue,
        labels=np.where(random.random(count) < unlabelled, -1, dialogue.labels).astype(np.int32),
        features={m: np.where(present[m][:, None], rows, 0) for m, rows in dialogue.features.items()},
        present=present,
    )


def total_loss(
    model: DCLF, output: DCLFOutput, batch: Batch, pairs: ContrastPairs | None, loss: LossConfig, weights: Tensor
) -> dict[str, Tensor]:
    """``total`` and its parts, with gradient: every mean is a Python loop over those that count.

    Args:
        model: for the head of the context contrast.
        output: of the model.
        batch: its dialogues.
        pairs: where the negatives lie; positives are looked up here.
        loss: the weights of the terms and the temperature.
        weights: [C], of the classes.
    """
    labels = batch.labels.tolist()
    labelled = [i for i, label in enumerate(labels) if label >= 0]
    parts = {"ce": cross_entropy(output.logits, labels, labelled, weights)}
    zero = parts["ce"] * 0
    parts |= {"unimodal": zero, "mc": zero}
    for modality, logits in output.unimodal.items():
        there = batch.present[modality].tolist() if modality in batch.present else [True] * len(labels)
        rows = [i for i in labelled if there[i]]
        right = [int(logits[i].argmax()) == labels[i] for i in range(len(labels))]
        parts["unimodal"] = parts["unimodal"] + cross_entropy(logits, labels, rows, weights)
        parts["mc"] = parts["mc"] + contribution(output.encoded[modality], right, rows, loss.temperature)
    parts["ca"] = zero if pairs is None else context(model, output, batch, pairs, loss)
    weighed = loss.gamma_ca * parts["ca"] + loss.gamma_mc * parts["mc"] + loss.unimodal_weight * parts["unimodal"]
    return {**parts, "total": parts["ce"] + weighed}


def cross_entropy(logits: Tensor, labels: list[int], rows: list[int], weights: Tensor) -> Tensor:
    """The weighted mean over some rows."""
    losses = [-logits[i].log_softmax(0)[labels[i]] * weights[labels[i]] for i in rows]
    return torch.stack(losses).sum() / sum(float(weights[labels[i]]) for i in rows)


def contribution(encoded: Tensor, right: list[bool], rows: list[int], temperature: float) -> Tensor:
    """Algorithm 1 among some rows."""
    losses = []
    for i in rows:
        scores = {j: (cosine(encoded[i], encoded[j]) / temperature).exp() for j in rows if j != i}
        same = [score for j, score in scores.items() if right[j] == right[i]]
        other = [score for j, score in scores.items() if right[j] != right[i]]
        if same and other:
            losses.append(-(torch.stack(same).sum() / torch.stack(other).sum() / len(same)).log())
    return mean(losses, encoded)


def context(model: DCLF, output: DCLFOutput, batch: Batch, pairs: ContrastPairs, loss: LossConfig) -> Tensor:
    """Eq. 6-10, the positives being the labelled utterances before the anchor."""
    assert model.contrast is not None
    assert model.contrast.extract is not None
    candidates = output.state if pairs.candidates is None else pairs.candidates.to(output.state)
    width, dialogue, losses = pairs.positive_mask.shape[1], batch.layout.dialogue_of.tolist(), []
    for i in (batch.labels >= 0).nonzero()[:, 0].tolist():
        history = [j for j in range(i) if dialogue[j] == dialogue[i] and batch.labels[j] >= 0][-loss.window :]
        runs = [int(place) for place in pairs.index[i, width:][pairs.negative_mask[i]]]
        places = history if pairs.candidates is None else pairs.index[i, :width][pairs.positive_mask[i]].tolist()
        assert len(places) == len(history)
        if history and runs:
            extracted = [
                model.contrast.extract(torch.cat([output.context[i], candidates[j]])) for j in (*places, *runs)
            ]
            scores = [(cosine(output.state[i], g) / loss.temperature).exp() for g in extracted]
            above = torch.stack(scores[: len(places)]).sum()
            below = torch.stack(scores[len(places) :]).sum() + (above if loss.denominator == "all" else 0)
            losses.append(-(above / below / len(places)).log())
    return mean(losses, output.state)


def cosine(x: Tensor, y: Tensor) -> Tensor:
    """Zero where one of the two has no length."""
    length = x.norm() * y.norm()
    return (x @ y) / length if length.item() > 0 else (x @ y) * 0


def mean(losses: list[Tensor], like: Tensor) -> Tensor:
    """Of those that count; zero without any."""
    return torch.stack(losses).mean() if losses else like.sum() * 0
