"""Whole sweeps: trials on Ray Tune, a study on disk, MLflow's page of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from dclf.config import Config, DataConfig, LossConfig, ModelConfig, TrackConfig, TrainConfig
from dclf.data import DataError, generate, read_shards, write_shards
from dclf.training.local import LocalSource
from dclf.training.loop import train
from dclf.training.reports import EpochReport
from tests.tune.runner.outcome import check_optuna, check_runs
from tests.tune.tracking.server import Server
from tests.tune.tracking.test_ui import Browser
from tune.analysis.optimism import optimism_table
from tune.analysis.scoring import last_checkpoint, score_checkpoint
from tune.commands.main import main
from tune.comparisons import ablation
from tune.config.overrides import apply
from tune.config.settings import ConfigError, load_config
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import plain
from tune.runner.population import nearest
from tune.search.space import Space
from tune.studies import Study
from tune.study.dataset import TEST_IS_WATCHED
from tune.study.events import Event, StageEnded
from tune.study.folder import StudyFolder
from tune.study.history import read_history
from tune.study.parent import parent_id
from tune.study.places import StudyError
from tune.study.ranking import base_trial
from tune.sweeps import resume, sweep
from tune.tracking.store import connect, open_client

pytestmark = [pytest.mark.ray, pytest.mark.mlflow, pytest.mark.slow, pytest.mark.timeout(600)]

SPACE = {
    "loss.gamma_ca": {"low": 0.0, "high": 1.0, "step": 0.1},
    "loss.pairs": {"choices": ["bank", "batch"]},
    "loss.projection": {"choices": ["none", "linear"], "when": {"loss.pairs": "bank"}},
}
TRIALS = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sweeps")
    info, dialogues = generate("iemocap-small", seed=3)
    write_shards(dialogues, root / "shards", info)
    return root


@pytest.fixture(scope="module")
def config(folder: Path) -> Config:
    return Config(
        data=DataConfig(shards=str(folder / "shards")),
        model=ModelConfig(options={"hidden": 12, "node_width": 16, "layers": 2}),
        loss=LossConfig(window=4, ica_width=8, gamma_ca=0.5),
        train=TrainConfig(epochs=4, batch_size=8, lr=3e-3, device="cpu"),
        track=TrackConfig(uri=f"sqlite:///{folder}/mlflow.db", experiment="sweeps"),
    )


@pytest.fixture(scope="module")
def settings(folder: Path) -> SweepSettings:
    return SweepSettings(
        trials=TRIALS,
        scheduler="median",
        startup_trials=2,
        grace_epochs=2,
        space=SPACE,
        concurrency=2,
        storage=str(folder / "studies"),
    )


@pytest.fixture(scope="module")
def stages() -> list[str]:
    """Those of the start of ``finished``."""
    return []


@pytest.fixture(scope="module")
def finished(local_ray: None, config: Config, settings: SweepSettings, stages: list[str]) -> Study:
    def keep(event: Event) -> None:
        if isinstance(event, StageEnded):
            stages.append(event.name)

    return sweep(config, settings, name="finished", listeners=[keep])


def children(study: Study) -> list[Any]:
    client = open_client(study.tracking_uri)
    experiment = client.get_experiment_by_name("sweeps")
    return list(client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{study.run_id}'"))


def test_every_trial_has_ended_and_the_base_configuration_was_first(finished: Study, config: Config) -> None:
    trials = finished.folder.ledger.trials
    assert sorted(trials) == list(range(TRIALS))
    assert {trial.state for trial in trials.values()} <= {"complete", "pruned"}
    assert trials[0].origin == "start"
    assert trials[0].params == {"loss.gamma_ca": 0.5, "loss.pairs": "bank", "loss.projection": "none"}
    assert all(("loss.projection" in t.params) == (t.params["loss.pairs"] == "bank") for t in trials.values())
    assert list(finished.trials["number"]) == list(range(TRIALS))
    assert finished.best is not None
    assert finished.best.values[0] == max(t.values[0] for t in trials.values() if t.state == "complete")
    assert finished.best_config == replace(
        apply(config, finished.best.params), published=finished.best_config.published, track=config.track
    )


def test_every_stage_of_the_start_is_told_once(finished: Study, stages: list[str]) -> None:
    assert finished.best is not None
    assert sorted(stages[:-1]) == ["MLflow", "Ray", "shards"]
    assert stages[-1] == "first batch"


def test_a_trial_is_the_training_that_the_loop_does_by_itself(finished: Study, config: Config) -> None:
    best = finished.best
    assert best is not None
    shards = read_shards(config.data.shards)
    alone = train(apply(config, best.params), LocalSource(shards, config.data.modalities), shards)
    assert best.values[0] == alone.history[-1].best_wf1
    tests = [note for note in finished.folder.ledger.notes if note["kind"] == "test"]
    assert [note["number"] for note in tests] == [best.number], "the winner alone is scored on test, once"
    assert tests[0]["scores"]["wf1"] == pytest.approx(alone.splits["test"].scores["wf1"], abs=1e-6)
    assert not any(epoch.peeked for epoch in read_history(finished.folder.fetched(best.number, 0)))


def test_failed_trials_are_told_as_what_they_are_and_a_finished_study_goes_on_with_more(
    local_ray: None, config: Config, settings: SweepSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = {"train.lr": 3e-3, "model.options.hidden": 12, "loss.gamma_ca": 0.5}
    points = [sound | {"train.lr": 1e30}, sound | {"model.options.hidden": 3_000_000}, sound | {"loss.gamma_ca": 1.0}]
    space = {key: {"choices": list(dict.fromkeys([sound[key], *(point[key] for point in points)]))} for key in sound}
    own = {**settings.to_dict(), "trials": 3, "scheduler": "none", "space": space, "start_points": points}
    own["objectives"] = {"wf1": "maximize", "eics/wf1": "maximize"}
    scored = replace(config, train=replace(config.train, perturb_every=3))
    file = tmp_path / "failing.yaml"
    # The order of the objectives matters.
    text = yaml.safe_dump({**plain(scored.to_dict()), "sweep": plain(own)}, sort_keys=False)
    file.write_text(text, encoding="utf-8")
    assert main(["sweep", str(file), "--name", "failing", "--quiet"]) == 1
    output = capsys.readouterr()
    folder = StudyFolder.open(settings.storage, "failing")
    trials = folder.ledger.trials
    assert [trial.state for trial in trials.values()] == ["complete", "failed", "failed"]
    assert trials[1].reason.startswith("NonFiniteLossError: ")
    assert trials[2].reason.startswith("out of memory (")
    assert "smaller batch or model" in trials[2].reason
    assert "2 of 3 trials failed, 1 of them as this one: NonFiniteLossError: " in output.err
    assert output.out.splitlines()[-1].startswith("best validation WF1 ")
    assert "picked      of the trials on the front whose validation WF1 is within 0.5 points" in output.out
    shards = read_shards(config.data.shards)
    alone = train(apply(scored, trials[0].params), LocalSource(shards, config.data.modalities), shards, score=())
    assert trials[0].values == (alone.history[-1].best_wf1, alone.history[-1].robust["eics/wf1"])

    again = resume("failing", storage=settings.storage, trials=4, progress="plain")
    assert "trial 3 complete" in capsys.readouterr().err
    assert again.run_id == parent_id(folder)
    assert [trial.state for trial in again.folder.ledger.trials.values()] == [
        "complete",
        "failed",
        "failed",
        "complete",
    ]
    assert {number: again.folder.ledger.trials[number].runs[0].run_id for number in trials} == {
        number: trial.runs[0].run_id for number, trial in trials.items()
    }
    assert StudyFolder.open(settings.storage, "failing").definition.sweep.trials == 4
    check_optuna(again.folder)
    check_runs(again.folder, connect(config.track.uri, config.track.experiment))
    with pytest.raises(StudyError, match="exists already"):
        sweep(config, settings, name="failing")


def test_mlflow_has_a_parent_and_a_child_per_trial(finished: Study) -> None:
    client = open_client(finished.tracking_uri)
    parent = client.get_run(finished.run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["dclf.study"] == "finished"
    assert parent.data.metrics["best/val_wf1"] == finished.best.values[0]  # type: ignore[union-attr]
    assert parent.data.params["sweep.scheduler"] == "median"
    assert f"Best is trial {finished.best.number}" in parent.data.tags["mlflow.note.content"]  # type: ignore[union-attr]
    runs = children(finished)
    assert Counter(run.data.tags["dclf.trial"] for run in runs) == Counter(map(str, range(TRIALS)))
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        trial = finished.folder.ledger.trials[int(run.data.tags["dclf.trial"])]
        assert run.data.tags["dclf.state"] == trial.state
        assert trial.runs[0].run_id == run.info.run_id
        steps = [point.step for point in client.get_metric_history(run.info.run_id, "val/wf1")]
        assert sorted(steps) == list(range(1, trial.runs[0].epochs + 1))
        scored = [finished.best, base_trial(finished.folder)]
        assert ("test/wf1" in run.data.metrics) == (trial in scored and trial.state == "complete")
        curve = [point.value for point in client.get_metric_history(run.info.run_id, "val/wf1")]
        assert run.data.metrics["best/val_wf1"] == max(curve), "of a pruned trial too"
        files = {item.path for item in client.list_artifacts(run.info.run_id, "results")}
        assert "results/confusion_val.json" in files
        assert ("results/predictions_test.json" in files) == (trial == finished.best)
        assert bool(run.outputs.model_outputs) == (trial == finished.best)
        if trial == finished.best:
            for name in ("best/val_wf1", "best/epoch", *(key for key in run.data.metrics if key.startswith("test/"))):
                assert parent.data.metrics[name] == run.data.metrics[name], name
            assert "test/wa" in parent.data.metrics
    names = {item.path for item in client.list_artifacts(finished.run_id)}
    assert {"best.yaml", "plan.txt", "study.yaml", "feature_card.json", "report.html", "figures", "tables"} <= names
    figures = {item.path for item in client.list_artifacts(finished.run_id, "figures")}
    assert "figures/history.svg" in figures


def test_the_best_configuration_is_a_file_for_training(finished: Study) -> None:
    assert finished.report is not None
    written = finished.report.parent / "best.yaml"
    assert load_config(written).loss == finished.best_config.loss
    assert "finished" in written.read_text().splitlines()[0]
    assert finished.figures()


def test_the_winners_score_is_that_of_its_checkpoint(finished: Study) -> None:
    assert finished.best is not None
    (run,) = finished.best.runs
    expected = score_checkpoint(last_checkpoint(finished.folder.fetched(finished.best.number, run))).scores
    tested = dict(finished.folder.ledger.tested)
    assert tested.pop((finished.best.number, run)) == pytest.approx(expected)
    assert [number for number, _ in tested] in ([], [0]), "and the base configuration's, where it ended complete"


def blind(history: list[EpochReport]) -> list[EpochReport]:
    """What training alone makes of every epoch."""
    return [replace(report, peeked={}, seconds=0.0, ended=0.0, machine={}) for report in history]


def test_a_comparison_scores_every_variant_once_on_test_also_what_a_kill_left_unscored(
    local_ray: None, config: Config, settings: SweepSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Alone in its folder: what another study has trained and scored it would take over.
    own = replace(settings, space={}, keep=1, storage=str(tmp_path))
    paper = replace(config, train=replace(config.train, protocol="paper"))
    study = sweep(paper, ablation(parts=["base"], seeds=2, settings=own), name="parts", kind="ablation")
    assert TEST_IS_WATCHED in caplog.messages
    ledger = study.folder.ledger
    assert [trial.params["loss.ablate"] for trial in ledger.trials.values()].count("none") == 1
    assert sorted(ledger.tested) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    shards = read_shards(config.data.shards)
    for (number, seed), scores in ledger.tested.items():
        run = ledger.trials[number].runs[seed]
        alone = apply(config, {**ledger.trials[number].params, "train.seed": seed})
        report = train(alone, LocalSource(shards, config.data.modalities), shards, score=["test"])
        assert run.values[0] == report.history[-1].best_wf1
        assert scores["wf1"] == pytest.approx(report.splits["test"].scores["wf1"], abs=1e-6)
        epochs = read_history(study.folder.checkpoint(number, seed))
        assert blind(epochs) == blind(report.history), "looking at test changes nothing"
        assert epochs[epochs[-1].best_epoch - 1].peeked["wf1"] == pytest.approx(scores["wf1"], abs=1e-12)
    table = optimism_table(study.folder)
    assert table is not None
    assert [row[:3] for row in table.rows] == [("mmgcn", "DCLF", "2"), ("mmgcn", "base model", "2")]
    for trial in ledger.trials.values():
        assert trial.values[0] == sum(run.values[0] for run in trial.runs.values()) / 2, "the mean over seeds"
    client = open_client(study.tracking_uri)
    assert client.get_run(study.run_id).data.tags["dclf.kind"] == "ablation"
    for run in children(study):
        key = int(run.data.tags["dclf.trial"]), int(run.data.tags["dclf.seed"])
        assert run.data.metrics["test/wf1"] == pytest.approx(ledger.tested[key]["wf1"])
    assert study.report is not None
    written = (study.report.parent / "variants.csv").read_text().splitlines()
    assert len(written) == 1 + 4

    before, lines = dict(ledger.tested), ledger.path.read_text().splitlines(keepends=True)
    last = max(place for place, line in enumerate(lines) if '"kind": "test"' in line)
    ledger.path.write_text("".join(lines[:last]))
    again = resume("parts", storage=own.storage).folder.ledger
    assert dict(again.tested) == before
    assert len([note for note in again.notes if note["kind"] == "test"]) == 4


def test_a_population_takes_over_weights_and_values(local_ray: None, config: Config, settings: SweepSettings) -> None:
    space = {"train.lr": {"low": 1e-6, "high": 3e-3, "log": True}, "loss.gamma_ca": SPACE["loss.gamma_ca"]}
    # From here on a member with gamma_ca 0 takes over weights, and others take over its weights.
    config = replace(config, loss=replace(config.loss, gamma_ca=0.0))
    population_settings = replace(settings, trials=4, scheduler="pbt", grace_epochs=1, space=space, sampler="random")
    study = sweep(replace(config, train=replace(config.train, epochs=6)), population_settings, name="population")
    assert {(trial.state, trial.reason) for trial in study.folder.ledger.trials.values()} == {("complete", "")}
    lines = (study.folder.path / "ledger.jsonl").read_text().splitlines()
    changes = [json.loads(line) for line in lines if '"event": "params"' in line]
    assert changes, "in six epochs of four trials the worst takes over from the best"
    for change in changes:
        assert change["params"] == nearest(Space.of(space), change["params"])


def test_what_the_shards_lack_is_told_before_anything_starts(
    config: Config, settings: SweepSettings, tmp_path: Path
) -> None:
    info, dialogues = generate("iemocap-small", dialogues=20, seed=3)
    widths = {modality: width for modality, width in info.widths.items() if modality != "visual"}
    lacking = [replace(one, features={name: one.features[name] for name in widths}) for one in dialogues]
    write_shards(lacking, tmp_path / "shards", replace(info, widths=widths))
    text = replace(config, data=DataConfig(shards=str(tmp_path / "shards"), modalities=("text",)))
    space = {"data.modalities": {"choices": [["text"], ["text", "visual"]]}}
    own = replace(settings, storage=str(tmp_path / "studies"))
    with pytest.raises(DataError, match=r"data\.modalities: visual must be in the shards"):
        sweep(text, replace(own, space=space), name="lacking")
    with pytest.raises(ConfigError, match=r"sweep\.objectives: the data have no f1/envy; they have accuracy/"):
        sweep(text, replace(own, objectives={"f1/envy": "maximize"}), name="lacking")
    assert not (tmp_path / "studies").exists()


def test_mistakes_come_together_and_leave_nothing(config: Config, settings: SweepSettings) -> None:
    wrong = replace(settings, trials=-1, space={"loss.gamma": {"low": 1, "high": 0}})
    with pytest.raises(ConfigError) as error:
        sweep(replace(config, train=replace(config.train, lr=-1.0)), wrong, name="wrong")
    assert len(error.value.problems) >= 3
    assert not (Path(settings.storage) / "wrong").exists()


@pytest.mark.browser
def test_the_page_shows_parent_children_and_metrics(finished: Study, folder: Path, tmp_path: Path) -> None:
    server = Server(folder)
    try:
        server.start()
        client = open_client(server.uri)
        page = f"{server.uri}/#/experiments/{client.get_experiment_by_name('sweeps').experiment_id}/runs"
        browser = Browser(tmp_path / "profile")
        assert "finished" in browser.show(f"{page}?searchFilter=&viewStateShareKey=")
        parent = browser.show(f"{page}/{finished.run_id}")
        for text in ("finished", "Finished", "best/val_wf1", "test/wf1", "sweep.sampler", "dclf.study"):
            assert text in parent
        child = browser.show(f"{page}/{finished.folder.ledger.trials[0].runs[0].run_id}")
        for text in ("trial 0 of finished", "objective/wf1", "Parent run", "loss.gamma_ca"):
            assert text in child
    finally:
        server.kill()
