"""The trainings of a comparison as a target of perturbation tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cluster.model_plan import ActorSettings
from dclf.data import ShardSet, read_shards
from tune.analysis.comparison.variants import is_comparison
from tune.analysis.perturbation.files import (
    OUT,
    SuiteFolder,
    complete_trainings,
    load_study_perturbations,
    split_folder,
    training_folder,
)
from tune.analysis.perturbation.scores import Perturbations
from tune.analysis.perturbation.settings import PerturbationSettings, require_possible
from tune.analysis.perturbation.study_tables import (
    damage_table,
    perturbation_sentences,
    perturbation_table,
    perturbations_csv,
)
from tune.analysis.perturbation.target import TrainedModel
from tune.analysis.perturbation.test import run_test
from tune.analysis.perturbation.view import PerturbationView
from tune.analysis.table import Table
from tune.config.overrides import apply
from tune.study.checkpoints import has_checkpoint
from tune.study.dataset import DatasetNote, dataset_note
from tune.study.definition import child_name
from tune.study.folder import StudyFolder
from tune.study.parent import noted_store, parent_id
from tune.study.places import StudyError
from tune.tracking.address import resolve_tracking_uri
from tune.tracking.redact import without_secrets
from tune.tracking.trouble import TrackingError


def perturb_study(
    folder: StudyFolder,
    settings: PerturbationSettings | None = None,
    *,
    out: str | Path = OUT,
    view: PerturbationView | None = None,
    actors: ActorSettings | None = None,
) -> Perturbations:
    """Score every complete training of a comparison on raw and on perturbed conversations (Tables 1 and 6).

    Every model meets the same stored substitutions. Results go to the study's folder and to the runs of the trainings
    in MLflow; a training that the same test has scored before is not scored again.

    Args:
        folder: the study, one with ``sweep.test`` all.
        settings: as for ``tune.perturbations.perturb``.
        out: folder for substitutions, of all shard sets; other machines of a cluster that do not see it draw the same.
        view: shows how it goes.
        actors: where models are scored, and how many at a time; as many as fit, on CPUs, where None. One model alone is
            scored in this process, without Ray.

    Raises:
        ConfigError: a setting is impossible, or names a modality that a model does not read.
        StudyError: the study is a search, has no complete training, lost a checkpoint, or began on other shards.
        PlanError: not one model fits the cluster.
        ModelError: a model could not be scored, or the process that did so was lost; what is done is kept.
        DataError: the shards do not hold what the test needs.
        TrackingError: the MLflow store does not answer, or is another one than the study's.
        ValueError: the training split has no replacement for an emotion, or a stored draw is damaged.
        OSError: files cannot be written.
    """
    require_possible(settings := settings or PerturbationSettings())
    return run_test(StudyTarget(folder, out), settings, view, actors)


class StudyTarget:
    """A study on disk or at a URI.

    Args:
        folder: the study.
        out: folder for substitutions.

    Raises:
        StudyError: it is a search, or its shards are not those that it began on.
    """

    identity = ""

    def __init__(self, folder: StudyFolder, out: str | Path = OUT) -> None:
        self.study = folder
        self.title = f"study {folder.definition.name}"
        self.shards = _shards(folder)
        self.suite = SuiteFolder.make(out, self.shards.manifest.sha256)

    @property
    def store(self) -> str:
        """URI of the store that has the study's runs; TrackingError where another one is named now."""
        definition, noted = self.study.definition, noted_store(self.study)
        uri = resolve_tracking_uri(definition.base.track.uri)
        if noted and noted != without_secrets(uri):
            raise TrackingError(
                f"study {definition.name!r} is recorded at {noted}, MLflow is at {without_secrets(uri)} here; name "
                "that store in MLFLOW_TRACKING_URI"
            )
        return uri

    @property
    def run_id(self) -> str:
        """The study's parent run."""
        return parent_id(self.study) or ""

    def folder(self, split: str) -> Path:
        """Return the folder in the study's own."""
        return split_folder(self.study, split)

    def models(self, split: str) -> list[TrainedModel]:
        """Return every complete training; StudyError where there is none."""
        study, name = self.study, self.study.definition.name
        keys = complete_trainings(study)
        if not keys:
            raise StudyError(f"study {name!r} has no complete training yet; finish it: dclf resume {name}")
        return [self._model(number, seed, split) for number, seed in keys]

    def _model(self, number: int, seed: int, split: str) -> TrainedModel:
        study = self.study
        trial, folder = study.ledger.trials[number], training_folder(study, split, number, seed)
        return TrainedModel(
            name=f"trial {number}, seed {seed}",
            run_id=trial.runs[seed].run_id,
            run_name=child_name(study.definition, number, seed),
            config=apply(study.definition.base, {**trial.params, "train.seed": seed}),
            trial=number,
            folder=folder,
            address=study.address_of(folder, kept=True),
        )

    @contextmanager
    def checkpoints(self, models: Sequence[TrainedModel]) -> Iterator[list[str]]:
        """Give each training's folder, or the URI of it; StudyError where some are gone."""
        places = {model.name: self.study.checkpoint(model.trial or 0, model.config.train.seed) for model in models}
        if lost := [name for name, place in places.items() if not has_checkpoint(place)]:
            raise StudyError(
                f"study {self.study.definition.name!r}: what is to be scored must have its checkpoint in its folder, "
                f"those of {'; '.join(lost)} are gone; restore them, or run the study again under another name"
            )
        yield [self.study.address_of(place) for place in places.values()]

    def data(self) -> DatasetNote:
        """Return which data the study ran on."""
        return dataset_note(self.study.definition)

    def fetch(self) -> None:
        """Fetch what actors have written to a study at a URI."""
        self.study.refresh()

    def share(self) -> None:
        """Upload the tables to a study at a URI."""
        self.study.share_files()

    def perturbations(self, split: str) -> Perturbations | None:
        """Return what the latest test came to so far."""
        return load_study_perturbations(self.study, split)

    def tables(self, split: str) -> list[Table]:
        """Return the tables over all trainings."""
        return [table for make in (perturbation_table, damage_table) if (table := make(self.study, split)) is not None]

    def sentences(self, split: str) -> list[str]:
        """Return what DCLF does to the EICS drop of every base model."""
        return perturbation_sentences(self.study, split)

    def csv(self, split: str) -> str:
        """Return one line per training and condition."""
        return perturbations_csv(self.study, split)


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
