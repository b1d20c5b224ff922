"""Comparisons made by hand, with test scores that tests can work out for themselves."""

import json
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dclf.config import Config
from tests.tune.study.samples import BASE, add_trial
from tune.analysis.perturbation.files import REQUEST, key_of, split_folder, training_folder, write_scores
from tune.analysis.perturbation.scores import ConditionScore, ModelScores
from tune.analysis.speed import SPEED
from tune.comparisons import ablation, grid
from tune.config.local_files import save_text
from tune.config.settings import load_config
from tune.config.sweep_settings import SweepSettings
from tune.study.definition import StudyDefinition
from tune.study.folder import StudyFolder

LABELS = ("happy", "sad", "neutral")
SHIFT = {"shift/wf1": 0.4, "no_shift/wf1": 0.8}
PAPER = {
    "dataset": "iemocap",
    "mmgcn": {
        "table3": {
            "base": {"wa": 67.1, "wf1": 67.4},
            "dclf": {"wa": 73.27, "wf1": 72.07},
            "base_f1": {"happy": 47.41, "sad": 75.47},
            "dclf_f1": {"happy": 48.01, "sad": 84.93},
            "dclf_accuracy": {"happy": 45.61},
        },
        "table4": {"none": 72.07, "no_cacl": 69.95, "no_mccl": 68.02},
        "table5_window": {"2": 70.29, "4": 71.05},
        "table7": {
            "base": {"whole": 67.4, "without_shift": 72.6, "with_shift": 58.35},
            "dclf": {"whole": 72.07, "without_shift": 75.86, "with_shift": 65.47},
        },
    },
}


def renamed_shards(shards: Path, to: Path, dataset: str) -> Path:
    """Generated shards that call themselves something else, and do not say that they are generated."""
    shutil.copytree(shards, to)
    manifest = to / "manifest.json"
    text = manifest.read_text().replace("generated-iemocap-small", dataset)
    manifest.write_text(text.replace('"importer": "generate"', '"importer": "test"'))
    return to


def with_paper(shards: Path | str = "shards/demo", base: Config = BASE) -> Config:
    return replace(base, published=PAPER, data=replace(base.data, shards=str(shards)))


def comparison(
    storage: Path, settings: SweepSettings, base: Config = BASE, name: str = "parts", **more: Any
) -> StudyFolder:
    """A comparison without trials; ``more`` as ``StudyDefinition`` has it."""
    definition = StudyDefinition(
        name=name,
        kind=more.pop("kind", "ablation"),
        config=base.to_dict(),
        settings=settings.to_dict(),
        space=settings.space,
        created="2026-11-23T12:00:00+00:00",
        versions={"dclf": "0.1.0"},
        **more,
    )
    return StudyFolder.create(storage, definition)


def add_tested(folder: StudyFolder, params: Mapping[str, Any], wf1: Sequence[float], **scores: Sequence[float]) -> None:
    """A variant whose seeds 0, 1, ... have these scores on test; names with two underscores for a slash."""
    trial = add_trial(folder, params, [[value + 0.01] for value in wf1])
    for seed, value in enumerate(wf1):
        own = {name.replace("__", "/"): numbers[seed] for name, numbers in scores.items()}
        folder.ledger.test(trial.number, seed, {**SHIFT, "wf1": value, "wa": value - 0.02, **own})


def add_perturbed(folder: StudyFolder, number: int, wf1: Sequence[Mapping[str, float]]) -> None:
    """The perturbation test of a trial's seeds 0, 1, ...: ``raw``, ``eccs`` and ``eics`` of each, one draw."""
    request = {"settings": {"seed": 0, "draws": 1}}
    save_text(split_folder(folder, "test") / REQUEST, json.dumps(request))
    for seed, score in enumerate(wf1):
        raw = score["raw"]
        conditions = tuple(ConditionScore(kind=kind, values=(score[kind],), raw=raw) for kind in ("eccs", "eics"))
        write_scores(model_scores(folder, number, seed, request, conditions))


def model_scores(
    folder: StudyFolder,
    number: int,
    seed: int,
    request: Mapping[str, Any],
    scores: tuple[ConditionScore, ...],
    **more: Any,
) -> ModelScores:
    """What a training came to under the test of a request; ``more`` as ``ModelScores`` has it."""
    return ModelScores(
        **{
            "key": key_of(request),
            "run_id": f"run{number}s{seed}",
            "run_name": f"{folder.definition.name}-{number}-seed{seed}",
            "model": "mmgcn",
            "dataset": "demo",
            "shards_sha256": "0" * 64,
            "split": "test",
            "seed": 0,
            "utterances": 22,
            "raw": scores[0].raw,
            "scores": scores,
            "trial": number,
            "training_seed": seed,
            "folder": training_folder(folder, "test", number, seed),
            **more,
        }
    )


def ablation_study(storage: Path, base: Config) -> StudyFolder:
    """Four variants of MMGCN over three seeds, trained in another order than they are reported in."""
    folder = comparison(storage, ablation(seeds=3), base)
    add_tested(folder, {"loss.ablate": "base"}, [0.60, 0.62, 0.61], f1__happy=[0.4, 0.5, 0.6], f1__sad=[0.7, 0.7, 0.7])
    add_tested(folder, {"loss.ablate": "no_cacl"}, [0.66, 0.68, 0.70])
    add_tested(folder, {"loss.ablate": "none"}, [0.70, 0.71, 0.72], f1__happy=[0.5, 0.6, 0.7], f1__sad=[0.8, 0.8, 0.8])
    add_tested(folder, {"loss.ablate": "no_mccl"}, [0.71, 0.72, 0.73])
    return folder


def window_study(storage: Path, base: Config, windows: Sequence[int] = (2, 4, 8), seeds: int = 2) -> StudyFolder:
    """WF1 0.60, 0.62, ... by window, over two seeds; with further ones differences vary from seed to seed."""
    folder = comparison(
        storage, grid({"loss.window": {"choices": list(windows)}}, seeds=seeds), base, "windows", kind="grid"
    )
    for place, window in enumerate(windows):
        further = [0.60 + 0.01 * seed + 0.02 * place**2 / seed for seed in range(2, seeds)]
        add_tested(folder, {"loss.window": window}, [0.60 + 0.02 * place, 0.61 + 0.02 * place, *further])
    return folder


def gamma_study(storage: Path, base: Config, models: Sequence[str] = ("mmgcn",)) -> StudyFolder:
    """Four by three weights over two seeds; the best at gamma_ca 0.5 and gamma_mc 0.2."""
    space = {
        "model.name": {"choices": list(models)},
        "loss.gamma_ca": {"choices": [0.1, 0.2, 0.5, 0.8]},
        "loss.gamma_mc": {"choices": [0.1, 0.2, 0.4]},
    }
    folder = comparison(storage, grid(space, seeds=2), base, "gammas", kind="grid")
    for model in models:
        for ca in (0.1, 0.2, 0.5, 0.8):
            for mc in (0.1, 0.2, 0.4):
                mean = 0.70 - 0.1 * abs(ca - 0.5) - 0.1 * abs(mc - 0.2)
                params = {"model.name": model, "loss.gamma_ca": ca, "loss.gamma_mc": mc}
                add_tested(folder, params, [mean - 0.01, mean + 0.01])
    return folder


def preset(name: str, shards: Path) -> Config:
    """A preset of the package, which has the paper's numbers."""
    return load_config(name, {"data.shards": str(shards)})


def planned_main(storage: Path, base: Config, seeds: int = 5) -> StudyFolder:
    """A study file's Table 3: two base models without and with DCLF, every class scored, made-up numbers."""
    models, labels = ("ddin", "mmgcn"), ("happy", "sad", "neutral", "angry", "excited", "frustrated")
    space = {"model.name": {"choices": list(models)}, "loss.ablate": {"choices": ["base", "none"]}}
    variants: list[dict[str, Any]] = [
        {
            "name": name,
            "model": model,
            "params": {"model.name": model, "loss.ablate": part},
            "reference": part == "base",
        }
        for model in models
        for part, name in (("base", "base"), ("none", "DCLF"))
    ]
    plan = {"title": "Base models without and with DCLF", "paper": "Table 3", "layout": "main", "source": "the paper"}
    folder = comparison(storage, grid(space, seeds=seeds), base, "main", kind="study", variants=variants, plan=plan)
    draw = random.Random(4)
    for variant in variants:
        gain = 0.05 if variant["params"]["loss.ablate"] == "none" else 0.0
        wf1 = [0.62 + gain + draw.gauss(0, 0.01) for _ in range(seeds)]
        classes = {
            f"{kind}__{label}": [0.45 + 0.05 * place + gain + draw.gauss(0, 0.02) for _ in range(seeds)]
            for kind in ("accuracy", "f1")
            for place, label in enumerate(labels)
        }
        with_shift = [0.5 + gain + draw.gauss(0, 0.01) for _ in range(seeds)]
        shifts = {"no_shift__wf1": [0.7 + gain / 2] * seeds, "shift__wf1": with_shift}
        add_tested(folder, variant["params"], wf1, **classes, **shifts)
    return folder


def leaderboard(storage: Path, base: Config, models: Sequence[str] = ("mmgcn", "ddin", "mm_dfn")) -> StudyFolder:
    """Base models without and with DCLF over five seeds, scored, perturbed and measured; made-up numbers."""
    space = {"model.name": {"choices": list(models)}, "loss.ablate": {"choices": ["base", "none"]}}
    parts = (("base", "base model"), ("none", "DCLF"))
    variants: list[dict[str, Any]] = [
        {
            "name": name,
            "model": model,
            "params": {"model.name": model, "loss.ablate": part},
            "reference": part == "base",
            "published": {"wa": 68.21, "wf1": 68.18} if (model, part) == ("mm_dfn", "base") else {},
        }
        for model in models
        for part, name in parts
    ]
    authors = {"mm_dfn": {"wa": 68.21, "wf1": 68.18, "best_on_test": True, "source": "Hu et al., 2022"}}
    plan = {"title": "All of them", "layout": "leaderboard", "evaluations": ["speed"], "authors": authors}
    folder = comparison(storage, grid(space, seeds=5), base, "board", kind="leaderboard", variants=variants, plan=plan)
    draw = random.Random(4)
    for place, variant in enumerate(variants):
        gain = 0.0 if variant["reference"] else 0.01 * place
        wf1 = [0.6 + gain + draw.gauss(0, 0.01) for _ in range(5)]
        add_tested(folder, variant["params"], wf1, f1__happy=[0.5 + gain] * 5, f1__sad=[0.6] * 5)
        drops = [0.1 - gain + draw.gauss(0, 0.005) for _ in range(5)]
        add_perturbed(folder, place, [{"raw": 0.7, "eccs": 0.69, "eics": 0.7 - drop} for drop in drops])
        epochs = {str(seed): 1.5 + 0.1 * seed for seed in range(5)}
        heard = {"utterance_ms": None if variant["model"] == "ddin" else 2.25, "heard": 100}
        folder.ledger.note(SPEED, number=place, parameters=1000 + place, epoch_s=epochs, **heard)
    return folder
