"""The perturbation test of every training of a comparison, several at a time, all under the same substitutions.

What a training came to is kept in the study's folder as soon as it is scored: a kill costs the models under way, and a
second call computes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cluster.model_actors import ModelJob, work_on_models
from cluster.model_plan import ActorSettings
from dclf.config import Config
from dclf.data import ShardSet, read_shards
from tune.analysis.comparison.variants import is_comparison
from tune.analysis.perturbation.data import conditions
from tune.analysis.perturbation.files import SuiteFolder, table_texts, write_text
from tune.analysis.perturbation.kept import (
    ASKED,
    RESULTS,
    SUMMARY,
    StudyPerturbations,
    complete_trainings,
    key_of,
    load_study_perturbations,
    split_folder,
    training_folder,
    training_summary,
)
from tune.analysis.perturbation.one_model import TrainingScorer, require_modalities, require_possible
from tune.analysis.perturbation.record import Recorder, perturbation_metrics
from tune.analysis.perturbation.settings import PerturbationSettings
from tune.analysis.perturbation.study_tables import damage_table, perturbation_table, perturbations_csv
from tune.analysis.perturbation.substitutes import Substitutes
from tune.config.overrides import apply
from tune.config.yaml_files import ConfigError
from tune.study.checkpoints import has_checkpoint
from tune.study.definition import child_name
from tune.study.events import ConditionScored, Listener, PerturbationStarted, send
from tune.study.folder import StudyFolder
from tune.study.parent import noted_store, parent_id
from tune.study.places import StudyError
from tune.tracking.manners import mlflow_settings
from tune.tracking.redact import without_secrets
from tune.tracking.store import RUNS_FOLDER, TrackingError, resolve_tracking_uri

OUT = f"{RUNS_FOLDER}/perturbations"
"""Where substitutions and the results of single runs go unless told otherwise."""

Key = tuple[int, int]
"""Trial number and seed."""


@mlflow_settings()
def perturb_study(
    folder: StudyFolder,
    settings: PerturbationSettings | None = None,
    *,
    out: str | Path = OUT,
    listeners: Sequence[Listener] = (),
    actors: ActorSettings | None = None,
) -> StudyPerturbations:
    """Score every complete training of a comparison on raw and on perturbed conversations (Tables 1 and 6).

    Every model meets the same stored substitutions. Results go to the study's folder and to the runs of the trainings
    in MLflow; a training that the same test has scored before is not scored again.

    Args:
        folder: the study, one with ``sweep.test`` all.
        settings: as for ``tune.perturbations.perturb``.
        out: folder for substitutions, of all shard sets; other machines of a cluster that do not see it draw the same.
        listeners: are called with the test's events (``tune.study.events``).
        actors: where models are scored, and how many at a time; as many as fit, on CPUs, where None. One model alone is
            scored in this process, without Ray.

    Raises:
        ConfigError: a setting is impossible, or names a modality that a model does not read.
        StudyError: the study is a search, has no complete training, lost a checkpoint, or began on other shards.
        PlanError: not one model fits the cluster.
        ModelError: a model could not be scored, or the process that did so was lost; what is done is kept.
        DataError: the shards do not fit the models.
        TrackingError: the MLflow store does not answer, or is another one than the study's.
        ValueError: the training split has no replacement for an emotion, or a stored draw is damaged.
        OSError: files cannot be written.
    """
    require_possible(settings := settings or PerturbationSettings())
    actors = actors or ActorSettings()
    if problems := actors.problems():
        raise ConfigError(problems)
    shards = _shards(folder)
    work = _StudyTest(folder, settings, shards, SuiteFolder.make(Path(out).absolute(), shards.manifest.sha256))
    return work.run(listeners, actors)


@dataclass(frozen=True)
class _StudyTest:
    """One test of one study."""

    folder: StudyFolder
    settings: PerturbationSettings
    shards: ShardSet
    suite: SuiteFolder

    @property
    def split(self) -> str:
        """Whose utterances are scored."""
        return self.settings.split

    @property
    def asked(self) -> dict[str, Any]:
        """What makes two tests the same."""
        return {"settings": asdict(self.settings), "shards_sha256": self.shards.manifest.sha256}

    def run(self, listeners: Sequence[Listener], actors: ActorSettings) -> StudyPerturbations:
        """Score what is not kept, and record what is not recorded."""
        every = complete_trainings(self.folder)
        todo = [key for key in every if self.summary(key) is None]
        self.require_sound(every, todo)
        recorder = Recorder(_store(self.folder), self.split)
        for key in every:
            if key not in todo:
                self.record(recorder, key)
        if todo:
            # A store that does not answer is told before the work, not after it.
            recorder.open()
            self.score(todo, len(every), listeners, actors, recorder)
        else:
            self.begin()
        self.conclude(recorder)
        found = load_study_perturbations(self.folder, self.split)
        assert found is not None
        return found

    def require_sound(self, every: Sequence[Key], todo: Sequence[Key]) -> None:
        """StudyError or ConfigError for what cannot be scored, before anything begins."""
        name = self.folder.definition.name
        if not every:
            raise StudyError(f"study {name!r} has no complete training yet; finish it: dclf resume {name}")
        for key in every:
            require_modalities(self.settings, self.config(key).data.modalities, _words(key))
        lost = [key for key in todo if not has_checkpoint(self.folder.checkpoint(*key))]
        if lost:
            raise StudyError(
                f"study {name!r}: what is to be scored must have its checkpoint in its folder, those of "
                f"{'; '.join(map(_words, lost))} are gone; restore them, or run the study again under another name"
            )

    def score(
        self, todo: Sequence[Key], every: int, listeners: Sequence[Listener], actors: ActorSettings, recorder: Recorder
    ) -> None:
        """Draw what all models will meet, score them, and record each as soon as it is done."""
        substitutes = self.draw()
        scorer = TrainingScorer(shards=str(self.shards.path), settings=self.settings, substitutes=substitutes)
        keys = {_words(key): key for key in todo}
        told = [f"{len(todo)} of {every} trained models to score", f"substitutions kept in {substitutes.folder}"]
        started = partial(self.started, listeners, told, todo)
        jobs = [self.job(key) for key in todo]
        with closing(work_on_models(lambda device: replace(scorer, device=device), jobs, actors, started)) as said:
            for job, message in said:
                if "kept" in message:
                    self.folder.refresh()
                    self.record(recorder, keys[job.name])
                else:
                    send(ConditionScored(f"{job.name}: {message['condition']}", message["wf1"]), listeners)

    def begin(self) -> None:
        """From now on this test is the study's latest; an earlier one with other settings is no longer read."""
        place = split_folder(self.folder, self.split)
        place.mkdir(parents=True, exist_ok=True)
        write_text(place / ASKED, json.dumps(self.asked, indent=1) + "\n")

    def draw(self) -> Substitutes:
        """Draw and store everything once, so that models which are scored at the same time only read."""
        substitutes = Substitutes(folder=self.suite.substitutions, split=self.split, seed=self.settings.seed)
        targets, pool = self.shards.index(self.split), self.shards.index("train")
        for kind in self.settings.kinds:
            for number in range(self.settings.draws):
                substitutes.draw(targets, pool, kind, number)
        return substitutes

    def started(
        self, listeners: Sequence[Listener], told: Sequence[str], todo: Sequence[Key], layout: list[str]
    ) -> None:
        """The work begins, laid out like this."""
        self.begin()
        per_model = (len(list(conditions(self.settings, causal=self.config(key).model.causal))) for key in todo)
        title = f"study {self.folder.definition.name} on the {self.split} split of {without_secrets(self.shards.path)}"
        send(PerturbationStarted(title, [*told, *layout], sum(per_model)), listeners)

    def job(self, key: Key) -> ModelJob:
        """What an actor has to know of a training."""
        number, seed = key
        run = self.folder.ledger.trials[number].runs[seed]
        body = {
            "place": self.folder.address_of(self.folder.checkpoint(*key)),
            "folder": self.folder.address_of(training_folder(self.folder, self.split, *key), kept=True),
            "run_id": run.run_id,
            "run_name": child_name(self.folder.definition, *key),
            "facts": {"key": key_of(self.asked), "trial": number, "training_seed": seed},
        }
        return ModelJob(name=_words(key), body=body)

    def config(self, key: Key) -> Config:
        """The configuration of a training."""
        number, seed = key
        return apply(self.folder.definition.base, {**self.folder.ledger.trials[number].params, "train.seed": seed})

    def summary(self, key: Key) -> dict[str, Any] | None:
        """What this test has found of a training; None where it has not scored it."""
        return training_summary(self.folder, self.split, *key, asked=self.asked)

    def record(self, recorder: Recorder, key: Key) -> None:
        """Send what a training came to to its run."""
        number, seed = key
        summary, place = self.summary(key), training_folder(self.folder, self.split, *key)
        assert summary is not None
        files = [place / RESULTS, place / SUMMARY]
        recorder.send(self.folder.ledger.trials[number].runs[seed].run_id, files, perturbation_metrics(summary))

    def conclude(self, recorder: Recorder) -> None:
        """Write the tables over all trainings, and send them to the study's run."""
        place, split = split_folder(self.folder, self.split), self.split
        made = [table for table in (perturbation_table(self.folder, split), damage_table(self.folder, split)) if table]
        texts = dict(table_texts(made, self.folder.definition.name)) if made else {}
        texts["scores.csv"] = perturbations_csv(self.folder, split)
        files = [write_text(place / name, text) for name, text in texts.items()]
        self.folder.share_files()
        recorder.send(parent_id(self.folder) or "", files, {})


def _shards(folder: StudyFolder) -> ShardSet:
    """The study's shards; StudyError for a search, or shards that are not those it began on."""
    definition = folder.definition
    if not is_comparison(definition):
        raise StudyError(
            f"study {definition.name!r} is a search, whose trials are not scored on test one by one; name a run of it, "
            "or a comparison (dclf ablate, dclf grid)"
        )
    shards = read_shards(definition.base.data.shards)
    if definition.shards_sha256 and shards.manifest.sha256 != definition.shards_sha256:
        raise StudyError(
            f"study {definition.name!r} began on other shards than {definition.base.data.shards} holds now; bring the "
            "first ones back"
        )
    return shards


def _store(folder: StudyFolder) -> str:
    """URI of the store that has the study's runs; TrackingError where another one is named now."""
    uri = resolve_tracking_uri(folder.definition.base.track.uri)
    noted = noted_store(folder)
    if noted and noted != without_secrets(uri):
        raise TrackingError(
            f"study {folder.definition.name!r} is recorded at {noted}, MLflow is at {without_secrets(uri)} here; "
            "name that store in MLFLOW_TRACKING_URI"
        )
    return uri


def _words(key: Key) -> str:
    return f"trial {key[0]}, seed {key[1]}"
