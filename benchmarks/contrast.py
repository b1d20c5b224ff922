"""What DCLF's losses and negatives cost, beside the machine's matrix rate.

    python benchmarks/contrast.py [--large]

One IEMOCAP-shaped batch of 16 dialogues: 735 anchors, three modalities of width 200, states and contexts of width 300,
20 pairs per anchor among 4,000 distinct candidates; forward and backward, one thread, the best of several runs. Then
the emotion index: its preparation with the first epoch's draws, and a later epoch's draws. ``--large`` adds 100,000
dialogues (minutes).
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable

import numpy as np
import torch
from matmul_rate import matmul_rate

from dclf.losses import ContextContrast, context_terms, modality_terms
from dclf.negatives import EmotionIndex

ANCHORS, WIDTH, STATE, WINDOW, CANDIDATES = 735, 200, 300, 10, 4000
TEMPERATURE = 0.07


def best(step: Callable[[], object], repeats: int = 30) -> float:
    """Milliseconds of the fastest run."""
    fastest = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        fastest = min(fastest, time.perf_counter() - start)
    return 1e3 * fastest


def modality_step(anchors: int, modalities: int = 3) -> Callable[[], None]:
    features = [torch.randn(anchors, WIDTH, requires_grad=True) for _ in range(modalities)]
    correct = [torch.rand(anchors) < share for share in (0.6, 0.5, 0.35)[:modalities]]

    def step() -> None:
        means = [modality_terms(u, p, TEMPERATURE).mean() for u, p in zip(features, correct, strict=True)]
        torch.stack(means).sum().backward()

    return step


def context_step(extraction: bool) -> Callable[[], None]:
    head = ContextContrast(STATE, STATE, extraction=extraction)
    state, context = (torch.randn(ANCHORS, STATE, requires_grad=True) for _ in range(2))
    candidates = torch.randn(CANDIDATES, STATE)
    index = torch.randint(CANDIDATES, (ANCHORS, 2 * WINDOW))
    mask = torch.ones(ANCHORS, WINDOW, dtype=torch.bool)

    def step() -> None:
        cosines = head.cosines(state, context, candidates, index)
        terms = context_terms(cosines[:, :WINDOW], cosines[:, WINDOW:], mask, mask, TEMPERATURE, "all")
        terms.mean().backward()

    return step


def conversations(dialogues: int, mean_length: float, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and lengths of dialogues whose emotion stays the same with probability 0.68."""
    rng = np.random.default_rng(0)
    lengths = np.maximum(1, rng.poisson(mean_length, dialogues))
    labels = rng.integers(classes, size=lengths.sum())
    last_drawn = np.where(rng.random(len(labels)) < 0.68, 0, np.arange(len(labels)))
    return labels[np.maximum.accumulate(last_drawn)], lengths


def index_row(name: str, dialogues: int, mean_length: float, classes: int, window: int) -> str:
    labels, lengths = conversations(dialogues, mean_length, classes)
    positions = np.arange(len(labels))
    start = time.perf_counter()
    index = EmotionIndex(labels, lengths)
    index.sample(positions, window, seed=0, epoch=0)
    first = time.perf_counter() - start
    later = best(lambda: index.sample(positions, window, seed=0, epoch=1), repeats=3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"| {name} | {len(labels):,} | {window} | {1e3 * first:,.0f} | {later:,.1f} | {peak:,.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true")
    large = parser.parse_args().large
    torch.set_num_threads(1)
    print(f"matrix rate {matmul_rate():.0f} GFLOP/s; {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}\n")
    print("| forward and backward | ms |\n|---|---|")
    print(f"| modality contrast, {ANCHORS} anchors, 3 modalities | {best(modality_step(ANCHORS)):.1f} |")
    print(f"| modality contrast, 10,000 anchors, 1 modality | {best(modality_step(10_000, 1), 2):.0f} |")
    print(f"| context contrast, {ANCHORS} anchors | {best(context_step(True)):.1f} |")
    print(f"| the same without extraction | {best(context_step(False)):.1f} |")
    print(
        "\n| emotion index | utterances | W | first epoch, ms | later, ms | peak RSS, MiB |\n|---|---|---|---|---|---|"
    )
    print(index_row("one batch of IEMOCAP", 16, 50, 6, 10))
    print(index_row("IEMOCAP", 100, 51.5, 6, 10))
    print(index_row("IEMOCAP, W above every dialogue", 100, 51.5, 6, 110))
    print(index_row("MELD", 1039, 9.6, 7, 4))
    if large:
        print(index_row("large", 100_000, 10, 7, 10))


if __name__ == "__main__":
    main()
