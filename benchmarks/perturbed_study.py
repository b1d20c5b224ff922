"""How much of WF1 the models of a comparison lose with every context replaced: the paper's Table 6 over seeds.

    dclf ablate iemocap --data.shards SHARDS --models mmgcn,ddin --parts base --seeds 5 --train.epochs 20 --name shift
    python benchmarks/perturbed_study.py shift [--storage dclf-runs/studies --draws 2]

Every training of the study meets the same stored substitutions. Per variant mean and deviation over training seeds, a
seed's score being the mean over its draws; below, the EICS drop of the whole framework against that of the base model,
by a paired t-test over seeds.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean

from dclf.inference import predictor_of
from dclf.training import checkpoint
from tune.perturbations import PerturbationSettings, RunName, perturb_model
from tune.report.scores import WF1
from tune.report.statistics import paired
from tune.study.folder import StudyFolder

KINDS = ("eccs", "eics")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("--storage", default="dclf-runs/studies")
    parser.add_argument("--out", default="dclf-runs/perturbations")
    parser.add_argument("--draws", type=int, default=2)
    arguments = parser.parse_args()
    study = StudyFolder.open(arguments.storage, arguments.study)
    own = study.definition.base.model.name
    print("| model | raw | ECCS | EICS | EICS drop |\n|---|---|---|---|---|")
    drops: dict[tuple[str, str], dict[int, float]] = {}
    for trial in study.ledger.trials.values():
        model, part = trial.params.get("model.name", own), trial.params.get("loss.ablate", "none")
        scores = {
            seed: scored(study, trial.number, seed, Path(arguments.out), arguments.draws) for seed in sorted(trial.runs)
        }
        drops[model, part] = {seed: found["raw"] - found["eics"] for seed, found in scores.items()}
        cells = [WF1.mean_text([found[name] for found in scores.values()]) for name in ("raw", *KINDS)]
        name = {"none": f"{model} + dclf", "base": model}.get(part, f"{model} + dclf ({part})")
        print(f"| {name} | {' | '.join(cells)} | {WF1.mean_text(list(drops[model, part].values()))} |", flush=True)
    for model in sorted({model for model, _ in drops}):
        if {(model, "none"), (model, "base")} <= drops.keys():
            test = paired(drops[model, "none"], drops[model, "base"])
            smaller = 1 - fmean(drops[model, "none"].values()) / fmean(drops[model, "base"].values())
            interval = f"[{100 * test.low:+.2f}, {100 * test.high:+.2f}]"
            print(
                f"\n{model}: the EICS drop is {100 * smaller:.0f} % smaller with DCLF, {100 * test.difference:+.2f} "
                f"points {interval}, p {test.p:.4f}, {test.count} seeds"
            )


def scored(study: StudyFolder, number: int, seed: int, out: Path, draws: int) -> dict[str, float]:
    """Condition -> WF1 of one training, the mean over draws."""
    predictor = predictor_of(checkpoint.load(study.checkpoint(number, seed)))
    run = RunName(id=f"{study.definition.name}-{number}-s{seed}", name=f"trial {number}, seed {seed}")
    report = perturb_model(predictor, run, PerturbationSettings(draws=draws), out=out).report
    return {"raw": report.raw, **{kind: report.score(kind).wf1 for kind in KINDS}}


if __name__ == "__main__":
    main()
