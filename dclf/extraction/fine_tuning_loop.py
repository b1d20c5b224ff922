"""One encoder in training: its epochs, and what is saved between them.

========  ====================================================
B, D, C   utterances of a step, width of a row, emotions
========  ====================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from dclf.extraction.text import FineTuned
from dclf.extraction.text_encoder import TextEncoder
from dclf.random_bits import uniform_bits

WARMUP = 0.1
"""Share of the steps over which the learning rate rises."""
WEIGHT_DECAY = 0.01
"""Of matrices; biases and the scales of normalisations have none."""
GRADIENT_NORM = 1.0
WINDOW = 16
"""Batches over which utterances are sorted by length."""
HEAD_LEARNING_RATE = 1e-3
"""Of the layer that classifies, at least: it begins at random, where the encoder has to change little."""


class FineTuning:
    """An encoder and the layer that classifies its rows.

    Args:
        encoder: as extraction opens it; its model changes.
        facts: what is to be done.
        pairs: words and labels of all utterances.
    """

    def __init__(self, encoder: TextEncoder, facts: FineTuned, pairs: Sequence[tuple[str, int]]) -> None:
        self.encoder = encoder
        self._facts = facts
        self._tokens = encoder.tokens([words for words, _ in pairs])
        self._labels = torch.tensor([label for _, label in pairs])
        self._places = [place for place, tokens in enumerate(self._tokens) if tokens["input_ids"]]
        self._head = nn.Linear(encoder.width, facts.classes, device=encoder.model.device)
        groups = _groups(encoder.model, self._head, facts.learning_rate)
        # The default takes five times as long on the CPU, as long there as the backward pass.
        self._optimiser = torch.optim.AdamW(groups, fused=True)
        self._rates = [group["lr"] for group in groups]

    def epoch(self, number: int) -> float:
        """Train one epoch.

        Args:
            number: from 1 on; order and dropout are functions of it and the seed.

        Returns:
            The mean loss over its utterances.
        """
        torch.manual_seed(int(uniform_bits(self._facts.seed, number)[0]))
        self.encoder.model.train()
        batches = list(self._batches())
        total = 0.0
        for place, batch in enumerate(batches):
            self._set_rates((number - 1) * len(batches) + place, self._facts.epochs * len(batches))
            total += self._step(batch) * len(batch)
        self.encoder.model.eval()
        return total / len(self._places)

    def state(self) -> dict[str, Any]:
        """Tensors and plain containers of all that an epoch changes."""
        return {
            "model": self.encoder.model.state_dict(),
            "head": self._head.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """The inverse of ``state``."""
        self.encoder.model.load_state_dict(state["model"])
        self._head.load_state_dict(state["head"])
        self._optimiser.load_state_dict(state["optimiser"])

    def _batches(self) -> Iterator[list[int]]:
        """Random utterances, of like lengths within some batches, as padding is computed too; in random order."""
        size = self._facts.batch_size
        order = [self._places[place] for place in torch.randperm(len(self._places)).tolist()]
        batches: list[list[int]] = []
        for begin in range(0, len(order), WINDOW * size):
            window = sorted(
                order[begin : begin + WINDOW * size], key=lambda place: len(self._tokens[place]["input_ids"])
            )
            batches += [window[first : first + size] for first in range(0, len(window), size)]
        for place in torch.randperm(len(batches)).tolist():
            yield batches[place]

    def _step(self, batch: Sequence[int]) -> float:
        rows = self.encoder.pooled([self._tokens[place] for place in batch])  # [B, D]
        labels = self._labels[list(batch)].to(rows.device)
        loss = functional.cross_entropy(self._head(rows), labels)
        self._optimiser.zero_grad()
        loss.backward()
        parameters = [weight for group in self._optimiser.param_groups for weight in group["params"]]
        nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM)
        self._optimiser.step()
        return loss.item()

    def _set_rates(self, step: int, steps: int) -> None:
        """Rise linearly, then fall linearly to zero behind the last step."""
        warmup = max(1, round(WARMUP * steps))
        share = (step + 1) / warmup if step < warmup else (steps - step) / max(1, steps - warmup)
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * share


def _groups(model: nn.Module, head: nn.Module, learning_rate: float) -> list[dict[str, Any]]:
    """What is trained: matrices, vectors and the layer that classifies."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return [
        {"params": [w for w in weights if w.ndim > 1], "lr": learning_rate, "weight_decay": WEIGHT_DECAY},
        {"params": [w for w in weights if w.ndim < 2], "lr": learning_rate, "weight_decay": 0.0},
        {"params": list(head.parameters()), "lr": max(learning_rate, HEAD_LEARNING_RATE), "weight_decay": 0.0},
    ]
