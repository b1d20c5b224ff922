"""The paper's tables on one page: what is planned, what is run once, and what a kill costs."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.soak import ended_trials
from dclf.data import feature_card, generate, write_shards
from tests.tune.runner.processes import Processes
from tests.tune.tracking.server import wait_until
from tune.commands.main import main
from tune.config.yaml_files import ConfigError
from tune.reproduction import KIND, ReproductionPlan, items, plan_reproduction, reproduce
from tune.search.space import Space
from tune.study.definition import StudyDefinition
from tune.study.folder import StudyFolder
from tune.tracking.children import KIND_TAG, STUDY_TAG
from tune.tracking.store import open_client

SMALL = {"train.epochs": 1, "train.batch_size": 8, "train.device": "cpu"}


@dataclass(frozen=True)
class Place:
    folder: Path

    def keys(self, **changed: Any) -> dict[str, Any]:
        return {
            "data.shards": str(self.folder / "shards"),
            "sweep.storage": str(self.folder / "dclf-runs" / "studies"),
            "sweep.concurrency": 2,
            "track.uri": f"sqlite:///{self.folder}/mlflow.db",
            **SMALL,
            **changed,
        }

    def plan(self, *only: str, seeds: int = 1, **changed: Any) -> ReproductionPlan:
        return plan_reproduction("iemocap", self.keys(**changed), only=only, seeds=seeds)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("reproduction")
    info, dialogues = generate("iemocap-small", seed=3)
    write_shards(dialogues, folder / "shards", info)
    return Place(folder)


def folders(plan: ReproductionPlan) -> Iterator[StudyFolder]:
    for study in plan.studies:
        folder = study.existing_folder()
        if folder is not None:
            yield folder


def test_tables_share_trainings(place: Place) -> None:
    everything = place.plan(seeds=2)
    assert [study.item for study in everything.studies] == ["table1", "table3", "table4", "table5", "figure4"]
    # Tables 1, 3, 4, 5 and Figure 4 have 4 + 14 + 14 + 10 + 32 variants; Table 4 has those of Table 3, the base models
    # of Table 1 are among them, and DCLF as configured is in the other two as well.
    assert everything.trainings == 2 * (74 - 14 - 2 - 2 * 2)
    assert sum(len(study.trainings) for study in everything.studies) == 2 * 74
    assert everything.finished == 0


def test_tables_without_models_of_their_own_come_from_table_3(place: Place) -> None:
    assert items("iemocap") == ("table1", "table3", "table4", "table5", "table6", "table7", "figure3", "figure4")
    assert items("meld") == ("table3", "table4", "table5", "table6", "table7", "figure3", "figure4")
    sources = [study.item for study in place.plan("table6", "figure3").studies if study.to_run]
    assert sources == ["table3"]


@pytest.mark.slow
def test_the_same_call_names_the_same_studies_and_another_one_others(place: Place) -> None:
    def names(plan: ReproductionPlan) -> set[str]:
        return {study.name for study in plan.studies}

    everything, one_table = place.plan(), place.plan("table4")
    assert names(everything) == names(one_table)
    assert everything.out == one_table.out
    for other in (place.plan(seeds=2), place.plan(**{"train.epochs": 3}), place.plan(**{"train.seed": 1})):
        assert not names(other) & names(everything)


@pytest.mark.slow
def test_its_run_in_mlflow_is_named_after_what_is_trained_not_after_a_folder(place: Place) -> None:
    plans = [plan_reproduction("iemocap", place.keys(), seeds=1, out=out) for out in ("", ".", "today's")]
    assert {plan.name for plan in plans} == {plans[0].out.name}
    assert place.plan(seeds=2).name != plans[0].name


def test_compared_systems_are_run_where_they_are_asked_for(place: Place) -> None:
    plan = place.plan("table4")
    with_compared = plan_reproduction("iemocap", place.keys(), only=["table4"], seeds=1, compared=True)
    assert with_compared.out == plan.out
    assert not plan.compared.to_run
    title, head, *rows = repr(with_compared).splitlines()
    assert title == f"{with_compared.title}: {with_compared.trainings} trainings, 0 finished"
    assert head.split() == ["item", "study", "runs", "trainings"]
    assert [row.split()[:3] for row in rows] == [
        [study.item, study.name, "yes" if study.to_run else "no"] for study in with_compared.every
    ]
    assert with_compared.compared.to_run
    assert with_compared.trainings == plan.trainings + len(with_compared.compared.trainings)


def test_an_unknown_data_set_is_told(place: Place) -> None:
    with pytest.raises(ConfigError, match=r"^dataset: must be iemocap or meld, is 'iemocp'; did you mean iemocap\?$"):
        plan_reproduction("iemocp", place.keys())


def test_mistakes_are_told_at_once(place: Place) -> None:
    with pytest.raises(ConfigError) as error:
        plan_reproduction("meld", place.keys(), only=("table1", "tabel3"), seeds=0)
    start = "--only: must be among table3, table4, table5, table6, table7, figure3, figure4, has"
    assert list(error.value.problems) == [
        f"{start} 'table1'; did you mean table7?",
        f"{start} 'tabel3'; did you mean table3?",
        "--seeds: must be at least 1, is 0",
    ]


def test_impossible_values_are_told_once_for_all_studies(place: Place) -> None:
    with pytest.raises(ConfigError) as error:
        place.plan(**{"train.epochs": 0, "loss.tau": 1})
    assert sorted(problem.split(":")[0] for problem in error.value.problems) == ["loss.tau", "train.epochs"]
    with pytest.raises(ConfigError, match=r"^train.epochs: must be at least 1, is 0$"):
        place.plan(**{"train.epochs": 0})


def test_a_modality_that_the_shards_lack_is_left_out_and_told(place: Place, tmp_path: Path) -> None:
    info, dialogues = generate("iemocap-small", seed=3)
    widths = {modality: width for modality, width in info.widths.items() if modality != "visual"}
    lacking = [
        replace(one, features={m: values for m, values in one.features.items() if m != "visual"}) for one in dialogues
    ]
    write_shards(lacking, tmp_path / "shards", replace(info, widths=widths))
    plan = plan_reproduction("iemocap", {**place.keys(), "data.shards": str(tmp_path / "shards")}, seeds=1)
    assert plan.notes == (
        "The shards have no visual: all models read text and audio alone, where the paper's read all.",
    )
    points = [point for study in plan.studies for point in study.planned.settings.start_points]
    assert {tuple(point["data.modalities"]) for point in points if "data.modalities" in point} == {
        ("text",),
        ("text", "audio"),
    }


@pytest.mark.ray
@pytest.mark.mlflow
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_table_is_run_once_whatever_is_killed_and_laid_out_on_one_page(
    place: Place, local_ray: None, processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["reproduce", "iemocap", "--only", "table1", "--seeds", "1", "--log", "quiet"]
    words += [f"--{key}={value}" for key, value in place.keys().items()]
    plan = place.plan("table1")
    driver = processes.dclf(place.folder, *words)
    # It is killed in the midst of four trainings.
    (ledger,) = [Path(study.storage) / study.name / "ledger.jsonl" for study in plan.studies if study.to_run]
    wait_until(lambda: ended_trials(ledger) >= 1 or not driver.running, 300)
    driver.kill()
    processes.wait_until_gone(60)
    done = complete(plan)
    assert 1 <= sum(map(len, done.values())) < 4
    lines = {folder.path: len(_lines(folder)) for folder in folders(plan)}

    files = reproduce(plan)
    for folder in folders(plan):
        assert len(folder.ledger.tested) == 4
        again = [line["number"] for line in _lines(folder)[lines[folder.path] :] if line["event"] == "started"]
        assert not set(again) & done[folder.path].keys()
    after = complete(plan)
    assert all(runs.items() <= after[path].items() for path, runs in done.items())
    page = files.html.read_text()
    assert "Table 1" in page
    assert "invented" in page
    assert "not measured: its repository does not hold the paper&#39;s model" in page
    assert "model,69.70,69.40" in files.tables["table-3-compared.csv"].read_text()
    assert set(files.missing) == {"Table 3", "Table 4", "Table 5", "Figure 4"}
    client = open_client(f"sqlite:///{place.folder}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("dclf").experiment_id], f"tags.`{KIND_TAG}` = '{KIND}'")
    assert run.info.status == "FINISHED"
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"reproduction.html", "tables"}

    before = {folder.path: folder.ledger.path.read_bytes() for folder in folders(plan)}
    caplog.set_level(logging.INFO, "tune.reproduction")
    caplog.clear()
    later = place.plan("table1")
    assert later.finished == 4
    second = reproduce(later)
    assert [line.partition(":")[0] for line in caplog.messages] == ["table1"]
    assert second.html.read_text() == page
    assert {path: (path / "ledger.jsonl").read_bytes() for path in before} == before, "nothing was worked on"


def complete(plan: ReproductionPlan) -> dict[Path, dict[int, dict[int, str]]]:
    """Folder of a study -> number of a complete trial -> its runs."""
    return {
        folder.path: {
            trial.number: {seed: run.run_id for seed, run in trial.runs.items()}
            for trial in folder.ledger.trials.values()
            if trial.state == "complete"
        }
        for folder in folders(plan)
    }


@pytest.mark.mlflow
def test_a_study_most_of_whose_trials_failed_is_no_success(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    changed = {"train.seed": 11}
    (study,) = [one for one in place.plan("figure4", **changed).studies if one.to_run]
    planned = study.planned
    definition = StudyDefinition(
        name=study.name,
        kind="study",
        config=planned.config.to_dict(),
        settings=planned.settings.to_dict(),
        space=Space.of(planned.settings.space, planned.config).spec,
        variants=planned.variants,
        plan=planned.plan,
        shards_sha256=feature_card(planned.config.data.shards).to_dict()["sha256"],
        created="2026-11-23T12:00:00+00:00",
    )
    folder = StudyFolder.create(study.storage, definition)
    for place_, point in enumerate(planned.settings.start_points):
        number = folder.ledger.create(point, origin="variant").number
        folder.ledger.start(number, 11)
        if place_:
            folder.ledger.end(number, "failed", reason="OSError: disk full")
        else:
            folder.ledger.seed_done(number, 11, (0.5,), 3)
            folder.ledger.end(number, "complete", (0.5,))
            folder.ledger.test(number, 11, {"wf1": 0.4, "wa": 0.4})
    (folder.path / "report").mkdir()
    (folder.path / "report" / "report.html").touch()
    words = [f"--{key}={value}" for key, value in place.keys(**changed).items()]
    words += ["--out", str(place.folder / "today's")]
    assert main(["reproduce", "iemocap", "--only", "figure4", "--seeds", "1", "--quiet", *words]) == 1
    output = capsys.readouterr()
    failed = len(planned.settings.start_points) - 1
    assert f"study {study.name}: {failed} of {failed + 1} trials failed, all of them as this one: OSError" in output.err
    assert "missing     Figure 4" not in output.out
    client = open_client(f"sqlite:///{place.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("dclf").experiment_id
    name = place.plan("figure4", **changed).name
    (run,) = client.search_runs([experiment], f"tags.`{STUDY_TAG}` = 'reproduce-{name}'")
    assert "reproduction.html" in {file.path for file in client.list_artifacts(run.info.run_id)}


def _lines(folder: StudyFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in folder.ledger.path.read_text().splitlines()]
