"""A finished comparison for the perturbation tests: trained in this process, recorded in SQLite, without Ray."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from dclf.data import read_shards
from dclf.training import checkpoint
from dclf.training.local import LocalSource
from dclf.training.loop import TrainingRun
from tests.tune.perturbed_runs import RunStore
from tune.analysis.scoring import score_checkpoint
from tune.comparisons import ablation
from tune.config.overrides import apply
from tune.config.sweep_settings import SweepSettings
from tune.study.definition import StudyDefinition
from tune.study.events import ConditionScored, Event, PerturbationStarted
from tune.study.folder import StudyFolder
from tune.study.parent import PARENT_NOTE
from tune.tracking.children import KIND_TAG, STUDY_TAG
from tune.tracking.store import connect

SEEDS = (1, 2)


def trained_study(runs: RunStore, name: str = "parts") -> StudyFolder:
    """MMGCN with and without DCLF over two seeds, scored on test, in ``studies`` beside the store."""
    config = runs.config("mmgcn", "")
    config = replace(config, train=replace(config.train, epochs=2))
    storage = runs.folder / "studies"
    settings = ablation(parts=["base"], seeds=len(SEEDS), settings=SweepSettings(storage=str(storage)))
    folder = new_study(storage, name, config.to_dict(), settings, read_shards(runs.shards).manifest.sha256)
    store = connect(runs.uri, "tests")
    tags = {STUDY_TAG: name, KIND_TAG: "ablation"}
    parent = runs.client.create_run(store.experiment_id, run_name=name, tags=tags)
    folder.ledger.note(PARENT_NOTE, run_id=parent.info.run_id, store=store.name)
    for part in ("none", "base"):
        number = folder.ledger.create({"loss.ablate": part}, origin="variant").number
        folder.ledger.start(number, SEEDS[0])
        for seed in SEEDS:
            child = runs.client.create_run(store.experiment_id, run_name=f"{name}-{number}-seed{seed}", tags=tags)
            folder.ledger.run(number, seed, child.info.run_id)
            _train(folder, number, seed)
            runs.client.set_terminated(child.info.run_id)
        folder.ledger.end(number, "complete", (0.5,))
        for seed in SEEDS:
            folder.ledger.test(number, seed, score_checkpoint(folder.checkpoint(number, seed)).scores)
    return folder


def new_study(
    storage: Path, name: str, config: dict[str, Any], settings: SweepSettings, sha256: str = ""
) -> StudyFolder:
    """A study without trials."""
    definition = StudyDefinition(
        name=name,
        kind="ablation",
        config=config,
        settings=settings.to_dict(),
        space=settings.space,
        shards_sha256=sha256,
        created="2026-11-23T12:00:00+00:00",
    )
    return StudyFolder.create(storage, definition)


def copied(folder: StudyFolder, storage: Path) -> StudyFolder:
    """The same study in another storage, with its checkpoints."""
    shutil.copytree(folder.path, storage / folder.definition.name)
    return StudyFolder.open(storage, folder.definition.name)


class Watcher:
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.total = 0
        self.scores: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case PerturbationStarted(title, lines, total):
                self.lines, self.total = [title, *lines], total
            case ConditionScored(name, wf1):
                self.scores[name] = wf1


def _train(folder: StudyFolder, number: int, seed: int) -> None:
    params = folder.ledger.trials[number].params
    config = apply(folder.definition.base, {**params, "train.seed": seed})
    shards = read_shards(config.data.shards)
    run = TrainingRun(config, LocalSource(shards, config.data.modalities), shards)
    run.prepare()
    for _ in range(config.train.epochs):
        run.epoch()
    checkpoint.save(folder.checkpoint(number, seed), run.state())
    folder.ledger.seed_done(number, seed, (0.5,), config.train.epochs)
