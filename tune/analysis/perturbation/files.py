"""Where the files of a perturbation test lie, for runs and studies alike; reading and writing those that are text.

OUT/<hash of the shards>/substitutions    what every model meets, a file per draw
OUT/<hash of the shards>/runs/<run>/test  a test of a run: its model's files beside those of the test
STUDY/perturbations/test                  a test of a study, with a folder ``<trial>-s<seed>`` for each model's files

Files of a model: ``results.arrow``, then ``summary.json``: it is scored. Files of a test: ``test.json``, what was asked
for last; ``scores.csv``, ``table.md``, ``table.tex``; the page and its figures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from tune.analysis.perturbation.scores import SUMMARY, ModelScores, Perturbations
from tune.config.local_files import save_text
from tune.study.folder import StudyFolder
from tune.tracking.address import RUNS_FOLDER

REQUEST, PAGE = "test.json", "perturbation.html"
OUT = f"{RUNS_FOLDER}/perturbations"
"""Where substitutions and the results of runs go unless told otherwise."""
FORMAT = 1
"""Of the summaries; another format is another test."""
_DIGITS = 16


@dataclass(frozen=True)
class SuiteFolder:
    """The folder of one shard set.

    Attributes:
        path: ``OUT/<the first digits of the shards' hash>``.
    """

    path: Path

    @classmethod
    def make(cls, out: Path | str, shards_sha256: str) -> SuiteFolder:
        """Find or create it.

        Raises:
            OSError: it cannot be written.
        """
        suite = cls(Path(out).absolute() / shards_sha256[:_DIGITS])
        try:
            suite.substitutions.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                f"{suite.path}: must be a folder that can be written, cannot ({error.strerror}); make it writable, or "
                "choose another one with --out"
            ) from error
        return suite

    @property
    def substitutions(self) -> Path:
        """Folder of the draws."""
        return self.path / "substitutions"

    def run(self, run_id: str, split: str) -> Path:
        """Return the folder of a run's test."""
        return self.path / "runs" / run_id / split


def split_folder(folder: StudyFolder, split: str) -> Path:
    """Return the folder of a study's tests on one split."""
    return folder.path / "perturbations" / split


def training_folder(folder: StudyFolder, split: str, number: int, seed: int) -> Path:
    """Return the folder of one training's files."""
    return split_folder(folder, split) / f"{number}-s{seed}"


def complete_trainings(folder: StudyFolder) -> list[tuple[int, int]]:
    """Return (trial, seed) of every training that was not cut short, in order."""
    trials = folder.ledger.trials.values()
    return [(trial.number, seed) for trial in trials if trial.state == "complete" for seed in sorted(trial.runs)]


def load_study_perturbations(folder: StudyFolder, split: str = "test") -> Perturbations | None:
    """Return what a study's latest test of a split came to so far.

    None where there was none, or it has scored nothing yet.
    """
    places = {key: training_folder(folder, split, *key) for key in complete_trainings(folder)}
    return read_perturbations("study", folder.definition.name, split_folder(folder, split), places)


def read_perturbations(
    kind: str, name: str, folder: Path, places: Mapping[tuple[int, int], Path]
) -> Perturbations | None:
    """Return what the latest test in a folder came to so far; None where it has scored nothing.

    Args:
        kind: ``study`` or ``run``.
        name: of it.
        folder: of the test.
        places: (trial, seed) -> folder of that model's files.
    """
    request = read_json(folder / REQUEST)
    if request is None:
        return None
    scores = {key: read_scores(place, key_of(request)) for key, place in places.items()}
    trainings = tuple(training for training in scores.values() if training is not None)
    if not trainings:
        return None
    return Perturbations(
        kind=kind,
        name=name,
        draws=request["settings"]["draws"],
        mask_seeds=tuple(sorted({one["seed"] for one in request["settings"].get("corruptions", ())})),
        trainings=trainings,
        missing=tuple(key for key, training in scores.items() if training is None),
        folder=folder,
    )


def read_scores(folder: Path, key: str) -> ModelScores | None:
    """Return what a model came to under the test with this key; None where it was not scored, or a file is damaged."""
    summary = read_json(folder / SUMMARY)
    if summary is None or summary.get("key") != key:
        return None
    try:
        return ModelScores.from_dict(summary, folder)
    except (KeyError, TypeError):
        return None


def write_scores(scores: ModelScores) -> None:
    """Write a model's ``summary.json``, after its results: it says that they are whole."""
    save_text(scores.folder / SUMMARY, json.dumps(scores.to_dict(), indent=1) + "\n")


def key_of(request: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits that differ where settings, shards or the run's model do."""
    text = json.dumps({"format": FORMAT, **request}, sort_keys=True)
    return sha256(text.encode()).hexdigest()[:16]


def read_json(path: Path) -> dict[str, Any] | None:
    """Return a JSON object; None where the file is absent or holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
