import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster import session, trial_plan
from cluster.resources import ClusterResources, Node
from dclf.data import generate, write_shards
from tests.tune.commands.studies import study_folder
from tune.commands import plan_results
from tune.commands.main import main

Streams = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("shards")
    info, dialogues = generate("iemocap-small", 16, 0)
    write_shards(dialogues, str(folder), info)
    return str(folder)


@pytest.fixture
def plan(shards: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command on a machine of four cores."""
    monkeypatch.setattr(trial_plan, "machine_cpus", lambda: 4)
    monkeypatch.setattr(trial_plan, "machine_gpus", lambda: 0)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return ["plan", "sweep", "iemocap-ddin", "--data.shards", shards, "--train.batch_size", "4"]


def test_the_plan_says_what_would_run(plan: list[str], shards: str, capsys: Streams) -> None:
    assert main([*plan, "--trials", "20", "--time", "12h", "--seeds-per-trial", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:10] == [
        "search    20 trials within 12h, 2 seeds each by tpe and asha; maximize validation wf1",
        f"training  ddin on {shards}, 60 epochs",
        "space     loss.gamma_ca     a number from 0 to 1 in steps of 0.05",
        "          loss.gamma_mc     a number from 0 to 1 in steps of 0.05",
        "          loss.window       a whole number from 2 to 20",
        "          loss.temperature  a number from 0.02 to 0.5, logarithmic",
        "          loss.denominator  one of negatives, all, khosla",
        "          loss.projection   one of none, linear, mlp",
        "first     gamma_ca 0.8  gamma_mc 0.4  window 10  temperature 0.07  denominator all  projection none",
        lines[9],
    ]
    assert lines[9].startswith("layout    4 trials at a time, each with 1 CPU slot; 1 CPU slot for reading")
    assert re.fullmatch(r"probe     [\d.e-]+ s an epoch of the base configuration(, from .*)?", lines[10])
    assert re.fullmatch(r"time      [\d:]+ to [\d:]+, as the scheduler ends many trials early or none", lines[11])
    assert re.match(r"disk      [\d.]+ [KMG]iB of checkpoints in dclf-runs/studies", lines[12])
    assert re.match(r"          up to 64,800 metric values in MLflow, 11.1 MiB", lines[13])
    assert re.match(r"memory    [\d.]+ [MG]iB for the trials that run at a time", lines[14])


def test_json_has_it_all(plan: list[str], capsys: Streams) -> None:
    assert (
        main([*plan, "--output", "json", "--sampler", "grid", "--sweep.space", "{loss.window: {choices: [4, 10]}}"])
        == 0
    )
    result = json.loads(capsys.readouterr().out)
    assert result["space"] == {"loss.window": {"choices": [4, 10]}}
    assert (result["combinations"], result["estimate"]["trials"]) == (2, 2)
    assert result["layout"]["concurrency"] == 4
    assert result["start_points"] == [{"loss.window": 10}]
    assert result["probes"]["ddin"]["checkpoint_bytes"] > 1000
    assert result["warnings"] == []


def test_json_has_the_warnings(plan: list[str], capsys: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _place: SimpleNamespace(free=5 << 20))
    assert main([*plan, "--output", "json", "--sweep.keep", "1000"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == ["disk: only 5.0 MiB are free there"]


def test_a_leaderboard_costs_what_each_model_costs(shards: str, capsys: Streams) -> None:
    words = ["--shards", shards, "--models", "mmgcn,dialogue_gcn", "--train.epochs", "2"]
    assert main(["plan", "leaderboard", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith("probe"))
    assert re.fullmatch(r"probe     [\d.e-]+ s an epoch of mmgcn(, from .*)?", lines[place])
    assert re.fullmatch(r"          [\d.e-]+ s an epoch of dialogue_gcn(, from .*)?", lines[place + 1])
    assert re.fullmatch(r"time      [\d:]+( to [\d:]+)?", lines[place + 2])


def test_without_a_probe_nothing_is_trained(plan: list[str], capsys: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune.runner.probe.probe", lambda *_args, **_options: pytest.fail("trained"))
    assert main([*plan, "--no-probe"]) == 0
    assert "probe" not in capsys.readouterr().out


def test_start_points_and_conditions_are_shown(plan: list[str], capsys: Streams) -> None:
    window = "{low: 2, high: 10, int: true, when: {loss.ablate: none}}"
    space = f"{{loss.ablate: {{choices: [none, no_ica]}}, loss.window: {window}}}"
    points = "[{loss.window: 2}, {loss.window: 3}, {loss.window: 4}]"
    assert main([*plan, "--no-probe", "--sweep.space", space, "--sweep.start_points", points]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "          loss.window  a whole number from 2 to 10, when loss.ablate is none" in lines
    assert "          10 combinations" in lines
    first = next(place for place, line in enumerate(lines) if line.startswith("first"))
    assert lines[first : first + 2] == ["first     ablate none  window 10", "          ablate none  window 2"]
    assert "          and 1 more" in lines


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--concurrency", "5"], "set sweep.concurrency to 4"),
        (["--workers-per-trial", "2", "--concurrency", "3"], "set sweep.concurrency to 2"),
        (["--workers-per-trial", "5"], "must be at most train.batch_size, 4, is 5; set sweep.workers_per_trial to 4"),
        (["--gpus-per-trial", "0.25"], "needs a GPU, there is none; set sweep.gpus_per_trial to 0"),
        (["--train.device", "gpu"], "set train.device to auto"),
    ],
)
def test_the_impossible_is_refused_with_what_to_change(
    plan: list[str], capsys: Streams, words: list[str], message: str
) -> None:
    assert main([*plan, *words]) == 2
    output = capsys.readouterr()
    assert message in output.err
    assert output.out == ""
    assert len(output.err.splitlines()) == 1


def test_mistakes_come_at_once(plan: list[str], tmp_path: Path, capsys: Streams) -> None:
    study_folder(tmp_path, "gammas")
    words = [
        "--name",
        "gammas",
        "--storage",
        str(tmp_path),
        "--sweep.space",
        "{loss.windw: {choices: [1]}}",
        "--train.lr",
        "x",
    ]
    assert main([*plan, *words]) == 2
    output = capsys.readouterr().err
    for part in ("--name: study 'gammas' exists already", "loss.windw", "train.lr: must be a number"):
        assert part in output
    assert "Traceback" not in output


def test_a_class_that_the_data_lack_is_no_objective(plan: list[str], capsys: Streams) -> None:
    assert main([*plan, "--no-probe", "--sweep.objectives", "{f1/bored: maximize}"]) == 2
    assert "the data have no f1/bored" in capsys.readouterr().err


def test_with_an_address_the_cluster_is_asked(
    plan: list[str], capsys: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[str | None] = []

    class Joined:
        def __init__(self, address: str | None) -> None:
            joined.append(address)

        def __enter__(self) -> ClusterResources:
            return ClusterResources(nodes=(Node(cpus=64),))

        def __exit__(self, *_reason: Any) -> None:
            pass

    monkeypatch.setattr(session, "ray_session", Joined)
    assert main([*plan, "--no-probe", "--address", "10.0.0.5:6379", "--concurrency", "50"]) == 0
    assert joined == ["10.0.0.5:6379"]
    assert "50 trials at a time" in capsys.readouterr().out


def test_a_cluster_that_is_not_there_is_an_error(plan: list[str], capsys: Streams) -> None:
    assert main([*plan, "--no-probe", "--address", "127.0.0.1:1"]) == 1
    assert "cannot join the Ray cluster at '127.0.0.1:1'" in capsys.readouterr().err


def test_too_little_disk_or_memory_is_warned_of(
    plan: list[str], capsys: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_results.shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
    monkeypatch.setattr(plan_results.os, "sysconf", lambda _name: 100)
    assert main(plan) == 0
    output = capsys.readouterr().out
    assert "warning: only 1000 bytes are free there" in output
    assert "warning: this machine has 9.8 KiB" in output
