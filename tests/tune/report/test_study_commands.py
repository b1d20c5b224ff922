"""``dclf list``, ``dclf show`` and ``dclf report``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tune.progress.reports import epoch_report
from tests.tune.study.samples import add_trial, fill, new_folder
from tune.analysis.table import aligned
from tune.commands.main import main
from tune.study.history import write_history


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """Three studies: one well on its way, one of two objectives, one that cannot be read."""
    fill(new_folder(tmp_path, "gammas"), 40)
    fill(new_folder(tmp_path, "pair", objectives={"wf1": "maximize", "f1/sad": "maximize"}, trials=12), 12)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.yaml").write_text("name: broken\n")
    return tmp_path


def run(arguments: list[str], storage: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main([*arguments, "--storage", str(storage)]) == 0
    return capsys.readouterr().out


def test_list_shows_every_study(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(["list"], storage, capsys).splitlines()
    row = next(line.split() for line in lines if line.startswith("gammas"))
    assert row[:9] == ["gammas", "sweep", "interrupted", "24", "9", "5", "50", "wf1", "68.67"]
    assert any(line.startswith("broken: cannot be read: ") for line in lines)


def test_list_as_json(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    studies = {
        study["name"]: study for study in json.loads(run(["list", "--output", "json"], storage, capsys))["studies"]
    }
    assert set(studies) == {"gammas", "pair", "broken"}
    assert studies["gammas"]["trials"] == {"waiting": 1, "running": 1, "complete": 24, "pruned": 9, "failed": 5}
    assert studies["gammas"]["best_trial"] == 32
    assert "error" in studies["broken"]


def test_list_says_who_works_on_a_study(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "import sys; from tune.study.folder import StudyFolder\n"
        "with StudyFolder.open(sys.argv[1], 'pair').locked(): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(storage)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "held\n"
        assert "running" in (line := run(["list"], storage, capsys).split("pair")[1].splitlines()[0])
        assert f"process {driver.pid}" in line
        driver.communicate()


def test_list_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list"], tmp_path / "nowhere", capsys).startswith("no studies in ")


def test_show_tells_what_matters(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = run(["show", "gammas"], storage, capsys)
    for words in (
        "sweep gammas: Interrupted; 38 of 50 trials ended",
        "Best is trial 32: validation WF1 68.67 %.",
        "loss.temperature  0.01 to 1, logarithmic; base configuration: 0.07",
        "failed  3      L_CA became NaN in epoch 3",
        f"dclf resume gammas --storage {storage}",
    ):
        assert words in output
    assert len(output.split("Best trials")[1].split("\n\n")[0].splitlines()) == 12


def test_show_tells_how_far_trainings_are_that_have_not_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = new_folder(tmp_path, "long", trials=2)
    number = add_trial(folder, {"loss.window": 3}, [[0.6]], state="running", epochs=9).number
    folder.ledger.run(number, 1, "second")
    write_history(folder.checkpoint(number, 1), [epoch_report(1, 0.5, (1, 0.5)), epoch_report(2, 0.4, (1, 0.5))])
    output = run(["show", "long"], tmp_path, capsys)
    row = output.split("Trainings cut short")[1].splitlines()[2]
    assert row.split() == ["0", "1", "2", "of", "4", "40.00", "50.00", "2.0", "s"]
    assert output.split("epochs  ")[1].split()[0] == "11"
    details = json.loads(run(["show", "long", "--output", "json"], tmp_path, capsys))
    assert details["open"] == [{"trial": 0, "seed": 1, "epoch": 2, "epochs": 4, "wf1": 0.4, "best_wf1": 0.5}]


def test_show_as_json(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    details = json.loads(run(["show", "pair", "--output", "json"], storage, capsys))
    assert details["best"]["number"] == details["top"][0]["number"] == 9
    assert details["base"]["number"] == 0
    assert details["pareto"] == [9]
    assert len(details["top"]) == 6
    assert details["failures"] == {
        "L_CA became NaN in epoch 3": [5],
        "out of memory: 2.1 GiB asked for, 1.4 GiB free": [7],
    }


def test_numbers_that_are_none_are_null(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_trial(new_folder(tmp_path), {"loss.window": 10}, [[float("nan")]])
    details = json.loads(run(["show", "gammas", "--output", "json"], tmp_path, capsys))
    assert details["base"]["values"] == [None]
    assert details["base"]["seeds"] == {"0": [None]}


@pytest.mark.slow
def test_report_writes_the_files(storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    written = json.loads(run(["report", "gammas", "--out", str(out), "--output", "json"], storage, capsys))
    assert Path(written["html"]) == out / "report.html"
    assert set(written["figures"]) == {"history", "curves", "importance", "slice", "pairs", "parallel"}
    assert all(Path(path).stat().st_size for path in (*written["figures"].values(), *written["tables"].values()))
    assert "Best is trial 32" in (out / "report.md").read_text()


@pytest.mark.parametrize("command", ["show", "report"])
def test_an_unknown_study_lists_those_that_are_there(
    command: str, storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "gamma", "--storage", str(storage)]) != 0
    message = capsys.readouterr().err
    assert message.startswith(f"dclf: error: no study 'gamma' in {storage}; it has: ")
    assert "gammas" in message


@pytest.mark.parametrize("command", ["list", "show", "report"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"\n  dclf {command}" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("command", ["list", "show"])
def test_the_ledger_is_enough(command: str, storage: Path) -> None:
    """These start fast: nothing heavy is imported."""
    name = ["gammas"] if command == "show" else []
    code = (
        "import sys; from tune.commands.main import main\n"
        "code = main(sys.argv[1:])\n"
        "print([m for m in ('torch', 'ray', 'mlflow', 'optuna', 'pandas', 'matplotlib') if m in sys.modules], code)"
    )
    command_line = [sys.executable, "-c", code, command, *name, "--storage", str(storage)]
    done = subprocess.run(command_line, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_columns_are_in_line() -> None:
    assert aligned([("a", "1"), ("bcd", "22")], right=(1,)) == ["a     1", "bcd  22"]
