"""Scores trained models from their checkpoints and writes each one's files: the work of the test, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dclf.data import read_shards
from dclf.inference import MODEL_FILE, Predictor, load_model, predictor_of
from dclf.perturb import Outcome
from dclf.training import checkpoint
from tune.analysis.perturbation.conditions import (
    PerturbationData,
    condition_text,
    conditions,
    read_data,
    score_condition,
)
from tune.analysis.perturbation.files import write_scores
from tune.analysis.perturbation.paper import model_label
from tune.analysis.perturbation.results import condition_scores, results_table, write_table
from tune.analysis.perturbation.scores import RESULTS, SUMMARY, ModelScores
from tune.analysis.perturbation.settings import PerturbationSettings
from tune.analysis.perturbation.substitutes import Substitutes
from tune.analysis.scoring import last_checkpoint
from tune.study.training_files import at_hand, written_to


@dataclass(frozen=True, kw_only=True)
class ModelScorer:
    """Scores models one after the other; a ``cluster`` work on models.

    Attributes:
        shards: folder or URI of what they are scored on.
        settings: what every model has to go through.
        substitutes: the stored draws.
        device: what to compute on.
    """

    shards: str
    settings: PerturbationSettings
    substitutes: Substitutes
    device: str = "cpu"
    _data: dict[tuple[str, ...], PerturbationData] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __call__(self, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Score one model.

        Args:
            body: ``place`` of its checkpoint and ``folder`` for its files, as this machine knows them; ``facts`` for
                its ``ModelScores``.

        Yields:
            ``condition`` in words and ``wf1`` of each; after the last one ``written``: the files are there.
        """
        with at_hand(body["place"]) as place:
            predictor = read_predictor(place)
        predictor.model.to(self.device)
        data, outcomes = self._dialogues(predictor), []
        for condition in conditions(self.settings, causal=predictor.config.model.causal):
            outcome = score_condition(predictor, data, self.substitutes, condition, device=self.device)
            outcomes.append(outcome)
            yield {"condition": condition_text(condition, self.settings), "wf1": outcome.scores["wf1"]}
        with written_to(body["folder"]) as folder:
            self._write(folder, body["facts"], predictor, outcomes)
        yield {"written": True}

    def _dialogues(self, predictor: Predictor) -> PerturbationData:
        """Return the dialogues, read once for all models of the same modalities."""
        shards = read_shards(self.shards)
        predictor.check(shards.info)
        if predictor.modalities not in self._data:
            self._data[predictor.modalities] = read_data(predictor, shards, self.settings)
        return self._data[predictor.modalities]

    def _write(self, folder: Path, facts: Mapping[str, Any], predictor: Predictor, outcomes: list[Outcome]) -> None:
        shards = read_shards(self.shards)
        scores = ModelScores(
            **facts,
            model=model_label(predictor.config),
            dataset=shards.info.dataset,
            shards_sha256=shards.manifest.sha256,
            split=self.settings.split,
            seed=self.settings.seed,
            utterances=len(outcomes[0].targets),
            raw=outcomes[0].scores["wf1"],
            scores=condition_scores(outcomes),
            folder=folder,
        )
        folder.mkdir(parents=True, exist_ok=True)
        # An older summary would vouch for the newer results.
        (folder / SUMMARY).unlink(missing_ok=True)
        write_table(results_table(outcomes, scores), folder / RESULTS)
        write_scores(scores)


def read_predictor(place: Path) -> Predictor:
    """Return the model in a folder: one that MLflow had, or the best epoch's of a training's last checkpoint.

    Raises:
        CheckpointError: it is absent or cannot be read.
    """
    if (place / MODEL_FILE).exists():
        return load_model(place)
    return predictor_of(checkpoint.load(last_checkpoint(place)))
