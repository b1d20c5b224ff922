"""Runs listed from Python; ``tests/tune/commands/test_runs_command.py`` has how they are chosen and sorted."""

from pathlib import Path

import pytest

from tests.tune.tracking.trainings import Trainings
from tune.config.yaml_files import ConfigError
from tune.run_lists import list_runs


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Trainings:
    """Newest last."""
    some = Trainings(tmp_path_factory.mktemp("listed"), empty_store)
    some.add("first", {"best/val_wf1": 0.5, "test/wf1": 0.625}, {"loss.ablate": "base"})
    some.add_parent("gammas")
    some.add_trial("gammas", 0, {"best/val_wf1": 0.75, "epoch": 3})
    some.add_trial("gammas", 1, {"best/val_wf1": 0.25, "epoch": 1}, state="pruned")
    some.add("<broken>", params={"model.name": "ddin"}, status="FAILED")
    return some


def test_they_show_themselves_as_a_table(trainings: Trainings) -> None:
    runs = list_runs(uri=trainings.uri)
    title, head, *rows = repr(runs).splitlines()
    assert title == f"runs in {trainings.uri}"
    assert head.split()[:7] == ["run", "name", "kind", "study", "status", "model", "data"]
    assert [row.split()[1] for row in rows] == ["<broken>", "gammas-1-seed1", "gammas-0-seed1", "first"]
    assert "<td>&lt;broken&gt;</td>" in runs._repr_html_()


def test_columns_and_sorting_are_those_of_the_command(trainings: Trainings) -> None:
    runs = list_runs(uri=trainings.uri, columns=["val_wf1", "name"], sort="val_wf1", limit=2)
    assert runs.frame().to_dict("list") == {"val_wf1": [0.75, 0.5], "name": ["gammas-0-seed1", "first"]}
    assert [line.split() for line in repr(runs).splitlines()[1:]] == [
        ["name", "val_wf1"],
        ["gammas-0-seed1", "75.00"],
        ["first", "50.00"],
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"study": "gammas"}, ["gammas-1-seed1", "gammas-0-seed1"]),
        ({"study": "gammas", "status": "pruned"}, ["gammas-1-seed1"]),
        ({"model": "ddin"}, ["<broken>"]),
        ({"where": "metrics.`test/wf1` > 0.6"}, ["first"]),
        ({"limit": 1}, ["<broken>"]),
    ],
)
def test_runs_are_chosen(trainings: Trainings, options: dict[str, str], expected: list[str]) -> None:
    runs = list_runs(uri=trainings.uri, **options)  # type: ignore[arg-type]
    assert [run.name for run in runs.runs] == expected


def test_every_mistake_is_told(trainings: Trainings) -> None:
    with pytest.raises(ConfigError) as raised:
        list_runs(uri=trainings.uri, status="runing", limit=-1, model="'", columns=["nme"])
    assert [problem.partition(":")[0] for problem in raised.value.problems] == ["status", "limit", "model", "columns"]
    assert "did you mean running?" in raised.value.problems[0]


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert list_runs(uri=f"sqlite:///{tmp_path}/mlflow.db").runs == ()
    assert not list(tmp_path.iterdir())
