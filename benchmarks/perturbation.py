"""What a perturbation test takes: raw dialogues and one draw of both kinds on an IEMOCAP-shaped test split, one thread.

    python benchmarks/perturbation.py [--models mmgcn ddin] [--repeats 3]

The generator's IEMOCAP preset (31 test dialogues, about 1,600 targets, real widths, 100 training dialogues as the
pool), models of the paper's sizes with DCLF and random weights, as weights do not change the time. Drawing and writing
the substitutions, and scoring raw, ECCS and EICS are timed apart; the sum without the raw score is what the bar is for.
Wall-clock and processor seconds are the best of the repeats, since other work on the machine only ever adds to them.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from matmul_rate import matmul_rate

from dclf.config import Config, DataConfig, ModelConfig
from dclf.data import generate, read_shards, write_shards
from dclf.data.reader import ShardSet
from dclf.inference import Predictor
from dclf.models.framework import DCLF
from tune.analysis.perturbation.conditions import Condition, Draw, PerturbationData, Raw, read_data, score_condition
from tune.analysis.perturbation.settings import PerturbationSettings
from tune.analysis.perturbation.substitutes import Substitutes

BAR_S = 20.0
CONDITIONS: tuple[Condition, ...] = (Raw(), Draw("eccs", 0), Draw("eics", 0))


def untrained(model: str, shards: ShardSet) -> Predictor:
    config = Config(data=DataConfig(shards=str(shards.path)), model=ModelConfig(name=model))
    torch.manual_seed(0)
    network = DCLF(shards.info, config.data.modalities, config.model, config.loss)
    return Predictor(config, shards.info, network.state_dict())


def timed(step: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and processor seconds."""
    start = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def best(step: Callable[[], object], repeats: int) -> tuple[float, float]:
    times = [timed(step) for _ in range(repeats)]
    return min(wall for wall, _ in times), min(processor for _, processor in times)


def draw_both(data: PerturbationData, folder: Path) -> None:
    """Draw both kinds anew and write them."""
    for file in folder.glob("*.arrow"):
        file.unlink()
    substitutes = Substitutes(folder=folder, split="test", seed=0)
    for kind in ("eccs", "eics"):
        substitutes.draw(data.targets, data.pool, kind, 0)


def row(model: str, shards: ShardSet, folder: Path, repeats: int) -> str:
    predictor = untrained(model, shards)
    data = read_data(predictor, shards, PerturbationSettings())
    drawn = best(lambda: draw_both(data, folder), repeats)
    substitutes = Substitutes(folder=folder, split="test", seed=0)
    rates = [matmul_rate()]
    scored = []
    for condition in CONDITIONS:
        scored.append(best(lambda c=condition: score_condition(predictor, data, substitutes, c), repeats))
        rates.append(matmul_rate())
    wall, processor = (drawn[i] + scored[1][i] + scored[2][i] for i in (0, 1))
    parts = " | ".join(f"{part[0]:.2f}" for part in (drawn, *scored))
    targets = len(data.targets.labels)
    return f"| {model} | {targets:,} | {parts} | {wall:.2f} | {processor:.2f} | {BAR_S:g} | {max(rates):.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["mmgcn", "ddin"])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | targets | draw, s | raw, s | ECCS, s | EICS, s | both kinds, s | processor s | bar, s | GFLOP/s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        info, dialogues = generate("iemocap")
        write_shards(dialogues, Path(folder) / "shards", info)
        shards = read_shards(Path(folder) / "shards")
        (substitutions := Path(folder) / "substitutions").mkdir()
        for model in arguments.models:
            print(row(model, shards, substitutions, arguments.repeats), flush=True)
    print(f"peak resident memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
