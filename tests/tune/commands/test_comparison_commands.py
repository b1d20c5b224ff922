"""The command lines of ``dclf ablate`` and ``dclf grid``: what they ask for, and what they refuse."""

from pathlib import Path

import pytest

from tune.commands import ablate, grid
from tune.commands.grid import varied_values
from tune.commands.job_command import read_job_command
from tune.commands.main import main
from tune.config.yaml_files import ConfigError

DATA = ("--data.shards", "shards/demo")
Streams = pytest.CaptureFixture[str]


def test_ablations_leave_out_every_part_by_default() -> None:
    request = ablate.read(["iemocap", *DATA, "--models", "mmgcn,ddin", "--seeds", "3", "--concurrency", "1"])
    settings = request.command_line.settings
    assert request.study == {"kind": "ablation"}
    assert settings.space["model.name"] == {"choices": ["mmgcn", "ddin"]}
    assert settings.space["loss.ablate"]["choices"][0] == "none"
    assert set(settings.space["loss.ablate"]["choices"]) == {"none", "base", "no_cacl", "no_ce", "no_mccl", "no_ica"}
    assert (settings.seeds, settings.sampler, settings.scheduler, settings.test, settings.concurrency) == (
        3,
        "grid",
        "none",
        "all",
        1,
    )
    assert settings.trials == 2 * 6


def test_some_parts_are_compared_with_the_whole() -> None:
    settings = ablate.read(["iemocap", *DATA, "--parts", "no_cacl, base"]).command_line.settings
    assert settings.space == {"loss.ablate": {"choices": ["none", "no_cacl", "base"]}}
    assert settings.seeds == 5


def test_keys_with_several_values_are_varied() -> None:
    words = ["--loss.window", "2,4,8", "--loss.temperature=0.07,0.1", "--train.epochs", "3"]
    request = grid.read(["iemocap", *DATA, *words])
    assert request.study == {"kind": "grid"}
    assert request.command_line.settings.space == {
        "loss.window": {"choices": [2, 4, 8]},
        "loss.temperature": {"choices": [0.07, 0.1]},
    }
    assert request.command_line.config.train.epochs == 3


def test_lists_in_brackets_are_varied_too() -> None:
    request = grid.read(["iemocap", *DATA, "--data.modalities", "[text],[text,audio]", "--loss.window=2,4"])
    assert request.command_line.settings.space == {
        "data.modalities": {"choices": [["text"], ["text", "audio"]]},
        "loss.window": {"choices": [2, 4]},
    }
    assert request.command_line.settings.trials == 4


def test_lists_in_brackets_are_one_value() -> None:
    words = ["x.yaml", "--data.modalities", "[text,audio]", "--loss.pairs", "bank,batch", "--name", "a,b"]
    assert varied_values(words) == (
        ["x.yaml", "--data.modalities", "[text,audio]", "--name", "a,b"],
        {"loss.pairs": ["bank", "batch"]},
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ablate", "iemocap", "--parts", "no_cal"], "--parts: must be among no_cacl, no_ce, no_mccl, no_ica, base"),
        (["ablate", "iemocap", *DATA, "--models", "mmgnc"], " --models: "),
        (["ablate", "iemocap", *DATA, "--seeds", "0"], " --seeds: must be at least 1, is 0"),
        (["ablate", "iemocap", "--seeds", "x"], "seeds"),
        (["ablate", "iemocap", "--trials", "4"], "--trials: is for searches"),
        (["ablate", "iemocap", "--sweep.scheduler", "asha"], "--sweep.scheduler: is for searches"),
        (["ablate", "iemocap", "--loss.windw", "4"], "loss.windw"),
        (["grid", "iemocap"], "grid: must vary a key, as in --loss.window 2,4,8,16"),
        (["grid", "iemocap", *DATA, "--loss.window", "2,x"], " --loss.window: "),
        (["grid", "iemocap", "--loss.windw", "2,4"], "loss.windw"),
        (["grid", "iemocap", *DATA, "--loss.window", "2,4", "--loss.window", "8"], "loss.window: must be given once"),
        (["grid", "iemocap", *DATA, "--loss.window", "2,4", "--loss.window=8,16"], "loss.window: must be given once"),
        (["grid", "nowhere.yaml", "--loss.window", "2,4"], "nowhere.yaml"),
        (["perturb", "iemocap", "--as", "config", *DATA, "--time", "1h"], "--time: is for searches"),
        (["perturb", "bold", "--as", "run", "--seeds", "0"], "--seeds: is for a config, 'bold' is a run"),
        (["submit", "ablate", "iemocap", *DATA], "submit: must have a command after --, as in dclf submit -- sweep"),
        (["submit", "--detach", "--"], "submit: must have a command after --"),
        (["train", "--resume", "bold", "--print-config"], "--print-config: must be left out with --resume"),
    ],
)
def test_mistakes_are_told_before_anything_starts(words: list[str], message: str, capsys: Streams) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["ablate", "FILE"],
        ["grid", "FILE", "--loss.window", "2,4"],
        ["perturb", "FILE"],
        ["plan", "ablate", "FILE"],
        ["plan", "grid", "FILE", "--loss.window", "2,4"],
    ],
)
def test_impossible_values_of_a_file_have_its_line(words: list[str], tmp_path: Path, capsys: Streams) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("extends: iemocap\nloss:\n  gamma_ca: -1\ntrain: {lr: 0}\nsweep:\n  keep: 0\n")
    assert main([str(file) if word == "FILE" else word for word in [*words, *DATA, "--train.epochs", "0"]]) == 2
    output = capsys.readouterr().err
    lines = [
        f"dclf: error: {file}:3: loss.gamma_ca: must be 0 or more, is -1.0",
        f"dclf: error: {file}:4: train.lr: must be above 0 and finite, is 0.0",
        f"dclf: error: {file}:6: sweep.keep: must be at least 1, is 0",
        "dclf: error: train.epochs: must be at least 1, is 0",
    ]
    assert [line for line in lines if line not in output.splitlines()] == []
    assert len(output.splitlines()) == len(lines)


@pytest.mark.parametrize(
    "words",
    [
        ["ablate", "iemocap", "--parts", "no_x"],
        ["grid", "iemocap", "--loss.window", "2,4"],
        ["perturb", "iemocap", "--as", "config", "--draws", "0"],
        ["leaderboard", "--seeds", "0"],
        ["reproduce", "iemocap"],
        ["study", "iemocap/table4"],
    ],
)
def test_mistakes_are_told_at_once(words: list[str], shards: Path, capsys: Streams) -> None:
    more = ["--data.shards", str(shards), "--loss.windw", "3", "--train.lr", "-1", "--sampler", "gp"]
    assert main([*words, *more]) == 2
    output = capsys.readouterr().err
    starts = ["--sampler: is for searches", "loss.windw: unknown key", "train.lr: must be above 0 and finite, is -1.0"]
    assert [start for start in starts if output.count(start) != 1] == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("base: iemocap\nseeds: 0\nvariants: {leave_one_out: [base]}\n", ":2: seeds: must be at least 1, is 0"),
        ("base: nowhere.yaml\nvariants: {leave_one_out: [base]}\n", ":1: base: must be a YAML file or a preset ("),
    ],
)
def test_a_study_file_that_cannot_be_planned_does_not_hide_the_command_line(
    content: str, problem: str, tmp_path: Path, capsys: Streams
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    assert main(["study", str(file), *DATA, "--seeds", "0", "--sampler", "gp"]) == 2
    output = capsys.readouterr().err
    starts = ["--seeds: must be at least 1, is 0", "--sampler: is for searches", f"{file}{problem}"]
    assert [start for start in starts if output.count(start) != 1] == []


def test_a_job_that_trains_first_refuses_options_of_searches() -> None:
    with pytest.raises(ConfigError, match=r"^--trials: is for searches.*\n--sampler: is for searches"):
        read_job_command(["perturb", "iemocap", *DATA, "--trials", "3", "--sampler", "gp"])


@pytest.mark.parametrize("command", ["ablate", "grid"])
def test_help_names_the_options_and_no_search(command: str, capsys: Streams) -> None:
    assert main([command, "--help"]) == 0
    output = capsys.readouterr().out
    assert "--seeds" in output
    assert "--concurrency" in output
    assert "--scheduler" not in output
