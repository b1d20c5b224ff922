"""The perturbation test of one model, wherever it runs: in the calling process, or on an actor beside other models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dclf.data import ShardSet, read_shards
from dclf.inference import Predictor, predictor_of
from dclf.perturb import Outcome
from dclf.training import checkpoint
from tune.analysis.perturbation.data import Condition, PerturbationData, conditions, read_data, score_condition
from tune.analysis.perturbation.files import write_training
from tune.analysis.perturbation.published import comparable_scores, model_label
from tune.analysis.perturbation.report import PerturbationReport
from tune.analysis.perturbation.settings import PerturbationSettings
from tune.analysis.perturbation.substitutes import Substitutes
from tune.analysis.perturbation.words import condition_text
from tune.config.yaml_files import ConfigError


@dataclass(frozen=True, kw_only=True)
class RunName:
    """Whose model is tested.

    Attributes:
        id: MLflow's, or another that can name a folder.
        name: for people.
    """

    id: str
    name: str


@dataclass(frozen=True)
class ModelTest:
    """One model before one shard set.

    Attributes:
        run: whose it is.
        predictor: the model.
        shards: what it is scored on.
        settings: what it has to go through.
        device: where it is.
    """

    run: RunName
    predictor: Predictor
    shards: ShardSet
    settings: PerturbationSettings
    device: str = "cpu"

    def conditions(self) -> list[Condition]:
        """Those that this model meets, the raw one first."""
        return list(conditions(self.settings, causal=self.predictor.config.model.causal))

    def outcomes(self, data: PerturbationData, substitutes: Substitutes) -> Iterator[tuple[Condition, Outcome]]:
        """Score condition after condition."""
        for condition in self.conditions():
            yield condition, score_condition(self.predictor, data, substitutes, condition, device=self.device)

    def report(self, outcomes: tuple[Outcome, ...]) -> PerturbationReport:
        """What came of it."""
        config, test = self.predictor.config, self.settings.split == "test"
        return PerturbationReport(
            run_id=self.run.id,
            run_name=self.run.name,
            model=model_label(config),
            dataset=self.shards.info.dataset,
            shards_sha256=self.shards.manifest.sha256,
            split=self.settings.split,
            seed=self.settings.seed,
            outcomes=outcomes,
            published=comparable_scores(config, self.shards.path) if test else {},
        )


@dataclass(frozen=True, kw_only=True)
class TrainingScorer:
    """Scores trainings of a study from their checkpoints and keeps what they came to; a ``cluster`` work on models.

    Attributes:
        shards: the study's.
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
        """Score one training.

        Args:
            body: ``place`` of the checkpoint and ``folder`` of the results; ``run_id`` and ``run_name``; ``facts`` for
                its summary.

        Yields:
            ``condition`` in words and ``wf1`` of each; after the last one ``kept``: the files are there.
        """
        # Imported here: it brings Ray, which a study that is scored already can do without.
        from tune.analysis.scoring import last_checkpoint  # noqa: PLC0415
        from tune.study.training_files import at_hand, written_to  # noqa: PLC0415

        with at_hand(body["place"]) as place:
            predictor = predictor_of(checkpoint.load(last_checkpoint(place)))
        predictor.model.to(self.device)
        shards = read_shards(self.shards)
        run = RunName(id=body["run_id"], name=body["run_name"])
        test = ModelTest(run, predictor, shards, self.settings, self.device)
        found = []
        for condition, outcome in test.outcomes(self._dialogues(predictor, shards), self.substitutes):
            found.append(outcome)
            yield {"condition": condition_text(condition, self.settings), "wf1": outcome.scores["wf1"]}
        with written_to(body["folder"]) as folder:
            write_training(test.report(tuple(found)), folder, body["facts"])
        yield {"kept": True}

    def _dialogues(self, predictor: Predictor, shards: ShardSet) -> PerturbationData:
        """Read once for all models of the same modalities."""
        predictor.check(shards.info)
        modalities = predictor.modalities
        if modalities not in self._data:
            self._data[modalities] = read_data(predictor, shards, self.settings)
        return self._data[modalities]


def require_possible(settings: PerturbationSettings) -> None:
    """Raise ConfigError with every impossible value."""
    if problems := settings.problems():
        raise ConfigError(problems)


def require_modalities(settings: PerturbationSettings, modalities: Sequence[str], whose: str = "the model") -> None:
    """Raise ConfigError where a corruption damages what a model does not read."""
    asked = dict.fromkeys(m for corruption in settings.corruptions for m in corruption.modalities)
    if lacking := [m for m in asked if m not in modalities]:
        known = ", ".join(modalities)
        raise ConfigError([f"corruptions: must damage what {whose} reads ({known}), name {', '.join(lacking)}"])
