"""Perturbation tests of whole studies: what is kept and recorded, what a second call, a kill and a lost file cost."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow as pa
import pytest
import ray

from cluster.actors import ActorSettings
from cluster.model_actors import ModelError
from cluster.session import ray_session
from dclf.inference import predictor_of
from dclf.perturb import Corruption
from dclf.training import checkpoint
from tests.tune.analysis.perturbation.studies import SEEDS, Watcher, copied, trained_study
from tests.tune.perturbed_runs import RunStore
from tests.tune.runner.processes import Processes, joining
from tests.tune.tracking.server import wait_until
from tune.analysis.perturbation.files import training_folder
from tune.analysis.perturbation.record import Recorder
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import ConfigError
from tune.perturbations import (
    Perturbations,
    PerturbationSettings,
    RunName,
    load_study_perturbations,
    perturb_model,
    perturb_study,
)
from tune.study.events import Event
from tune.study.folder import StudyFolder
from tune.study.places import StudyError
from tune.tracking.store import TrackingError

pytestmark = pytest.mark.slow  # torch, MLflow and four trainings, ten seconds in all

SETTINGS = PerturbationSettings(draws=2, corruptions=(Corruption(damage="missing", modalities=("text",), share=0.5),))
HERE = ActorSettings(actors=1)
KEYS = [(number, seed) for number in (0, 1) for seed in SEEDS]
PER_MODEL = 1 + 2 * 2 + 1


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> RunStore:
    return RunStore(tmp_path_factory.mktemp("perturbed-study"), empty_store)


@pytest.fixture(scope="module")
def trained(runs: RunStore) -> StudyFolder:
    return trained_study(runs)


@pytest.fixture(scope="module")
def complete(runs: RunStore, trained: StudyFolder) -> Perturbations:
    assert load_study_perturbations(trained) is None
    return perturb_study(trained, SETTINGS, out=runs.folder / "perturbations", actors=HERE)


@pytest.fixture
def fresh(trained: StudyFolder, tmp_path: Path) -> StudyFolder:
    """The study in a storage of its own, not yet tested."""
    folder = copied(trained, tmp_path / "studies")
    for place in sorted((folder.path / "perturbations").rglob("*"), reverse=True):
        place.unlink() if place.is_file() else place.rmdir()
    return folder


def perturbed(runs: RunStore, folder: StudyFolder, *watchers: Watcher) -> Perturbations:
    return perturb_study(folder, SETTINGS, out=runs.folder / "perturbations", listeners=watchers, actors=HERE)


def file_contents(folder: StudyFolder) -> dict[str, tuple[int, bytes]]:
    """Every file of the trainings' tests, with the time it was written."""
    files = (folder.path / "perturbations" / "test").glob("*-s*/*")
    return {str(file.relative_to(folder.path)): (file.stat().st_mtime_ns, file.read_bytes()) for file in files}


def rows(path: Path) -> pa.Table:
    with pa.OSFile(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def test_every_training_is_scored_and_raw_is_its_own_test_score(trained: StudyFolder, complete: Perturbations) -> None:
    assert [(training.trial, training.training_seed) for training in complete.trainings] == KEYS
    assert complete.missing == ()
    assert complete.conditions == ("eccs", "eics", "text-missing-50")
    for training in complete.trainings:
        sealed = trained.ledger.tested[training.trial, training.training_seed]["wf1"]
        assert training.raw == pytest.approx(sealed)
        assert training.wf1("raw") == training.raw
        eics = training.conditions["eics"]
        assert len(eics.values) == 2
        assert training.wf1("eics") == pytest.approx(fmean(eics.values))
        assert training.drop("eics") == pytest.approx(sealed - fmean(eics.values))


def test_a_study_scores_as_a_single_model_does(
    runs: RunStore, trained: StudyFolder, complete: Perturbations, tmp_path: Path
) -> None:
    predictor = predictor_of(checkpoint.load(trained.checkpoint(1, 2)))
    single = perturb_model(predictor, RunName(id="one", name="one"), SETTINGS, out=tmp_path)
    own = complete.of(1)[2]
    assert {score.name: score.values for score in single.report.scores} == {
        name: condition.values for name, condition in own.conditions.items()
    }
    assert rows(own.files[0]).to_pydict() == rows(single.results).to_pydict()


def test_what_is_kept_is_read_again_without_computing(trained: StudyFolder, complete: Perturbations) -> None:
    assert load_study_perturbations(trained) == complete
    assert load_study_perturbations(trained, "val") is None


def test_a_second_call_computes_nothing(runs: RunStore, trained: StudyFolder, complete: Perturbations) -> None:
    before, watcher = file_contents(trained), Watcher()
    metrics = {run.info.run_id: run.data.metrics for run in children(runs, trained)}
    assert perturbed(runs, trained, watcher) == complete
    assert file_contents(trained) == before
    assert (watcher.total, watcher.scores) == (0, {})
    assert {run.info.run_id: run.data.metrics for run in children(runs, trained)} == metrics


def test_a_store_that_is_silent_for_a_while_ends_no_scoring(
    runs: RunStore, fresh: StudyFolder, monkeypatch: pytest.MonkeyPatch, log_messages: list[str]
) -> None:
    silences, send = [TrackingError("MLflow does not answer")], Recorder.send

    def send_later(recorder: Recorder, *content: Any) -> None:
        if silences:
            raise silences.pop()
        send(recorder, *content)

    monkeypatch.setattr(Recorder, "send", send_later)
    assert perturbed(runs, fresh).missing == ()
    assert "MLflow does not answer; the scores of trial 0, seed" in "\n".join(log_messages)
    marks = [name for name in file_contents(fresh) if name.endswith("/recorded.json")]
    assert len(marks) == len(KEYS), "all are in MLflow at the end"


def children(runs: RunStore, folder: StudyFolder) -> list:  # type: ignore[type-arg]
    return [runs.client.get_run(folder.ledger.trials[number].runs[seed].run_id) for number, seed in KEYS]


def test_runs_have_metrics_and_files(runs: RunStore, trained: StudyFolder, complete: Perturbations) -> None:
    for run, training in zip(children(runs, trained), complete.trainings, strict=True):
        metrics = run.data.metrics
        assert metrics["perturb/raw/wf1"] == training.raw
        assert metrics["perturb/eics/wf1"] == training.wf1("eics")
        assert metrics["perturb/eics/drop"] == pytest.approx(training.drop("eics"))
        assert metrics["perturb/eics/draws"] == 2
        assert run.info.status == "FINISHED"
        assert len(runs.client.get_metric_history(run.info.run_id, "perturb/eics/wf1")) == 1
        files = runs.client.list_artifacts(run.info.run_id, "perturbations/test")
        assert [Path(file.path).name for file in files] == ["results.arrow", "summary.json"]
    parent = trained.ledger.notes[0]["run_id"]
    files = runs.client.list_artifacts(parent, "perturbations/test")
    names = ["perturbation.html", "scores.csv", "table.md", "table.tex"]
    names += [f"{name}.{kind}" for name in ("contexts", "damage") for kind in ("png", "svg")]
    assert [Path(file.path).name for file in files] == sorted(names)
    text = (complete.folder / "table.tex").read_text(encoding="utf-8")
    assert text.isascii()
    assert r"\downarrow$" in text or r"\uparrow$" in text


def test_another_test_takes_the_place_of_the_first(runs: RunStore, fresh: StudyFolder) -> None:
    perturbed(runs, fresh)
    other = replace(SETTINGS, draws=1, kinds=("eics",), corruptions=())
    tests = perturb_study(fresh, other, out=runs.folder / "perturbations", actors=HERE)
    assert tests.conditions == ("eics",)
    assert load_study_perturbations(fresh) == tests


def test_a_checkpoint_that_cannot_be_read_is_told_with_trial_and_seed(runs: RunStore, fresh: StudyFolder) -> None:
    broken = fresh.checkpoint(1, 1) / "state.pt"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"^trial 1, seed 1: CheckpointError: .*state.pt: cannot be read"):
        perturbed(runs, fresh)
    part = load_study_perturbations(fresh)
    assert part is not None
    assert [(training.trial, training.training_seed) for training in part.trainings] == KEYS[:2]
    assert part.missing == tuple(KEYS[2:])
    before, watcher = file_contents(fresh), Watcher()
    broken.write_bytes(whole)
    assert perturbed(runs, fresh, watcher).missing == ()
    assert watcher.total == 2 * PER_MODEL
    assert "2 of 4 trained models to score" in watcher.lines
    assert before.items() <= file_contents(fresh).items()


def test_a_checkpoint_that_is_gone_is_told_before_anything_begins(
    runs: RunStore, fresh: StudyFolder, complete: Perturbations
) -> None:
    (fresh.checkpoint(0, 2) / "state.pt").unlink()
    (fresh.checkpoint(1, 1) / "state.pt").unlink()
    with pytest.raises(StudyError, match="those of trial 0, seed 2; trial 1, seed 1 are gone; restore them"):
        perturbed(runs, fresh)
    assert load_study_perturbations(fresh) is None


def test_what_is_scored_needs_its_checkpoint_no_more(
    runs: RunStore, trained: StudyFolder, complete: Perturbations, tmp_path: Path
) -> None:
    folder = copied(trained, tmp_path)
    (folder.checkpoint(0, 2) / "state.pt").unlink()
    assert perturbed(runs, folder).trainings[0].conditions == complete.trainings[0].conditions


def test_a_damaged_summary_is_scored_again(
    runs: RunStore, trained: StudyFolder, complete: Perturbations, tmp_path: Path
) -> None:
    folder, watcher = copied(trained, tmp_path), Watcher()
    (training_folder(folder, "test", 0, 1) / "summary.json").write_text("{", encoding="utf-8")
    assert perturbed(runs, folder, watcher).missing == ()
    assert watcher.total == PER_MODEL
    assert all(name.startswith("trial 0, seed 1: ") for name in watcher.scores)


def test_what_cannot_be_tested_is_refused(runs: RunStore, trained: StudyFolder, tmp_path: Path) -> None:
    blind = replace(SETTINGS, corruptions=(Corruption(damage="noise", modalities=("visual",), share=0.5),))
    with pytest.raises(ConfigError, match=r"what trial 0, seed 1 reads \(text, audio\), name visual"):
        perturb_study(trained, blind, out=tmp_path)
    with pytest.raises(ConfigError, match=r"gpus: must be 0, or 0\.01 to 1 of a card, is 2"):
        perturb_study(trained, SETTINGS, out=tmp_path, actors=ActorSettings(gpus=2))
    search = StudyFolder.create(
        tmp_path, replace(trained.definition, name="search", settings=SweepSettings().to_dict())
    )
    with pytest.raises(StudyError, match="is a search, whose trials are not scored on test"):
        perturb_study(search, SETTINGS, out=tmp_path)
    new = StudyFolder.create(tmp_path, replace(trained.definition, name="new"))
    with pytest.raises(StudyError, match="'new' has no complete training yet; finish it: dclf resume new"):
        perturb_study(new, SETTINGS, out=tmp_path)
    other = StudyFolder.create(tmp_path, replace(trained.definition, name="other", shards_sha256="0" * 64))
    with pytest.raises(StudyError, match="'other' began on other shards"):
        perturb_study(other, SETTINGS, out=tmp_path)


def test_another_store_is_refused_before_the_work(runs: RunStore, fresh: StudyFolder, tmp_path: Path) -> None:
    config = {
        **fresh.definition.config,
        "track": {**fresh.definition.config["track"], "uri": f"sqlite:///{tmp_path}/x.db"},
    }
    moved = StudyFolder(fresh.path, replace(fresh.definition, config=config))
    with pytest.raises(
        TrackingError, match=r"is recorded at sqlite:.*mlflow.db, MLflow is at sqlite:.*x.db here; name"
    ):
        perturbed(runs, moved)
    assert not (tmp_path / "x.db").exists()


class Interrupting(Watcher):
    """Ctrl-C at a score at which one or two of four models are done, where two are scored at a time."""

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if len(self.scores) == 2 * PER_MODEL:
            raise KeyboardInterrupt


def summaries(folder: StudyFolder) -> int:
    """How many trainings' tests are kept."""
    return len(list(folder.path.glob("perturbations/test/*-s*/summary.json")))


@pytest.fixture(scope="module")
def on_ray() -> Iterator[None]:
    with ray_session(num_cpus=3):
        yield


@pytest.mark.ray
def test_interrupted_actors_find_what_this_process_finds_and_it_goes_on(
    on_ray: None, runs: RunStore, fresh: StudyFolder, complete: Perturbations
) -> None:
    out, interrupting = runs.folder / "perturbations", Interrupting()
    with pytest.raises(KeyboardInterrupt):
        perturb_study(fresh, SETTINGS, out=out, listeners=[interrupting], actors=ActorSettings(actors=2))
    assert "2 models at a time, each with 1 CPU slot" in interrupting.lines
    before, count, watcher = file_contents(fresh), summaries(fresh), Watcher()
    assert 0 < count < len(KEYS)
    tests = perturbed(runs, fresh, watcher)
    assert before.items() <= file_contents(fresh).items()
    assert len(watcher.scores) == watcher.total == (len(KEYS) - count) * PER_MODEL
    for own, other in zip(tests.trainings, complete.trainings, strict=True):
        assert (own.raw, own.conditions) == (other.raw, other.conditions)
        assert rows(own.files[0]).equals(rows(other.files[0]), check_metadata=True)


@pytest.fixture
def processes(on_ray: None, runs: RunStore) -> Iterator[Processes]:
    """They join this process's Ray."""
    ray_variables = joining(ray.get_runtime_context().gcs_address)
    started = Processes({"MLFLOW_TRACKING_URI": runs.uri, **ray_variables})
    yield started
    started.end()


@pytest.mark.ray
def test_a_kill_costs_the_models_under_way(
    runs: RunStore, fresh: StudyFolder, complete: Perturbations, processes: Processes, tmp_path: Path
) -> None:
    words = ["perturb", "parts", "--storage", str(fresh.path.parent), "--out", str(runs.folder / "perturbations")]
    words += ["--draws", "2", "--corrupt", "text:missing:50", "--at-a-time", "2", "--log", "plain"]
    driver = processes.dclf(tmp_path, *words)
    wait_until(lambda: summaries(fresh) > 0 or not driver.running, 120)
    driver.kill()
    before, count, watcher = file_contents(fresh), summaries(fresh), Watcher()
    assert 0 < count < len(KEYS)
    whole = {name: file for name, file in before.items() if Path(name).with_name("summary.json").as_posix() in before}
    tests = perturbed(runs, fresh, watcher)
    assert watcher.total == (len(KEYS) - count) * PER_MODEL
    assert whole.items() <= file_contents(fresh).items()
    assert [training.conditions for training in tests.trainings] == [
        training.conditions for training in complete.trainings
    ]
    assert json.loads((fresh.path / "perturbations/test/test.json").read_text())["settings"]["draws"] == 2
