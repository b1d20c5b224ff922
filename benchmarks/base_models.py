"""One training epoch of each base model on IEMOCAP-shaped random data, one thread.

    python benchmarks/base_models.py [--repeats 5] [--models mmgcn ddin] [--profile]

100 dialogues of 8 to 110 utterances, 5,146 in all, batches of 16; text 100, visual 342, audio 1582 wide, two speakers,
six classes. An epoch is forward, cross-entropy, backward and an Adam step per batch, dropout on, without validation.
Wall-clock and processor seconds are the best of the repeats, because other work on the machine only ever adds to them
(on a busy machine the processor's are nearer to the truth); a 1024-cubed float32 product is timed beside every repeat
and the bar moves with its rate.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import torch
from matmul_rate import REFERENCE_GFLOPS, matmul_rate
from torch import Tensor, nn

from dclf.layout import Layout
from dclf.models.contract import base_model_class
from dclf.models.encoders import ModalityEncoders

WIDTHS = {"text": 100, "audio": 1582, "visual": 342}
DIALOGUES, UTTERANCES, SHORTEST, LONGEST, CLASSES, SPEAKERS = 100, 5146, 8, 110, 6, 2


@dataclass(frozen=True)
class Case:
    """A base model to time: bar in seconds at the reference rate."""

    model: str
    causal: bool
    bar: float | None


CASES = (
    Case("mmgcn", causal=False, bar=0.9),
    Case("mmgcn", causal=True, bar=None),
    Case("ddin", causal=True, bar=2.5),
    Case("ddin", causal=False, bar=None),
)


@dataclass(frozen=True)
class Batch:
    """Packed rows of some dialogues."""

    features: dict[str, Tensor]
    speakers: Tensor
    labels: Tensor
    layout: Layout


def iemocap_lengths(seed: int = 0) -> list[int]:
    """100 dialogue lengths between 8 and 110 that sum to 5,146, both ends taken."""
    rng = np.random.default_rng(seed)
    lengths = np.clip(np.round(rng.gamma(8, UTTERANCES / DIALOGUES / 8, DIALOGUES)), SHORTEST, LONGEST).astype(int)
    lengths[:2] = LONGEST, SHORTEST
    while (missing := UTTERANCES - lengths.sum()) != 0:
        chosen = rng.integers(2, DIALOGUES)
        lengths[chosen] = np.clip(lengths[chosen] + np.sign(missing), SHORTEST, LONGEST)
    return [int(n) for n in rng.permutation(lengths)]


def iemocap_batches(batch_size: int = 16, seed: int = 0) -> list[Batch]:
    """The whole epoch in batches, dialogues in random order."""
    generator = torch.Generator().manual_seed(seed)
    lengths = iemocap_lengths(seed)
    return [_batch(lengths[i : i + batch_size], generator) for i in range(0, DIALOGUES, batch_size)]


def _batch(lengths: list[int], generator: torch.Generator) -> Batch:
    total = sum(lengths)
    return Batch(
        features={m: torch.randn(total, width, generator=generator) for m, width in WIDTHS.items()},
        speakers=torch.randint(SPEAKERS, (total,), generator=generator),
        labels=torch.randint(CLASSES, (total,), generator=generator),
        layout=Layout.of(lengths),
    )


class Classifier(nn.Module):
    """Encoders, base model and one linear decoder."""

    def __init__(self, name: str, *, causal: bool) -> None:
        super().__init__()
        model = base_model_class(name)
        self.base = model(tuple(WIDTHS), SPEAKERS, causal, model.Config())
        self.encoders = ModalityEncoders(WIDTHS, self.base.encoder_width)
        self.decoder = nn.Linear(self.base.hidden_width, CLASSES)

    def forward(self, batch: Batch) -> Tensor:
        hidden = self.base(self.encoders(batch.features), batch.speakers, batch.layout).hidden
        return self.decoder(hidden.relu())


def train_epoch(model: nn.Module, optimiser: torch.optim.Optimizer, batches: list[Batch]) -> None:
    for batch in batches:
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(batch), batch.labels).backward()
        optimiser.step()


@dataclass(frozen=True)
class Measurement:
    """Best seconds per epoch, best matrix rate seen beside them in GFLOP/s, peak resident MiB of the process."""

    wall: float
    processor: float
    rate: float
    memory: float


def measure(case: Case, repeats: int) -> Measurement:
    torch.manual_seed(0)
    batches, model = iemocap_batches(), Classifier(case.model, causal=case.causal)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-4, weight_decay=3e-5, fused=True)
    train_epoch(model, optimiser, batches)
    wall, processor, rates = [], [], [matmul_rate()]
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        train_epoch(model, optimiser, batches)
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
        rates.append(matmul_rate())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measurement(min(wall), min(processor), max(rates), memory)


def profile(case: Case) -> None:
    """Print where an epoch's time goes."""
    batches, model = iemocap_batches(), Classifier(case.model, causal=case.causal)
    optimiser = torch.optim.Adam(model.parameters(), fused=True)
    train_epoch(model, optimiser, batches)
    with torch.profiler.profile() as record:
        train_epoch(model, optimiser, batches)
    print(record.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=40))


def row(case: Case, measured: Measurement) -> str:
    """One line of the table."""
    direction = "causal" if case.causal else "bidirectional"
    bar = f"{case.bar * REFERENCE_GFLOPS / measured.rate:.2f}" if case.bar else "-"
    times = f"{measured.wall:.2f} | {measured.processor:.2f} | {bar}"
    return f"| {case.model} | {direction} | {times} | {measured.rate:.0f} | {measured.memory:.0f} |"


HEADER = """| model | direction | wall s / epoch | processor s / epoch | bar, s | GFLOP/s | peak MiB |
|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=sorted({case.model for case in CASES}))
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
