from pathlib import Path

import pytest

from dclf import data
from tests.tune.commands.conftest import Runs
from tests.tune.commands.studies import end, start, study_folder
from tune.commands.main import main
from tune.commands.next_steps import after_shards, after_study, print_next, run_line, store_option, training_line

Streams = pytest.CaptureFixture[str]
RUN = "3f2a91c0" + "0" * 24


def test_the_line_stands_below_the_result_on_stderr(capsys: Streams) -> None:
    print_next({"quiet": False, "log": "auto", "output": "text"}, "dclf list", "", "dclf ui")
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "next: dclf list · dclf ui\n")
    print_next({}, "")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "options", [{"quiet": True}, {"log": "quiet"}, {"log": "jsonl"}, {"output": "json"}, {"output": "csv"}]
)
def test_there_is_none_where_the_result_alone_is_asked_for(options: dict[str, object], capsys: Streams) -> None:
    print_next(options, "dclf list")
    assert capsys.readouterr().err == ""


def test_a_run_is_named_by_the_first_digits_of_its_id_and_its_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert store_option("") == store_option("sqlite:///dclf-runs/mlflow.db") == ""
    where = store_option("http://me:geheim@host:5000")
    assert run_line("perturb", RUN, where) == "dclf perturb 3f2a91c0 --uri http://host:5000"
    assert run_line("evaluate", "my run", more="--split val") == "dclf evaluate 'my run' --split val"
    assert run_line("runs") == "dclf runs"


def test_shards_are_trained_on_with_their_preset_and_modalities(tmp_path: Path) -> None:
    out = str(tmp_path / "my shards")
    info, dialogues = data.generate("meld-small", 6, 1)
    manifest = data.write_shards(dialogues, out, info)
    assert after_shards(out, manifest) == [f"dclf data inspect '{out}'", f"dclf train meld --data.shards '{out}'"]
    assert training_line("s", "own", {"text": 3, "audio": 2}) == (
        "dclf train --data.shards s --data.modalities text,audio"
    )


def test_a_training_ends_with_the_lines_for_its_run(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: Streams
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main(["train", "iemocap", "--data.shards", "shards", "--log", "plain"]) == 0
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "next: dclf perturb 3f2a · dclf evaluate 3f2a --split val · dclf runs · dclf ui"
    assert runs.trained


def test_a_search_can_be_looked_at_in_the_dashboard(tmp_path: Path) -> None:
    steps = [*after_study(study_folder(tmp_path, "gammas"), "best.yaml")]
    place = f"gammas --storage {tmp_path}"
    assert steps[0] == "dclf train best.yaml"
    assert {f"dclf show {place}", f"dclf dashboard {place}"} <= {*steps}
    compared = study_folder(tmp_path, "parts", sampler="listed", test="all")
    assert not any("dashboard" in step for step in after_study(compared))


def test_the_list_of_studies_ends_with_the_latest(tmp_path: Path, capsys: Streams) -> None:
    folder = study_folder(tmp_path, "gammas")
    end(folder, start(folder).number, "complete", 0.5)
    assert main(["list", "--storage", str(tmp_path)]) == 0
    output = capsys.readouterr()
    verb = "resume" if "interrupted" in output.out else "show"
    assert output.err.startswith(f"next: dclf {verb} gammas --storage {tmp_path} · dclf ")
    assert main(["list", "--storage", str(tmp_path), "--output", "json"]) == 0
    assert capsys.readouterr().err == ""
