"""Train a base model with and without DCLF on generated dialogues, and compare them on the test split.

Everything here is the Python behind ``dclf data generate`` and ``dclf train``: copy it into a notebook.
"""

from __future__ import annotations

from pathlib import Path

from dclf.data import generate, write_shards
from tune.config.settings import load_config
from tune.progress.forms import choose_renderer
from tune.runs import TrainedRun, train

SHARDS = Path("dclf-demo") / "shards"
DIALOGUES = 75
SEED = 0
OVERRIDES = {"data.shards": str(SHARDS), "train.epochs": 15, "train.lr": 1e-3, "track.experiment": "demo"}


def main() -> None:
    """Generate, train twice, compare."""
    generate_data()
    runs = {ablate: run(ablate) for ablate in ("base", "none")}
    without, framed = (wf1(runs[ablate]) for ablate in ("base", "none"))
    print(
        f"\nMMGCN alone      test WF1 {without:.2f}\n"
        f"MMGCN with DCLF  test WF1 {framed:.2f}\n"
        "One seed on small data: a demonstration, not a result.\n\n"
        "Look at both runs with `.venv/bin/dclf ui`; it prints the address of the MLflow UI."
    )


def generate_data() -> None:
    """Write the shards that both runs read."""
    info, dialogues = generate("iemocap", DIALOGUES, SEED)
    write_shards(dialogues, SHARDS, info, overwrite=True)
    print(f"{DIALOGUES} generated dialogues, shaped like IEMOCAP, are in {SHARDS}\n", flush=True)


def run(ablate: str) -> TrainedRun:
    """One run of the demonstration; ``base`` is the base model alone."""
    config = load_config("iemocap", {**OVERRIDES, "loss.ablate": ablate})
    with choose_renderer("auto", quiet=False) as renderer:
        return train(config, listeners=[renderer])


def wf1(trained: TrainedRun) -> float:
    """Test WF1 in percent."""
    return 100 * trained.final.splits["test"].scores["wf1"]


if __name__ == "__main__":
    main()
