"""Perturbation tests of trained runs: what ``dclf perturb`` does, for notebooks too.

>>> from tune.perturbations import PerturbationSettings, perturb
>>> test = perturb("3f2a91c0", PerturbationSettings(draws=5))  # doctest: +SKIP
>>> test.report.raw, test.report.score("eics").drop  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dclf.data import read_shards
from dclf.inference import Predictor
from dclf.perturb import Outcome
from tune.analysis.perturbation.data import read_data
from tune.analysis.perturbation.files import SuiteFolder, write_results
from tune.analysis.perturbation.kept import StudyPerturbations, load_study_perturbations
from tune.analysis.perturbation.one_model import ModelTest, RunName, require_modalities, require_possible
from tune.analysis.perturbation.published import model_label
from tune.analysis.perturbation.record import record_test
from tune.analysis.perturbation.report import PerturbationReport
from tune.analysis.perturbation.scores import ConditionScore
from tune.analysis.perturbation.settings import PerturbationSettings
from tune.analysis.perturbation.study import OUT, perturb_study
from tune.analysis.perturbation.substitutes import Substitutes
from tune.analysis.perturbation.view import PerturbationView
from tune.analysis.perturbation.words import condition_text
from tune.analysis.table import ShownAsTable, Table
from tune.interactive import perturbation_view
from tune.study.scores import WF1
from tune.tracking.manners import mlflow_settings
from tune.tracking.redact import without_secrets
from tune.tracking.store import resolve_tracking_uri
from tune.tracking.trained import trained_model

__all__ = [
    "OUT",
    "ConditionScore",
    "PerturbationReport",
    "PerturbationSettings",
    "PerturbationTest",
    "RunName",
    "StudyPerturbations",
    "load_study_perturbations",
    "perturb",
    "perturb_model",
    "perturb_study",
]


@dataclass(frozen=True, kw_only=True, repr=False)
class PerturbationTest(ShownAsTable):
    """A finished test and its files.

    Attributes:
        report: scores and predictions.
        files: ``results.arrow``, ``summary.json``, ``scores.csv``, ``table.md``, ``table.tex``, in one folder.
        substitutions: folder of the stored draws.
    """

    report: PerturbationReport
    files: tuple[Path, ...]
    substitutions: Path

    def summary(self) -> Table:
        """WF1 in percent under every condition, the mean over its draws, and what is lost of the raw one."""
        raw = ("raw", WF1.number(self.report.raw), "–")
        rows = [(score.name, WF1.number(score.wf1), WF1.number(score.drop)) for score in self.report.scores]
        title = f"perturbation test of {self.report.run_name} ({self.report.model}), {self.report.split} split"
        return Table(title=title, head=("condition", "WF1", "drop"), rows=(raw, *rows))

    @property
    def folder(self) -> Path:
        """The folder of the files."""
        return self.results.parent

    @property
    def results(self) -> Path:
        """The Arrow file with a row per condition, draw and utterance; ``results_table`` has the columns."""
        return self.files[0]


@mlflow_settings()
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
        view: shows how it goes; lines where Python is interactive, and nothing elsewhere, where None.

    Raises:
        ConfigError: a setting is impossible, or names a modality that the model does not read.
        UnknownRunError: no such run.
        TrackingError: the run left no model, or the store does not answer.
        DataError: the shards do not fit the model.
        ValueError: the training split has no replacement for an emotion, or a stored draw is damaged.
        OSError: the files cannot be written.
    """
    require_possible(settings := settings or PerturbationSettings())
    uri = resolve_tracking_uri(uri)
    record, predictor = trained_model(uri, run)
    names = RunName(id=record.run_id, name=record.name)
    shards = shards or record.here(predictor.config.data.shards)
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
    require_possible(settings := settings or PerturbationSettings())
    require_modalities(settings, predictor.modalities)
    shard_set = read_shards(shards or predictor.config.data.shards)
    place = SuiteFolder.make(out, shard_set.manifest.sha256)
    substitutes = Substitutes(folder=place.substitutions, split=settings.split, seed=settings.seed)
    test = ModelTest(run, predictor, shard_set, settings)
    report = test.report(tuple(_outcomes(test, substitutes, view or perturbation_view())))
    files = write_results(report, place.results(run.id, settings.split))
    return PerturbationTest(report=report, files=tuple(files), substitutions=place.substitutions)


def _outcomes(test: ModelTest, substitutes: Substitutes, view: PerturbationView) -> Iterator[Outcome]:
    """Score condition after condition, the raw one first."""
    data = read_data(test.predictor, test.shards, test.settings)
    pool = f"replacements from {len(data.pool)} training dialogues, kept in {substitutes.folder}"
    view.started(_title(test), [pool], len(test.conditions()))
    for condition, outcome in test.outcomes(data, substitutes):
        view.scored(condition_text(condition, test.settings), outcome.scores["wf1"])
        yield outcome


def _title(test: ModelTest) -> str:
    model, run = model_label(test.predictor.config), f"{test.run.name} ({test.run.id})"
    return f"{model} on the {test.settings.split} split of {without_secrets(test.shards.path)}, run {run}"
