"""Perturbation tests of trained models: what ``dclf perturb`` does, for notebooks too.

>>> from tune.perturbations import PerturbationSettings, perturb
>>> test = perturb("3f2a91c0", PerturbationSettings(draws=5))  # doctest: +SKIP
>>> test.report.raw, test.report.score("eics").drop  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.actors import ActorSettings
from dclf.inference import Predictor
from tune.analysis.perturbation.files import OUT, PAGE, load_study_perturbations
from tune.analysis.perturbation.run import RunName, RunTarget, run_target
from tune.analysis.perturbation.scores import ConditionScore, ModelScores, Perturbations
from tune.analysis.perturbation.settings import PerturbationSettings, require_possible
from tune.analysis.perturbation.study import StudyTarget
from tune.analysis.perturbation.target import Target
from tune.analysis.table import ShownAsTable, Table
from tune.config.sweep_settings import SweepSettings
from tune.predictions import load_run
from tune.progress.interactive import listening
from tune.study.events import Listener
from tune.study.folder import StudyFolder
from tune.study.scores import WF1
from tune.tracking.address import resolve_tracking_uri
from tune.tracking.find import find_trial
from tune.tracking.manners import mlflow_settings

__all__ = [
    "OUT",
    "ConditionScore",
    "ModelScores",
    "PerturbationSettings",
    "PerturbationTest",
    "Perturbations",
    "RunName",
    "load_study_perturbations",
    "perturb",
    "perturb_model",
    "perturb_study",
]

_RESULT_SUFFIXES = (".html", ".csv", ".md", ".tex", ".svg", ".png")


@dataclass(frozen=True, kw_only=True, repr=False)
class PerturbationTest(ShownAsTable):
    """A finished test of one model, and its files.

    Attributes:
        report: scores of the model.
        files: ``results.arrow``, ``summary.json``, the page, tables and figures, in one folder.
        substitutions: folder of the stored draws.
    """

    report: ModelScores
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
        return self.report.folder

    @property
    def page(self) -> Path:
        """The page with figures and tables, one HTML file that needs nothing else."""
        return self.folder / PAGE

    @property
    def results(self) -> Path:
        """The Arrow file with a row per condition, draw and utterance; ``results_table`` has the columns."""
        return self.report.files[0]


@mlflow_settings()
def perturb(
    run: str,
    settings: PerturbationSettings | None = None,
    *,
    uri: str = "",
    shards: str | None = None,
    out: str | Path = OUT,
    storage: str | Path = SweepSettings.storage,
    listeners: Sequence[Listener] | None = None,
    progress: str = "auto",
) -> PerturbationTest:
    """Score a finished run's best model on raw and on perturbed conversations (Tables 1 and 6 of the paper).

    Substitutions are drawn once per shard set, split, kind and seed and kept under ``out``: every model meets the
    same ones. Results go to files there and to the run in MLflow, over an earlier test of the same split; the same test
    again computes nothing.

    Args:
        run: id or name of the run, or of a training of a study.
        settings: what the model has to go through; five draws of both kinds on the test split where None.
        uri: MLflow tracking URI; as ``track.uri`` where empty.
        shards: shards to score, whose training split gives the replacements; those of the run where None.
        out: folder for substitutions and results, all shard sets and runs.
        storage: folder of studies, or a URI of one, where the run is a training of a study without a model in MLflow.
        listeners: are called when the work begins and with every condition.
        progress: how it is shown, as for ``tune.train``.

    Raises:
        ConfigError: a setting is impossible, or names a modality that the model does not read.
        UnknownRunError: no such run.
        TrackingError: the run left no model, or the store does not answer.
        CheckpointError: the model cannot be read.
        ModelError: the shards do not fit the model.
        ValueError: the training split has no replacement for an emotion, or a stored draw is damaged.
        OSError: the shards are not there, or the files cannot be written.
    """
    require_possible(settings := settings or PerturbationSettings())
    target = target_of_run(resolve_tracking_uri(uri), run, shards=shards, out=out, storage=storage)
    return _perturb(target, settings, listeners, progress)


def target_of_run(uri: str, run: str, *, shards: str | None, out: str | Path, storage: str | Path) -> RunTarget:
    """Return a run of ``dclf train``, or a training of a study, as a target.

    Args:
        uri: of the store.
        run: as for ``perturb``, as the others, and what it raises for it.
        shards: see there.
        out: see there.
        storage: see there.
    """
    if find_trial(uri, run) is None:
        return run_target(uri, run, shards=shards, out=out)
    model = load_run(run, uri=uri, storage=storage)
    return RunTarget(model.predictor, RunName(id=model.run_id, name=model.name), shards=shards, out=out, store=uri)


def perturb_model(
    predictor: Predictor,
    run: RunName,
    settings: PerturbationSettings | None = None,
    *,
    shards: str | None = None,
    out: str | Path = OUT,
    listeners: Sequence[Listener] | None = None,
    progress: str = "auto",
) -> PerturbationTest:
    """Test a model in memory as ``perturb`` does, such as that of a trial's checkpoint; MLflow hears nothing of it.

    Args:
        predictor: the model.
        run: whose it is; the id names the folder of the results.
        settings: as for ``perturb``, and so are the others.
        shards: likewise.
        out: likewise.
        listeners: likewise.
        progress: likewise.

    Raises:
        ConfigError: a setting is impossible, or names a modality that the model does not read.
        ModelError: the shards do not fit the model.
        ValueError: the training split has no replacement for an emotion, or a stored draw is damaged.
        OSError: the shards are not there, or the files cannot be written.
    """
    require_possible(settings := settings or PerturbationSettings())
    return _perturb(RunTarget(predictor, run, shards=shards, out=out), settings, listeners, progress)


@mlflow_settings()
def perturb_study(
    folder: StudyFolder,
    settings: PerturbationSettings | None = None,
    *,
    out: str | Path = OUT,
    listeners: Sequence[Listener] | None = None,
    progress: str = "auto",
    actors: ActorSettings | None = None,
) -> Perturbations:
    """Score every complete training of a comparison on raw and on perturbed conversations (Tables 1 and 6).

    Every model meets the same stored substitutions. Results go to the study's folder and to the runs of the trainings
    in MLflow, with a page over all of them; a training that the same test has scored before is not scored again.

    Args:
        folder: the study, one with ``sweep.test`` all.
        settings: as for ``perturb``.
        out: folder for substitutions, of all shard sets; other machines of a cluster that do not see it draw the same.
        listeners: are called when the work begins and with every condition.
        progress: how it is shown, as for ``tune.train``.
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
    # Imported here: matplotlib is slow to import.
    from tune.report.perturbation_page import run_with_page  # noqa: PLC0415

    with listening(listeners, progress) as audience:
        return run_with_page(StudyTarget(folder, out), settings, audience, actors)


def _perturb(
    target: Target, settings: PerturbationSettings, listeners: Sequence[Listener] | None, progress: str
) -> PerturbationTest:
    # Imported here: matplotlib is slow to import.
    from tune.report.perturbation_page import run_with_page  # noqa: PLC0415

    with listening(listeners, progress) as audience:
        scores = run_with_page(target, settings, audience)
    (report,) = scores.trainings
    files = sorted(path for path in scores.folder.iterdir() if path.suffix in _RESULT_SUFFIXES)
    return PerturbationTest(report=report, files=(*report.files, *files), substitutions=target.suite.substitutions)
