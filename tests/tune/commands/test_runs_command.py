import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.tune.tracking.trainings import Trainings
from tune.commands.main import main
from tune.progress.log_messages import messages_to

Streams = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Trainings:
    """Newest last: a run without DCLF, its study's two trainings, a failed and a running one."""
    some = Trainings(tmp_path_factory.mktemp("listed"), empty_store)
    some.add_foreign()
    some.add("first", {"best/val_wf1": 0.5, "test/wf1": 0.625, "test/wa": 0.6, "epoch": 12}, {"loss.ablate": "base"})
    some.add_parent("gammas")
    some.add_trial("gammas", 0, {"objective/wf1": 0.75, "epoch": 3}, params={"loss.gamma_ca": 0.25})
    some.add_trial("gammas", 1, {"best/val_wf1": 0.25, "epoch": 1}, state="pruned")
    some.add("broken", params={"model.name": "ddin"}, status="FAILED")
    some.add("going", {"epoch": float("nan")}, status="RUNNING")
    return some


def listed(trainings: Trainings, capsys: Streams, *words: str) -> list[dict[str, Any]]:
    assert main(["runs", "--uri", trainings.uri, "--output", "json", *words]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["runs"]
    return rows


def names(trainings: Trainings, capsys: Streams, *words: str) -> list[str]:
    return [row["name"] for row in listed(trainings, capsys, *words)]


def test_trainings_are_listed_newest_first(trainings: Trainings, capsys: Streams) -> None:
    assert main(["runs", "--uri", trainings.uri]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert " ".join(head.split()) == "run name kind study status model data val_wf1 test_wf1 epochs age duration"
    assert [line.split()[1] for line in lines] == ["going", "broken", "gammas-1-seed1", "gammas-0-seed1", "first"]
    assert lines[-1].split()[2:10] == ["run", "–", "finished", "mmgcn", "tiny", "50.00", "62.50", "12"]
    assert lines[-1].split()[-2:] == ["d", "1:30"]
    assert lines[2].split()[2:5] == ["trial", "gammas", "pruned"]


def test_json_has_whole_ids_and_plain_numbers(trainings: Trainings, capsys: Streams) -> None:
    row = listed(trainings, capsys, "--study", "gammas", "--sort", "val_wf1", "--limit", "1")[0]
    assert len(row["run_id"]) == 32
    assert (row["val_wf1"], row["test_wf1"], row["epochs"], row["duration"]) == (0.75, None, 3, 90.0)
    assert listed(trainings, capsys, "--status", "running")[0]["epochs"] is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--study gammas", ["gammas-1-seed1", "gammas-0-seed1"]),
        ("--status Pruned", ["gammas-1-seed1"]),
        ("--status finished --limit 1", ["gammas-0-seed1"]),
        ("--model ddin", ["broken"]),
        ("--filter metrics.`test/wf1`>0.6", ["first"]),
        ("--sort val_wf1 --limit 2", ["gammas-0-seed1", "first"]),
        ("--sort val_wf1 --reverse --limit 1", ["gammas-1-seed1"]),
        ("--sort name --limit 2", ["broken", "first"]),
        ("--sort params.loss.gamma_ca --reverse --limit 1", ["gammas-0-seed1"]),
        ("--sort age --limit 1", ["first"]),
        ("--reverse --limit 1", ["first"]),
        ("--reverse --status finished", ["first", "gammas-0-seed1"]),
        ("--limit 0", ["going", "broken", "gammas-1-seed1", "gammas-0-seed1", "first"]),
    ],
)
def test_choosing_and_sorting(trainings: Trainings, words: str, expected: list[str], capsys: Streams) -> None:
    assert names(trainings, capsys, *words.split()) == expected


def test_any_parameter_metric_and_tag_is_a_column(trainings: Trainings, capsys: Streams) -> None:
    columns = "name,params.loss.gamma_ca,metrics.test/wa,tags.dclf.trial,ablate,seed,started"
    assert main(["runs", "--uri", trainings.uri, "--columns", columns, "--output", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == columns.split(",")
    assert list(rows[-1].values()) == ["first", "0.8", "0.6", "", "base", "1", "2023-11-14T22:13:20+00:00"]
    assert rows[-2]["params.loss.gamma_ca"] == "0.25"
    assert main(["runs", "--uri", trainings.uri, "--columns", columns]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[-3:] == ["1", "2023-11-14", "22:13"]


@pytest.mark.parametrize(
    ("words", "problems"),
    [
        (
            "--columns nme,val_wf --sort valwf1 --status done --limit -1 --study it's",
            [
                "--columns: nme: must be one of run, name,",
                "metrics.KEY, tags.KEY; did you mean name?",
                "did you mean val_wf1?",
                "--sort: valwf1: ",
                "--status: must be one of running, finished, pruned, failed, killed",
                "--limit: must be 0, for all, or more, is -1",
                '--study: must have no quotes, is "it\'s"',
            ],
        ),
        (
            "--columns test/wf1,params.loss.gama_ca",
            ["did you mean metrics.test/wf1?", "did you mean params.loss.gamma_ca"],
        ),
        ("--sort loss.gamma_ca", ["--sort: loss.gamma_ca: must be", "did you mean params.loss.gamma_ca?"]),
        (
            "--filter nonsense",
            ["--filter: must be in MLflow's filter language, as in metrics.`test/wf1`", "'nonsense'"],
        ),
    ],
)
def test_mistakes_are_told_all_at_once(trainings: Trainings, words: str, problems: list[str], capsys: Streams) -> None:
    assert main(["runs", "--uri", trainings.uri, *words.split()]) == 2
    output = capsys.readouterr()
    assert [problem for problem in problems if problem not in output.err] == []
    assert output.out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--study gamas", "match --study gamas; did you mean gammas?"),
        ("--model mmgnc --status failed", "match --status failed, --model mmgnc; did you mean mmgcn?"),
    ],
)
def test_nothing_that_matches_is_told_with_what_may_be_meant(
    trainings: Trainings, words: str, message: str, capsys: Streams
) -> None:
    assert main(["runs", "--uri", trainings.uri, *words.split()]) == 0
    assert capsys.readouterr().out.endswith(f"{message}\n")
    assert listed(trainings, capsys, *words.split()) == []


def test_a_place_without_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Streams) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main(["runs", "--study", "x"]) == 0
    assert capsys.readouterr().out == f"no runs in sqlite:///{tmp_path}/dclf-runs/mlflow.db; dclf train makes one\n"
    assert not (tmp_path / "dclf-runs").exists()
    assert main(["runs", "--uri", "sqlite:///mlflow.db"]) == 2
    assert "must be the MLflow store of earlier runs, is absent" in capsys.readouterr().err
    assert main(["runs", "--uri", "http://127.0.0.1:9"]) == 1
    assert "MLflow at http://127.0.0.1:9 cannot be used (Connection refused)" in capsys.readouterr().err


def test_more_runs_than_are_shown(trainings: Trainings, capsys: Streams) -> None:
    assert main(["runs", "--uri", trainings.uri, "--limit", "2"]) == 0
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 3
    assert output.err.startswith(
        "dclf: there are more; --limit 4 shows twice as many, --limit 0 all\nnext: dclf compare "
    )
    for limit, more in (("2", True), ("5", False)):
        assert main(["runs", "--uri", trainings.uri, "--limit", limit, "--output", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["more"] is more
    with messages_to(pytest.fail):
        assert main(["runs", "--uri", trainings.uri, "--limit", "5"]) == 0
    assert capsys.readouterr().err.startswith("next: dclf compare ")
