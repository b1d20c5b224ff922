"""The trainings of a comparison as a target of perturbation tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tune.analysis.comparison.claims import other_data
from tune.analysis.comparison.variants import is_comparison
from tune.analysis.perturbation.files import OUT, complete_trainings, split_folder, training_folder
from tune.analysis.perturbation.scores import Perturbations
from tune.analysis.perturbation.study_tables import perturbation_sentences, perturbed_variants
from tune.analysis.perturbation.tables import PerturbedVariant
from tune.analysis.perturbation.target import Target, TrainedModel
from tune.config.overrides import apply
from tune.study.checkpoints import has_checkpoint
from tune.study.definition import child_name
from tune.study.folder import StudyFolder
from tune.study.parent import noted_store, parent_id
from tune.study.places import StudyError, StudyUnavailableError
from tune.tracking.address import resolve_tracking_uri
from tune.tracking.redact import without_secrets
from tune.tracking.trouble import TrackingError


class StudyTarget(Target):
    """A study on disk or at a URI.

    Args:
        study: its folder.
        out: folder for substitutions.

    Raises:
        StudyError: it is a search, or its shards are not those that it began on.
        TrackingError: another store is named now than the study's.
        OSError: the shards are not there, or ``out`` cannot be written.
    """

    def __init__(self, study: StudyFolder, out: str | Path = OUT) -> None:
        definition = study.definition
        if not is_comparison(definition):
            raise StudyError(
                f"study {definition.name!r} is a search, whose trials are not scored on test one by one; name a run "
                "of it, or a comparison (dclf ablate, dclf grid)"
            )
        super().__init__("study", definition.name, definition.base.data.shards, out)
        if definition.shards_sha256 and self.shards.manifest.sha256 != definition.shards_sha256:
            raise StudyUnavailableError(
                f"study {definition.name!r} began on other shards than {definition.base.data.shards} holds now; bring "
                "the first ones back"
            )
        self.study = study
        self.store = _store(study)
        self.run_id = parent_id(study) or ""
        self.other_data = other_data(definition)

    def folder(self, split: str) -> Path:
        """Return the folder in the study's own."""
        return split_folder(self.study, split)

    def models(self, split: str) -> list[TrainedModel]:
        """Return every complete training; StudyError where there is none."""
        keys = complete_trainings(self.study)
        if not keys:
            raise StudyError(f"study {self.name!r} has no complete training yet; finish it: dclf resume {self.name}")
        return [self._model(number, seed, split) for number, seed in keys]

    def _model(self, number: int, seed: int, split: str) -> TrainedModel:
        study = self.study
        trial, folder = study.ledger.trials[number], training_folder(study, split, number, seed)
        return TrainedModel(
            name=f"trial {number}, seed {seed}",
            run_id=trial.runs[seed].run_id,
            run_name=child_name(study.definition, trial, seed),
            config=apply(study.definition.base, {**trial.params, "train.seed": seed}),
            trial=number,
            folder=folder,
            address=study.address_of(folder, results=True),
        )

    @contextmanager
    def checkpoints(self, models: Sequence[TrainedModel]) -> Iterator[list[str]]:
        """Give each training's folder, or the URI of it; StudyError where some are gone."""
        places = {model.name: self.study.checkpoint(model.trial or 0, model.config.train.seed) for model in models}
        if lost := [name for name, place in places.items() if not has_checkpoint(place)]:
            raise StudyError(
                f"study {self.name!r}: what is to be scored must have its checkpoint in its folder, those of "
                f"{'; '.join(lost)} are gone; restore them, or run the study again under another name"
            )
        yield [self.study.address_of(place) for place in places.values()]

    def rows(self, scores: Perturbations) -> list[PerturbedVariant]:
        """Return the study's variants."""
        return perturbed_variants(self.study, scores.split)

    def sentences(self, split: str) -> list[str]:
        """Return what DCLF does to the EICS drop of every base model."""
        return perturbation_sentences(self.study, split)

    def fetch(self) -> None:
        """Fetch what actors have written to a study at a URI."""
        self.study.refresh()

    def share(self) -> None:
        """Upload the tables to a study at a URI."""
        self.study.share_files()


def _store(study: StudyFolder) -> str:
    """URI of the store that has the study's runs; TrackingError where another one is named now."""
    definition, store = study.definition, noted_store(study)
    uri = resolve_tracking_uri(definition.base.track.uri)
    if store and store != without_secrets(uri):
        raise TrackingError(
            f"study {definition.name!r} is recorded at {store}, MLflow is at {without_secrets(uri)} here; name that "
            "store in MLFLOW_TRACKING_URI"
        )
    return uri
