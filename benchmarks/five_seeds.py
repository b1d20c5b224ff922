"""Base model against DCLF over shared seeds, on any shard set: mean, deviation and a paired t-test of test WF1.

    python -m benchmarks.five_seeds SHARDS --preset iemocap --seeds 5 --epochs 40 --processes 2

Trains in process (the loop that Ray Train workers run), selects on validation and scores test once per run. Prints
one Markdown row per variant; every run's scores go to --out as JSON lines, and runs found there are not repeated.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import ttest_rel

from dclf.config import Config
from dclf.data import read_shards
from dclf.training.local import LocalSource
from dclf.training.loop import train
from tune.config.settings import load_config

ABLATIONS = {"base": "base", "dclf": "none"}


def variants(arguments: argparse.Namespace) -> Iterator[tuple[str, str, int, Config]]:
    for model in arguments.models.split(","):
        preset = arguments.preset if model == "mmgcn" else f"{arguments.preset}-{model}"
        config = load_config(preset, {"data.shards": arguments.shards})
        modalities = tuple(m for m in read_shards(arguments.shards).info.modalities)
        overrides = dict(item.split("=") for item in arguments.set)
        for variant in arguments.variants.split(","):
            for seed in range(arguments.seeds):
                yield (
                    model,
                    variant,
                    seed,
                    replace(
                        config,
                        data=replace(config.data, modalities=modalities),
                        loss=replace(
                            config.loss,
                            ablate=ABLATIONS.get(variant, variant),
                            **{
                                k.removeprefix("loss."): _number(v)
                                for k, v in overrides.items()
                                if k.startswith("loss.")
                            },
                        ),
                        train=replace(
                            config.train,
                            seed=seed,
                            epochs=arguments.epochs,
                            device="cpu",
                            **{
                                k.removeprefix("train."): _number(v)
                                for k, v in overrides.items()
                                if k.startswith("train.")
                            },
                        ),
                    ),
                )


def _number(text: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def one(job: tuple[str, str, int, Config]) -> dict[str, object]:
    model, variant, seed, config = job
    torch.set_num_threads(1)
    shards = read_shards(config.data.shards, verify=False)
    started = time.perf_counter()
    final = train(config, LocalSource(shards, config.data.modalities), shards)
    return {
        "model": model,
        "variant": variant,
        "seed": seed,
        "config": config.flat(),
        "test_wf1": 100 * final.splits["test"].scores["wf1"],
        "val_wf1": 100 * final.splits["val"].scores["wf1"],
        "best_epoch": final.history[-1].best_epoch,
        "seconds": time.perf_counter() - started,
        "epoch_seconds": float(np.median([report.seconds for report in final.history])),
    }


def key(row: dict[str, object]) -> str:
    return json.dumps([row["model"], row["variant"], row["seed"], row["config"]], sort_keys=True, default=str)


def table(rows: list[dict[str, object]]) -> str:
    lines = [
        "| model | variant | test WF1 | deviation | val WF1 | s / epoch | p (paired t) |",
        "|---|---|---|---|---|---|---|",
    ]
    scores = {(r["model"], r["variant"]): [] for r in rows}
    for row in sorted(rows, key=lambda r: int(str(r["seed"]))):
        scores[row["model"], row["variant"]].append(row)
    for (model, variant), group in scores.items():
        wf1 = [float(str(r["test_wf1"])) for r in group]
        base = [float(str(r["test_wf1"])) for r in scores.get((model, "base"), [])]
        paired = variant != "base" and len(base) == len(wf1) > 1
        p = f"{ttest_rel(wf1, base).pvalue:.4f}" if paired else ""
        val = np.mean([float(str(r["val_wf1"])) for r in group])
        epoch = np.mean([float(str(r["epoch_seconds"])) for r in group])
        deviation = np.std(wf1, ddof=1) if len(wf1) > 1 else 0.0
        lines.append(f"| {model} | {variant} | {np.mean(wf1):.2f} | {deviation:.2f} | {val:.2f} | {epoch:.2f} | {p} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards")
    parser.add_argument("--preset", choices=("iemocap", "meld"), required=True)
    parser.add_argument("--models", default="mmgcn,ddin")
    parser.add_argument("--variants", default="base,dclf", help="base, dclf, no_cacl, no_ce, no_mccl, no_ica")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="loss.* and train.* only"
    )
    parser.add_argument("--out", type=Path, default=Path("dclf-runs/five_seeds.jsonl"))
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    rows = {}
    if arguments.out.exists():
        rows = {key(row): row for row in map(json.loads, arguments.out.read_text().splitlines())}
    jobs = list(variants(arguments))
    names = [key({"model": m, "variant": v, "seed": s, "config": c.flat()}) for m, v, s, c in jobs]
    todo = [job for job, name in zip(jobs, names, strict=True) if name not in rows]
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool, arguments.out.open("a") as out:
        for row in pool.imap(one, todo):
            rows[key(row)] = row
            out.write(json.dumps(row, default=str) + "\n")
            out.flush()
            print(f"{row['model']} {row['variant']} seed {row['seed']}: test WF1 {row['test_wf1']:.2f}", flush=True)
    print(table([rows[name] for name in names]))


if __name__ == "__main__":
    main()
