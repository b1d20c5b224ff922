"""One training epoch of each base model on IEMOCAP-shaped random data, one thread.

    python benchmarks/base_models.py [--repeats 5] [--models mmgcn ddin] [--profile]

100 dialogues of 8 to 110 utterances, 5,146 in all, batches of 16; visual 342, audio 1582 wide, the text as wide as
the model's authors have it (100 or 1024), two speakers, six classes; every model with its own defaults, and DialogueRNN
as its authors have it for the text alone. An epoch is forward, the model's whole loss, backward and an Adam step per
batch, dropout on, without validation. Wall-clock and processor seconds are the best of the repeats, because other work
on the machine only ever adds to them (on a busy machine the processor's are nearer to the truth); a 1024-cubed float32
product is timed beside every repeat, and the bar and the original's seconds move with its rate.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from matmul_rate import REFERENCE_GFLOPS, matmul_rate

from dclf.config import LossConfig, ModelConfig
from dclf.data.batch import Batch
from dclf.data.dialogue import MODALITIES, DatasetInfo
from dclf.layout import Layout
from dclf.models.framework import DCLF
from dclf.objective import Objective

WIDTHS = {"audio": 1582, "visual": 342}
DIALOGUES, UTTERANCES, SHORTEST, LONGEST, CLASSES, SPEAKERS = 100, 5146, 8, 110, 6, 2


@dataclass(frozen=True)
class Case:
    """A base model to time.

    Attributes:
        model: its name.
        causal: which form.
        bar: seconds at the reference rate.
        original: what the authors' own program took, in seconds at the reference rate; None where it was not measured.
        text: width of the text features.
        modalities: that are read.
        options: ``model.options``; the model's own defaults where empty.
    """

    model: str
    causal: bool
    bar: float | None = None
    original: float | None = None
    text: int = 100
    modalities: tuple[str, ...] = MODALITIES
    options: Mapping[str, Any] = field(default_factory=dict)


CASES = (
    Case("mmgcn", causal=False, bar=0.9),
    Case("mmgcn", causal=True),
    Case("ddin", causal=True, bar=2.5),
    Case("ddin", causal=False),
    Case(
        "dialogue_rnn",
        causal=False,
        bar=49 / 3,
        original=49,
        modalities=("text",),
        options={"history_width": 500, "party_width": 500, "emotion_width": 300, "decoder_width": 300},
    ),
    Case("aghmn", causal=True),
    Case("dag_erc", causal=True, bar=75 / 8, original=75, text=1024),
    Case("mm_dfn", causal=False, bar=64 / 3, original=64),
    Case("graphcfc", causal=False, bar=410 / 3, original=410),
    Case("graphmft", causal=False, bar=93 / 3, original=93),
    Case("sdt", causal=False, bar=96 / 3, original=96, text=1024),
    Case("m3net", causal=False, bar=132 / 3, original=132, text=1024),
    Case("dialogue_gcn", causal=False, bar=54 / 8, original=54),
    Case("cfn_esa", causal=False, bar=238 / 3, original=238, text=1024),
    Case("graphsmile", causal=False, bar=58 / 3, original=58, text=1024),
)


def iemocap_lengths(seed: int = 0) -> list[int]:
    """100 dialogue lengths between 8 and 110 that sum to 5,146, both ends taken."""
    rng = np.random.default_rng(seed)
    lengths = np.clip(np.round(rng.gamma(8, UTTERANCES / DIALOGUES / 8, DIALOGUES)), SHORTEST, LONGEST).astype(int)
    lengths[:2] = LONGEST, SHORTEST
    while (missing := UTTERANCES - lengths.sum()) != 0:
        dialogue = rng.integers(2, DIALOGUES)
        lengths[dialogue] = np.clip(lengths[dialogue] + np.sign(missing), SHORTEST, LONGEST)
    return [int(n) for n in rng.permutation(lengths)]


def iemocap_batches(text: int, batch_size: int = 16, seed: int = 0) -> list[Batch]:
    """The whole epoch in batches, dialogues in random order.

    Args:
        text: width of the text features.
        batch_size: dialogues per batch.
        seed: of everything random.
    """
    generator = torch.Generator().manual_seed(seed)
    lengths = iemocap_lengths(seed)
    widths = {"text": text, **WIDTHS}
    return [_batch(lengths[i : i + batch_size], widths, generator) for i in range(0, DIALOGUES, batch_size)]


def _batch(lengths: list[int], widths: dict[str, int], generator: torch.Generator) -> Batch:
    total = sum(lengths)
    return Batch(
        features={m: torch.randn(total, width, generator=generator) for m, width in widths.items()},
        speakers=torch.randint(SPEAKERS, (total,), generator=generator),
        labels=torch.randint(CLASSES, (total,), generator=generator),
        positions=torch.full((total,), -1),
        dialogue_ids=tuple(str(number) for number in range(len(lengths))),
        layout=Layout.of(lengths),
    )


class Training:
    """A base model without DCLF, its loss and its optimiser.

    Args:
        case: which.
    """

    def __init__(self, case: Case) -> None:
        torch.manual_seed(0)
        classes = ("happy", "sad", "neutral", "angry", "excited", "frustrated")
        widths = {"text": case.text, **WIDTHS}
        info = DatasetInfo(dataset="random", class_names=classes, widths=widths, speaker_count=SPEAKERS)
        loss = LossConfig(ablate="base")
        self.batches = iemocap_batches(case.text)
        model = ModelConfig(name=case.model, causal=case.causal, options=dict(case.options))
        self.model = DCLF(info, case.modalities, model, loss)
        auxiliary = {} if self.model.auxiliary is None else self.model.auxiliary.weights
        self.objective = Objective(loss, case.modalities, auxiliary=auxiliary)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=3e-4, weight_decay=3e-5, fused=True)

    def epoch(self) -> None:
        """One pass over the batches."""
        for batch in self.batches:
            self.optimiser.zero_grad()
            output = self.model(batch.features, batch.speakers, batch.layout)
            terms = self.objective.terms(self.model, output, batch, None)
            self.objective.mean(terms, {name: float(term.count) for name, term in terms.items()}).backward()
            self.optimiser.step()


@dataclass(frozen=True)
class Measurement:
    """Best seconds per epoch, best matrix rate seen beside them in GFLOP/s, peak resident MiB of the process."""

    wall: float
    processor: float
    rate: float
    memory: float


def measure(case: Case, repeats: int) -> Measurement:
    training = Training(case)
    training.epoch()
    wall, processor, rates = [], [], [matmul_rate()]
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        training.epoch()
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
        rates.append(matmul_rate())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measurement(min(wall), min(processor), max(rates), memory)


def profile(case: Case) -> None:
    """Print where an epoch's time goes."""
    training = Training(case)
    training.epoch()
    with torch.profiler.profile() as record:
        training.epoch()
    print(record.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=40))


def row(case: Case, measured: Measurement) -> str:
    """One line of the table."""
    direction = "causal" if case.causal else "bidirectional"
    scale = REFERENCE_GFLOPS / measured.rate
    bar = f"{case.bar * scale:.2f}" if case.bar else "-"
    faster = f"{case.original * scale / measured.processor:.1f}" if case.original else "-"
    times = f"{measured.wall:.2f} | {measured.processor:.2f} | {bar} | {faster}"
    return f"| {case.model} | {direction} | {times} | {measured.rate:.0f} | {measured.memory:.0f} |"


HEADER = """| model | direction | wall s / epoch | processor s / epoch | bar, s | original / ours | GFLOP/s | peak MiB |
|---|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=list(dict.fromkeys(case.model for case in CASES)))
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--case", type=int, help="measure this one case in this process and print its row")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.case is not None:
        case = CASES[arguments.case]
        profile(case) if arguments.profile else print(row(case, measure(case, arguments.repeats)))
        return
    print(HEADER, flush=True)
    for index, case in enumerate(CASES):
        if case.model in arguments.models:
            # A process of its own, so that the peak memory is that case's alone.
            options = ["--case", str(index), "--repeats", str(arguments.repeats)]
            options += ["--profile"] if arguments.profile else []
            subprocess.run([sys.executable, __file__, *options], check=True)


if __name__ == "__main__":
    main()
