"""Perturbation tests of trained runs: what ``dclf perturb`` does, for notebooks too.

>>> from tune.perturbations import PerturbationSettings, perturb
>>> test = perturb("3f2a91c0", PerturbationSettings(draws=5))  # doctest: +SKIP
>>> test.report.raw, test.report.score("eics").drop  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dclf.data import ShardSet, read_shards
from dclf.inference import Predictor
from dclf.perturb import Outcome
from tune.config_files import ConfigError
from tune.perturbed.data import conditions, read_data, score_condition
from tune.perturbed.files import SuiteFolder, write_results
from tune.perturbed.record import record_test
from tune.perturbed.report import ConditionScore, PerturbationReport
from tune.perturbed.settings import PerturbationSettings
from tune.perturbed.substitutes import Substitutes
from tune.perturbed.view import NoPerturbationView, PerturbationView
from tune.perturbed.words import condition_text, model_label, published_scores
from tune.tracking.redact import without_secrets
from tune.tracking.store import RUNS_FOLDER, resolve_tracking_uri
from tune.trained import trained_model

__all__ = [
    "ConditionScore",
    "PerturbationReport",
    "PerturbationSettings",
    "PerturbationTest",
    "RunName",
    "perturb",
    "perturb_model",
]

OUT = f"{RUNS_FOLDER}/perturbations"
"""Where substitutions and results go unless told otherwise."""


@dataclass(frozen=True, kw_only=True)
class RunName:
    """Whose model is tested.

    Attributes:
        id: MLflow's, or another that can name a folder.
        name: for people.
    """

    id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class PerturbationTest:
    """A finished test and its files.

    Attributes:
        report: scores and predictions.
        files: ``results.arrow``, ``summary.json``, ``scores.csv``, ``table.md``, ``table.tex``, in one folder.
        substitutions: folder of the stored draws.
    """

    report: PerturbationReport
    files: tuple[Path, ...]
    substitutions: Path

    @property
    def folder(self) -> Path:
        """The folder of the files."""
        return self.results.parent

    @property
    def results(self) -> Path:
        """The Arrow file with a row per condition, draw and utterance (``tune.perturbed.files.results_table``)."""
        return self.files[0]


def perturb(
    run: str,
    settings: PerturbationSettings | None = None,
    *,
    uri: str = "",
    shards: str | None = None,
    out: str | Path = OUT,
    view: PerturbationView | None = None,
) -> PerturbationTest:
    """Score a finished run's best model on raw and on perturbed conversations (Tables 1 and 6 of the paper).

    Substitutions are drawn once per shard set, split, kind and seed and kept under ``out``: every model meets the
    same ones. What is found goes to files there and to the run in MLflow, over an earlier test of the same split.

    Args:
        run: id or name of the run.
        settings: what the model has to go through; five draws of both kinds on the test split where None.
        uri: MLflow tracking URI; as ``track.uri`` where empty.
        shards: shards to score, whose training split gives the replacements; those of the run where None.
        out: folder for substitutions and results, all shard sets and runs.
        view: shows how it goes.

    Raises:
        ConfigError: a setting is impossible, or names a modality that the model does not read.
        UnknownRunError: no such run.
        TrackingError: the run left no model, or the store does not answer.
        DataError: the shards do not fit the model.
        ValueError: the training split has no replacement for an emotion, or a stored draw is damaged.
        OSError: the files cannot be written.
    """
    _require_possible(settings := settings or PerturbationSettings())
    uri = resolve_tracking_uri(uri)
    record, predictor = trained_model(uri, run)
    names = RunName(id=record.run_id, name=record.name)
    test = perturb_model(predictor, names, settings, shards=shards, out=out, view=view)
    record_test(uri, record, test.report, test.files)
    return test


def perturb_model(
    predictor: Predictor,
    run: RunName,
    settings: PerturbationSettings | None = None,
    *,
    shards: str | None = None,
    out: str | Path = OUT,
    view: PerturbationView | None = None,
) -> PerturbationTest:
    """``perturb`` for a model in memory, such as that of a trial's checkpoint; MLflow hears nothing of it.

    Args:
        predictor: the model.
        run: whose it is; the id names the folder of the results.
        settings: as for ``perturb``, and so are the others.
        shards: likewise.
        out: likewise.
        view: likewise.

    Raises:
        ConfigError: a setting is impossible, or names a modality that the model does not read.
        DataError: the shards do not fit the model.
        ValueError: the training split has no replacement for an emotion, or a stored draw is damaged.
        OSError: the files cannot be written.
    """
    _require_possible(settings := settings or PerturbationSettings())
    _require_modalities(settings, predictor)
    shard_set = read_shards(shards or predictor.config.data.shards)
    place = SuiteFolder.make(out, shard_set.manifest.sha256)
    substitutes = Substitutes(folder=place.substitutions, split=settings.split, seed=settings.seed)
    test = _Test(run, predictor, shard_set, settings)
    report = test.report(tuple(test.outcomes(substitutes, view or NoPerturbationView())))
    files = write_results(report, place.results(run.id, settings.split))
    return PerturbationTest(report=report, files=tuple(files), substitutions=place.substitutions)


@dataclass(frozen=True)
class _Test:
    """One model before one shard set."""

    run: RunName
    predictor: Predictor
    shards: ShardSet
    settings: PerturbationSettings

    def outcomes(self, substitutes: Substitutes, view: PerturbationView) -> Iterator[Outcome]:
        """Score condition after condition, the raw one first."""
        data = read_data(self.predictor, self.shards, self.settings)
        wanted = list(conditions(self.settings, causal=self.predictor.config.model.causal))
        pool = f"replacements from {len(data.pool)} training dialogues, kept in {substitutes.folder}"
        view.started(self._title(), [pool], len(wanted))
        for condition in wanted:
            outcome = score_condition(self.predictor, data, substitutes, condition)
            view.scored(condition_text(condition, self.settings), outcome.scores["wf1"])
            yield outcome

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
            published=published_scores(config) if test else {},
        )

    def _title(self) -> str:
        model, run = model_label(self.predictor.config), f"{self.run.name} ({self.run.id})"
        return f"{model} on the {self.settings.split} split of {without_secrets(self.shards.path)}, run {run}"


def _require_possible(settings: PerturbationSettings) -> None:
    if problems := settings.problems():
        raise ConfigError(problems)


def _require_modalities(settings: PerturbationSettings, predictor: Predictor) -> None:
    asked = dict.fromkeys(m for corruption in settings.corruptions for m in corruption.modalities)
    if lacking := [m for m in asked if m not in predictor.modalities]:
        known = ", ".join(predictor.modalities)
        raise ConfigError([f"corruptions: must damage what the model reads ({known}), name {', '.join(lacking)}"])
