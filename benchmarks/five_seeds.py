"""Base model against DCLF over shared seeds, on any shard set: mean, deviation and a paired t-test of test WF1.

    python -m benchmarks.five_seeds SHARDS --preset iemocap --seeds 5 --epochs 40 --processes 2

Trains in process (the loop that Ray Train workers run), selects on validation and scores test once per run; --draws
tests by substituted contexts besides. Prints one Markdown row per variant; every run's scores go to --out as JSON
lines, and runs found there are not repeated.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.stats import ttest_rel

from dclf.config import Config
from dclf.data import ShardSet, read_shards
from dclf.data.dialogue import DatasetInfo
from dclf.models.framework import DCLF
from dclf.perturb import Conversations, perturbation_test
from dclf.training.local import LocalSource
from dclf.training.loop import TrainingRun
from tune.config.settings import load_config

ABLATIONS = {"base": "base", "dclf": "none"}


def variants(arguments: argparse.Namespace) -> Iterator[tuple[str, str, int, Config]]:
    for model in arguments.models.split(","):
        preset = arguments.preset if model == "mmgcn" else f"{arguments.preset}-{model}"
        config = load_config(preset, {"data.shards": arguments.shards})
        every = read_shards(arguments.shards).info.modalities
        modalities = tuple(arguments.modalities.split(",")) if arguments.modalities else every
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


@dataclass(frozen=True)
class Trained:
    """The chosen epoch of a run, as ``perturbation_test`` wants it."""

    info: DatasetInfo
    modalities: tuple[str, ...]
    model: DCLF


def eics_drop(run: TrainingRun, shards: ShardSet, draws: int) -> float:
    """Points of test WF1 that contexts of other emotions cost, the mean over the draws."""
    modalities = run.model.modalities
    targets, pool = (
        Conversations.of(LocalSource(shards, modalities).dialogues(split), modalities, shards.index(split))
        for split in ("test", "train")
    )
    trained = Trained(run.info, modalities, run.model)
    raw, *substituted = perturbation_test(trained, targets, pool, kinds=("eics",), draws=draws)
    return 100 * (raw.scores["wf1"] - float(np.mean([outcome.scores["wf1"] for outcome in substituted])))


def one(job: tuple[str, str, int, Config], draws: int) -> dict[str, object]:
    model, variant, seed, config = job
    torch.set_num_threads(1)
    shards = read_shards(config.data.shards, verify=False)
    started = time.perf_counter()
    run = TrainingRun(config, LocalSource(shards, config.data.modalities), shards)
    run.prepare()
    while not run.progress.finished:
        run.epoch()
    final = run.conclude()
    seconds = time.perf_counter() - started
    return {
        "model": model,
        "variant": variant,
        "seed": seed,
        "draws": draws,
        "config": config.flat(),
        "test_wf1": 100 * final.splits["test"].scores["wf1"],
        "shift_wf1": 100 * final.splits["test"].scores["shift/wf1"],
        "eics_drop": eics_drop(run, shards, draws) if draws else float("nan"),
        "val_wf1": 100 * final.splits["val"].scores["wf1"],
        "best_epoch": final.history[-1].best_epoch,
        "seconds": seconds,
        "epoch_seconds": float(np.median([report.seconds for report in final.history])),
    }


def key(row: dict[str, object]) -> str:
    named = [row["model"], row["variant"], row["seed"], row["draws"], row["config"]]
    return json.dumps(named, sort_keys=True, default=str)


def table(rows: list[dict[str, object]]) -> str:
    lines = [
        "| model | variant | test WF1 | deviation | on shifts | EICS drop | val WF1 | s / epoch | p (paired t) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    scores = {(r["model"], r["variant"]): [] for r in rows}
    for row in sorted(rows, key=lambda r: int(str(r["seed"]))):
        scores[row["model"], row["variant"]].append(row)
    for (model, variant), group in scores.items():

        def of_each(name: str, group: list[dict[str, object]] = group) -> list[float]:
            return [float(str(row[name])) for row in group]

        wf1 = of_each("test_wf1")
        base = [float(str(r["test_wf1"])) for r in scores.get((model, "base"), [])]
        paired = variant != "base" and len(base) == len(wf1) > 1
        p = f"{ttest_rel(wf1, base).pvalue:.4f}" if paired else ""
        deviation = np.std(wf1, ddof=1) if len(wf1) > 1 else 0.0
        means = [f"{np.mean(of_each(name)):.2f}" for name in ("shift_wf1", "eics_drop", "val_wf1", "epoch_seconds")]
        lines.append(f"| {model} | {variant} | {np.mean(wf1):.2f} | {deviation:.2f} | {' | '.join(means)} | {p} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards")
    parser.add_argument("--preset", choices=("iemocap", "meld"), required=True)
    parser.add_argument("--models", default="mmgcn,ddin")
    parser.add_argument("--variants", default="base,dclf", help="base, dclf, no_cacl, no_ce, no_mccl, no_ica")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--modalities", default="", help="separated by commas; all of the shards where empty")
    parser.add_argument("--draws", type=int, default=0, help="of contexts of other emotions (EICS)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="loss.* and train.* only"
    )
    parser.add_argument("--out", type=Path, default=Path("dclf-runs/five_seeds.jsonl"))
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    rows = {}
    if arguments.out.exists():
        earlier = map(json.loads, arguments.out.read_text().splitlines())
        rows = {key(row): row for row in earlier if "draws" in row}
    jobs = list(variants(arguments))
    draws = arguments.draws
    names = [key({"model": m, "variant": v, "seed": s, "draws": draws, "config": c.flat()}) for m, v, s, c in jobs]
    todo = [job for job, name in zip(jobs, names, strict=True) if name not in rows]
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool, arguments.out.open("a") as out:
        for row in pool.imap(partial(one, draws=draws), todo):
            rows[key(row)] = row
            out.write(json.dumps(row, default=str) + "\n")
            out.flush()
            print(f"{row['model']} {row['variant']} seed {row['seed']}: test WF1 {row['test_wf1']:.2f}", flush=True)
    print(table([rows[name] for name in names]))


if __name__ == "__main__":
    main()
