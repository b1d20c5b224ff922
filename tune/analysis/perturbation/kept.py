"""What the perturbation tests of a study's trainings came to, as the study's folder keeps it; read without computing.

STUDY/perturbations/<split>              test.json: what was asked last; tables over all trainings
STUDY/perturbations/<split>/<trial>-s<seed>  results.arrow, summary.json: one training, there once it is scored
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from tune.analysis.perturbation.scores import ConditionScore
from tune.study.folder import StudyFolder

ASKED, RESULTS, SUMMARY = "test.json", "results.arrow", "summary.json"
FORMAT = 1
"""Of the summaries; another format is another test."""


@dataclass(frozen=True, kw_only=True)
class TrainingScores:
    """One training of a study.

    Attributes:
        trial: its number.
        seed: ``train.seed`` of it.
        raw: WF1 of the raw dialogues, 0 to 1.
        conditions: name (``eics``, ``text-noise-30``) -> what it came to.
        files: ``results.arrow`` and ``summary.json``.
    """

    trial: int
    seed: int
    raw: float
    conditions: Mapping[str, ConditionScore]
    files: tuple[Path, ...]

    def wf1(self, name: str) -> float:
        """WF1 of ``raw`` or of a condition, the mean over its draws; KeyError where it was not tested."""
        return self.raw if name == "raw" else self.conditions[name].wf1

    def drop(self, name: str) -> float:
        """How much of the raw WF1 a condition costs; negative where it grows."""
        return self.raw - self.wf1(name)


@dataclass(frozen=True, kw_only=True)
class StudyPerturbations:
    """The trainings of a study that the same test scored.

    Attributes:
        study: its name.
        split: ``val`` or ``test``.
        seed: of the suite.
        draws: of each kind of substitution.
        dataset: name of the data.
        utterances: scored under each condition.
        trainings: by trial and seed.
        missing: (trial, seed) of complete trainings that this test has not scored.
        folder: of the files.
    """

    study: str
    split: str
    seed: int
    draws: int
    dataset: str
    utterances: int
    trainings: tuple[TrainingScores, ...]
    missing: tuple[tuple[int, int], ...]
    folder: Path

    def of(self, trial: int) -> dict[int, TrainingScores]:
        """Seed -> training of one trial."""
        return {training.seed: training for training in self.trainings if training.trial == trial}

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of all conditions, in the order of the test."""
        return tuple(dict.fromkeys(name for training in self.trainings for name in training.conditions))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; WF1 as shares."""
        return {
            "study": self.study,
            "dataset": self.dataset,
            "split": self.split,
            "seed": self.seed,
            "draws": self.draws,
            "utterances": self.utterances,
            "trainings": [_plain(training) for training in self.trainings],
            "missing": [list(key) for key in self.missing],
            "folder": str(self.folder),
        }


def load_study_perturbations(folder: StudyFolder, split: str = "test") -> StudyPerturbations | None:
    """What the latest test of a split came to so far; None where there was none, or it has scored nothing yet."""
    place = split_folder(folder, split)
    asked = read_json(place / ASKED)
    if asked is None:
        return None
    complete = complete_trainings(folder)
    found = {key: training_summary(folder, split, *key, asked=asked) for key in complete}
    summaries = [summary for summary in found.values() if summary is not None]
    if not summaries:
        return None
    return StudyPerturbations(
        study=folder.definition.name,
        split=split,
        seed=asked["settings"]["seed"],
        draws=asked["settings"]["draws"],
        dataset=summaries[0]["dataset"],
        utterances=summaries[0]["utterances"],
        trainings=tuple(_training(place, key, summary) for key, summary in found.items() if summary is not None),
        missing=tuple(key for key, summary in found.items() if summary is None),
        folder=place,
    )


def complete_trainings(folder: StudyFolder) -> list[tuple[int, int]]:
    """(trial, seed) of every training that was not cut short, in order."""
    trials = folder.ledger.trials.values()
    return [(trial.number, seed) for trial in trials if trial.state == "complete" for seed in sorted(trial.runs)]


def split_folder(folder: StudyFolder, split: str) -> Path:
    """Where the tests of a study on one split are kept."""
    return folder.path / "perturbations" / split


def training_folder(folder: StudyFolder, split: str, number: int, seed: int) -> Path:
    """Where the test of one training is kept."""
    return split_folder(folder, split) / f"{number}-s{seed}"


def training_summary(
    folder: StudyFolder, split: str, number: int, seed: int, *, asked: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The summary of a training that the test asked for has scored; None where it has not, or the file is damaged."""
    found = read_json(training_folder(folder, split, number, seed) / SUMMARY)
    return found if found is not None and found.get("key") == key_of(asked) else None


def key_of(asked: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that differ where settings or shards do."""
    text = json.dumps({"format": FORMAT, **asked}, sort_keys=True)
    return sha256(text.encode()).hexdigest()[:16]


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object; None where the file is absent or holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _training(place: Path, key: tuple[int, int], summary: Mapping[str, Any]) -> TrainingScores:
    own = place / f"{key[0]}-s{key[1]}"
    return TrainingScores(
        trial=key[0],
        seed=key[1],
        raw=summary["raw"]["wf1"],
        conditions={found["name"]: _condition(found, summary["raw"]["wf1"]) for found in summary["conditions"]},
        files=(own / RESULTS, own / SUMMARY),
    )


def _condition(found: Mapping[str, Any], raw: float) -> ConditionScore:
    return ConditionScore(
        kind=found["kind"],
        modality=found["modality"] or "",
        share=found["share"],
        values=tuple(found["wf1_by_draw"]),
        raw=raw,
    )


def _plain(training: TrainingScores) -> dict[str, Any]:
    conditions = {
        name: {"wf1": found.wf1, "drop": training.drop(name), "wf1_by_draw": list(found.values)}
        for name, found in training.conditions.items()
    }
    return {
        "trial": training.trial,
        "seed": training.seed,
        "raw": {"wf1": training.raw},
        "conditions": conditions,
        "results": str(training.files[0]),
    }
