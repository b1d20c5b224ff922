"""What the parts of DCLF are worth over shared seeds, on any shard set: WF1, WF1 on emotion shifts, and the EICS drop.

    python -m benchmarks.five_seeds SHARDS --preset iemocap --models mmgcn,ddin --against no_cacl
    python -m benchmarks.five_seeds SHARDS --preset meld --variants base,dclf --against base --draws 0

Trains in one process per training (the loop that Ray Train workers run), selects on validation and scores test once.
The EICS drop is raw WF1 minus the mean WF1 over ``--draws`` draws of contexts with other emotions; all models meet the
same draws, and 0 draws leave it out. A row per variant: mean ± sample deviation over the seeds, and the difference to
``--against`` with the p-value of a paired t-test over shared seeds, by Holm's correction for all rows of the model that
answer the same question. All modalities of the shards are read.

Every finished training is a line of ``--keep`` and is not repeated: the same command goes on after any kill, further
models, seeds and variants take over what is there, and ``--table`` prints what there is. Trainings go seed by seed, so
that a table that is cut has all its rows.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dclf.config import Config
from dclf.data import read_shards
from dclf.data.reader import ShardSet
from dclf.inference import Predictor
from dclf.perturb import Conversations, Substitutions, score_raw, score_substituted, substitute_context
from dclf.training.local import LocalSource
from dclf.training.loop import TrainingRun
from dclf.training.preflight import check_shards
from tune.analysis.statistics import holm, paired
from tune.config.settings import load_config
from tune.study.scores import deviation

EQ10 = {"loss.denominator": "negatives", "loss.projection": "linear"}
VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "base": ("base model", {"loss.ablate": "base"}),
    "heads_ica": ("heads + ICA", {"loss.ablate": "no_cacl", "loss.gamma_mc": 0.0}),
    "no_cacl": ("w/o CACL", {"loss.ablate": "no_cacl"}),
    "no_mccl": ("w/o MCCL", {"loss.ablate": "no_mccl"}),
    "no_ica": ("w/o ICA", {"loss.ablate": "no_ica"}),
    "no_ce": ("w/o CE", {"loss.ablate": "no_ce"}),
    "dclf": ("DCLF", {}),
    "eq10_0.02": ("eq. 10, projection, gamma_ca 0.02", {**EQ10, "loss.gamma_ca": 0.02}),
    "eq10_0.05": ("eq. 10, projection, gamma_ca 0.05", {**EQ10, "loss.gamma_ca": 0.05}),
    "eq10_0.1": ("eq. 10, projection, gamma_ca 0.1", {**EQ10, "loss.gamma_ca": 0.1}),
    "eq10_0.2": ("eq. 10, projection, gamma_ca 0.2", {**EQ10, "loss.gamma_ca": 0.2}),
    "eq10_0.8": ("eq. 10, projection, gamma_ca 0.8", {**EQ10, "loss.gamma_ca": 0.8}),
}
"""Name on the command line -> name in the table, and what it changes of the preset."""
PARTS = "base,heads_ica,no_cacl,no_mccl,no_ica,dclf,eq10_0.1,eq10_0.2"
MEASURES = {"wf1": "WF1", "shift": "WF1 on shifts", "drop": "EICS drop"}

Job = tuple[str, str, Config, int]
"""Model, variant, configuration with its seed, and draws."""
Line = dict[str, Any]
"""A finished training as a line of the file has it: who it was, its scores in percent and its times."""


def jobs(arguments: argparse.Namespace) -> Iterator[Job]:
    modalities = list(read_shards(arguments.shards).info.modalities)
    common = {"data.shards": arguments.shards, "data.modalities": modalities, "train.device": "cpu"}
    lengths = {"train.epochs": arguments.epochs, "train.patience": arguments.patience}
    common |= {name: value for name, value in lengths.items() if value is not None}
    common |= dict(item.split("=", 1) for item in arguments.set)
    for model in arguments.models.split(","):
        preset = arguments.preset if model == "mmgcn" else f"{arguments.preset}-{model.replace('_', '-')}"
        for seed in range(arguments.seeds):
            for variant in arguments.variants.split(","):
                _, changes = VARIANTS[variant]
                yield model, variant, load_config(preset, {**common, **changes, "train.seed": seed}), arguments.draws


@cache
def shard_set(path: str) -> ShardSet:
    return read_shards(path, verify=False)


@cache
def conversations(path: str, split: str) -> Conversations:
    shards = shard_set(path)
    return Conversations.of(shards.select(split=split), shards.info.modalities)


@cache
def eics(path: str, draw: int) -> Substitutions:
    return substitute_context(conversations(path, "test"), conversations(path, "train"), "eics", seed=0, draw=draw)


def train(job: Job) -> Line:
    *_, config, draws = job
    torch.set_num_threads(1)
    shards = shard_set(config.data.shards)
    check_shards(shards, config.data.modalities)
    started = time.perf_counter()
    run = TrainingRun(config, LocalSource(shards, config.data.modalities), shards)
    run.prepare()
    while not run.progress.finished:
        run.epoch()
    final = run.conclude()
    trained = time.perf_counter()
    test = final.splits["test"].scores
    return {
        **identity(job),
        "wf1": 100 * test["wf1"],
        "shift": 100 * test["shift/wf1"],
        "drop": drop(Predictor(config, shards.info, run.progress.best_model), draws),
        "val_wf1": 100 * final.splits["val"].scores["wf1"],
        "best_epoch": run.progress.best_epoch,
        "epoch_seconds": float(np.median([report.seconds for report in final.history])),
        "seconds": trained - started,
        "perturbation_seconds": time.perf_counter() - trained,
    }


def drop(predictor: Predictor, draws: int) -> float:
    """Points of test WF1 that contexts with other emotions cost; NaN where none is drawn."""
    if not draws:
        return math.nan
    path = predictor.config.data.shards
    targets, pool = conversations(path, "test"), conversations(path, "train")
    raw = score_raw(predictor, targets).scores["wf1"]
    substituted = [score_substituted(predictor, targets, pool, eics(path, n)).scores["wf1"] for n in range(draws)]
    return 100 * (raw - math.fsum(substituted) / draws)


def identity(job: Job) -> Line:
    """What a training is known by in the file."""
    model, variant, config, draws = job
    flat = json.loads(json.dumps(config.flat()))  # lists for tuples, as a line has them
    return {"model": model, "variant": variant, "seed": config.train.seed, "draws": draws, "config": flat}


def key(line: Line) -> str:
    return json.dumps([line[name] for name in ("model", "variant", "seed", "draws", "config")], sort_keys=True)


def read_lines(file: Path) -> dict[str, Line]:
    """Key -> line."""
    lines = map(json.loads, file.read_text().splitlines()) if file.exists() else ()
    return {key(line): line for line in lines}


def table(lines: list[Line], variants: list[str], against: str, measures: list[str]) -> str:
    """Markdown; a difference has its corrected p in brackets where three or more seeds are shared."""
    heads = [MEASURES[name] for name in measures]
    differences = [f"{head}, difference to {VARIANTS[against][0]}" for head in heads]
    columns = ["model", "variant", "seeds", *heads, *differences]
    rows = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for model in dict.fromkeys(line["model"] for line in lines):
        values = {
            (variant, measure): {
                line["seed"]: line[measure] for line in lines if (line["model"], line["variant"]) == (model, variant)
            }
            for variant in variants
            for measure in measures
        }
        present = [variant for variant in variants if values[variant, measures[0]]]
        differs = {measure: _differences(values, present, against, measure) for measure in measures}
        for variant in present:
            seeds = len(values[variant, measures[0]])
            cells = [_mean(list(values[variant, measure].values())) for measure in measures]
            cells += [differs[measure].get(variant, "") for measure in measures]
            rows.append(f"| {model} | {VARIANTS[variant][0]} | {seeds} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _mean(values: list[float]) -> str:
    return f"{np.mean(values):.2f} ± {deviation(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}"


def _differences(
    values: Mapping[tuple[str, str], dict[int, float]], variants: list[str], against: str, measure: str
) -> dict[str, str]:
    """Variant -> difference and p of one question to one model, corrected for its rows."""
    reference = values.get((against, measure), {})
    tests = {
        variant: paired(values[variant, measure], reference)
        for variant in variants
        if variant != against and values[variant, measure].keys() & reference.keys()
    }
    corrected = holm([test.p for test in tests.values()])
    return {
        variant: f"{test.difference:+.2f}" + (f" ({p:.4f})" if test.tested else "")
        for (variant, test), p in zip(tests.items(), corrected, strict=True)
    }


def train_all(todo: list[Job], processes: int, keep: Path) -> Iterator[Line]:
    with multiprocessing.get_context("spawn").Pool(processes) as pool, keep.open("a") as out:
        for line in pool.imap(train, todo):
            out.write(json.dumps(line) + "\n")
            out.flush()
            print(
                f"{line['model']} {line['variant']} seed {line['seed']}: test WF1 {line['wf1']:.2f}, on shifts "
                f"{line['shift']:.2f}, EICS drop {line['drop']:.2f}; {line['seconds']:.0f} s",
                flush=True,
            )
            yield line


def arguments_of(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards")
    parser.add_argument("--preset", choices=("iemocap", "meld"), required=True)
    parser.add_argument("--models", default="mmgcn,ddin")
    parser.add_argument("--variants", default=PARTS, help=f"some of {', '.join(VARIANTS)}; {PARTS} unless given")
    parser.add_argument("--against", default="no_cacl", choices=tuple(VARIANTS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--epochs", type=int, help="of the preset unless given")
    parser.add_argument("--patience", type=int, help="likewise")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of all variants")
    parser.add_argument("--keep", type=Path, default=Path("dclf-runs/five_seeds.jsonl"))
    parser.add_argument("--table", action="store_true", help="train nothing")
    arguments = parser.parse_args(words)
    if unknown := [name for name in arguments.variants.split(",") if name not in VARIANTS]:
        parser.error(f"--variants: must be some of {', '.join(VARIANTS)}, has {', '.join(unknown)}")
    return arguments


def main() -> None:
    arguments = arguments_of()
    arguments.keep.parent.mkdir(parents=True, exist_ok=True)
    lines, by_key = read_lines(arguments.keep), {key(identity(job)): job for job in jobs(arguments)}
    if not arguments.table:
        todo = [job for name, job in by_key.items() if name not in lines]
        lines |= {key(line): line for line in train_all(todo, arguments.processes, arguments.keep)}
    done = [lines[name] for name in by_key if name in lines]
    measures = [name for name in MEASURES if name != "drop" or arguments.draws]
    print(table(done, arguments.variants.split(","), arguments.against, measures))


if __name__ == "__main__":
    main()
