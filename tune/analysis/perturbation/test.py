"""The perturbation test of a run or a study: several models at a time, all under the same substitutions.

What a model came to is kept as soon as it is scored: a kill costs the models under way, and a second call computes
nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from cluster.actors import ActorSettings
from cluster.model_actors import ModelJob, work_on_models
from tune.analysis.perturbation.conditions import conditions
from tune.analysis.perturbation.files import REQUEST, key_of, read_scores
from tune.analysis.perturbation.record import Recorder, perturbation_metrics
from tune.analysis.perturbation.scorer import ModelScorer
from tune.analysis.perturbation.scores import ModelScores, Perturbations
from tune.analysis.perturbation.settings import PerturbationSettings, require_modalities, require_possible
from tune.analysis.perturbation.substitutes import Substitutes
from tune.analysis.perturbation.tables import table_texts
from tune.analysis.perturbation.target import Target, TrainedModel
from tune.config.local_files import save_text
from tune.config.yaml_files import ConfigError
from tune.study.events import ConditionScored, Listener, PerturbationStarted, send
from tune.tracking.manners import mlflow_settings
from tune.tracking.redact import without_secrets
from tune.tracking.trouble import TrackingError

_log = logging.getLogger(__name__)


@mlflow_settings()
def run_test(
    target: Target,
    settings: PerturbationSettings,
    listeners: Sequence[Listener] = (),
    actors: ActorSettings | None = None,
) -> Perturbations:
    """Score what is not scored yet, write the tables, and add both to the runs in MLflow.

    Args:
        target: the run or study.
        settings: what every model has to go through.
        listeners: are called when the work begins and with every condition.
        actors: where models are scored, and how many at a time; as many as fit, on CPUs, where None. One model alone is
            scored in this process, without Ray.

    Raises:
        ConfigError: a setting is impossible, or names a modality that a model does not read.
        StudyError: the study has no complete training, or lost a checkpoint.
        PlanError: not one model fits the cluster.
        ModelError: a model could not be scored, or the process that did so was lost; what is done is kept.
        DataError: the shards do not hold what the test needs.
        TrackingError: the MLflow store does not answer, or is another one than the study's.
        ValueError: the training split has no replacement for an emotion, or a stored draw is damaged.
        OSError: files cannot be written.
    """
    require_possible(settings)
    actors = actors or ActorSettings()
    if problems := actors.problems():
        raise ConfigError(problems)
    return _Test(target, settings, target.models(settings.split)).run(listeners, actors)


@dataclass(frozen=True)
class _Test:
    """One test of one target."""

    target: Target
    settings: PerturbationSettings
    models: Sequence[TrainedModel]

    @property
    def split(self) -> str:
        """The split whose utterances are scored."""
        return self.settings.split

    @property
    def request(self) -> dict[str, Any]:
        """What makes two tests the same."""
        model = {"model": self.target.identity} if self.target.identity else {}
        return {"settings": asdict(self.settings), "shards_sha256": self.target.shards.manifest.sha256, **model}

    def run(self, listeners: Sequence[Listener], actors: ActorSettings) -> Perturbations:
        """Score what is not kept, and record what is not recorded."""
        todo = [model for model in self.models if self.scores(model) is None]
        for model in self.models:
            require_modalities(self.settings, model.config.data.modalities, model.name)
        with self.target.checkpoints(todo) as places:
            recorder = Recorder(self.target.store, self.split)
            for model in self.models:
                if model not in todo:
                    self.record(recorder, model)
            if todo:
                # A store that does not answer is told before the work, not after it.
                recorder.open()
                self.score(todo, places, listeners, actors, recorder)
            else:
                self.begin()
        return self.conclude(recorder)

    def score(
        self,
        todo: Sequence[TrainedModel],
        places: Sequence[str],
        listeners: Sequence[Listener],
        actors: ActorSettings,
        recorder: Recorder,
    ) -> None:
        """Draw what all models will meet, score them, and record each as soon as it is done."""
        substitutes = self.draw()
        scorer = ModelScorer(shards=str(self.target.shards.path), settings=self.settings, substitutes=substitutes)
        jobs = [self.job(model, place) for model, place in zip(todo, places, strict=True)]
        models = {model.name: model for model in todo}
        started = partial(self.started, listeners, todo, substitutes)
        unsent: list[TrainedModel] = []
        with closing(work_on_models(lambda device: replace(scorer, device=device), jobs, actors, started)) as messages:
            for job, message in messages:
                if "written" in message:
                    self.target.fetch()
                    try:
                        self.record(recorder, models[job.name])
                    except TrackingError as error:
                        # They are kept, and another attempt at the end costs less than the models still to be scored.
                        _log.warning(f"{error}; the scores of {job.name} are sent at the end")
                        unsent.append(models[job.name])
                else:
                    prefix = f"{job.name}: " if len(self.models) > 1 else ""
                    send(ConditionScored(f"{prefix}{message['condition']}", message["wf1"]), listeners)
        for model in unsent:
            self.record(recorder, model)

    def begin(self) -> None:
        """Make this test the target's latest; an earlier one with other settings is no longer read."""
        save_text(self.target.folder(self.split) / REQUEST, json.dumps(self.request, indent=1) + "\n")

    def draw(self) -> Substitutes:
        """Draw and store everything once, so that models which are scored at the same time only read."""
        substitutes = Substitutes(folder=self.target.suite.substitutions, split=self.split, seed=self.settings.seed)
        targets, pool = self.target.shards.index(self.split), self.target.shards.index("train")
        for kind in self.settings.kinds:
            for number in range(self.settings.draws):
                substitutes.draw(targets, pool, kind, number)
        return substitutes

    def started(
        self, listeners: Sequence[Listener], todo: Sequence[TrainedModel], substitutes: Substitutes, layout: list[str]
    ) -> None:
        """Tell the listeners that the work begins, and how it is laid out."""
        self.begin()
        per_model = (len(conditions(self.settings, causal=model.config.model.causal)) for model in todo)
        title = f"{self.target.title} on the {self.split} split of {without_secrets(str(self.target.shards.path))}"
        count = f"{len(todo)} of {len(self.models)} trained models to score"
        lines = [count, f"substitutions kept in {substitutes.folder}", *layout]
        send(PerturbationStarted(title, lines, sum(per_model)), listeners)

    def job(self, model: TrainedModel, place: str) -> ModelJob:
        """What an actor has to know of a model."""
        facts = {
            "key": key_of(self.request),
            "run_id": model.run_id,
            "run_name": model.run_name,
            "trial": model.trial,
            "training_seed": model.config.train.seed,
        }
        return ModelJob(name=model.name, body={"place": place, "folder": model.address, "facts": facts})

    def scores(self, model: TrainedModel) -> ModelScores | None:
        """What a model came to under this test; None where it is not scored."""
        return read_scores(model.folder, key_of(self.request))

    def record(self, recorder: Recorder, model: TrainedModel) -> None:
        """Add what a model came to to its run."""
        scores = self.scores(model)
        assert scores is not None
        recorder.send(model.run_id, scores.files, perturbation_metrics(scores))

    def conclude(self, recorder: Recorder) -> Perturbations:
        """Write the tables over all models, and add them to the target's run."""
        scores = self.target.perturbations(self.split)
        assert scores is not None
        tables = self.target.tables(scores)
        texts = {"scores.csv": self.target.csv(scores), **(table_texts(tables, self.target.name) if tables else {})}
        files = [save_text(scores.folder / name, text) for name, text in texts.items()]
        self.target.share()
        recorder.send(self.target.run_id, files, {})
        return scores
