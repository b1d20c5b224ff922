"""``dclf study`` and ``dclf reproduce``: what they say before anything is trained."""

import json
from pathlib import Path

import pytest

from dclf.data import generate, write_shards
from tune.commands.main import main


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("shards") / "small"
    info, dialogues = generate("iemocap-small", dialogues=20, seed=3)
    write_shards(dialogues, folder, info)
    return str(folder)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def errors(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert out == ""
    return [line.removeprefix("dclf: error: ") for line in err.splitlines()]


def test_every_mistake_of_a_study_is_told_at_once(shards: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--loss.ablate", "base", "--models", "mmgnc", "--seeds", "0", "--trials", "3"]
    assert main(["study", "iemocap/table4", "--data.shards", shards, *words]) == 2
    assert errors(capsys) == [
        "--seeds: must be at least 1, is 0",
        "--trials: is for searches; a comparison trains every variant to its end with --seeds seeds, leave it out",
        "loss.ablate: must be left to the study, whose variants differ in it; use another study file to change it",
        "--models: must be among mmgcn, ddin, has 'mmgnc'; did you mean mmgcn?",
    ]
    assert not Path("dclf-runs").exists()


def test_an_unknown_study_is_told(shards: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "iemocap/tabel4", "--data.shards", shards]) == 2
    (line,) = errors(capsys)
    assert line.startswith("study: must be a YAML file or one of iemocap/figure4, ")
    assert line.endswith("is 'iemocap/tabel4'; did you mean iemocap/table4?")


@pytest.mark.slow
def test_a_dry_run_says_what_would_be_trained(shards: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--shards", shards, "--seeds", "2", "--only", "table3,table4,figure3", "--dry-run"]
    assert main(["reproduce", "iemocap", *words]) == 0
    head, table3, table4, page = capsys.readouterr().out.splitlines()
    # Seven variants of two models, the same in both.
    assert head == "The paper's tables on IEMOCAP, measured: 28 trainings, 0 of them finished"
    assert table3.startswith("  Table 3   DCLF against its base model: 14 variants with 2 seeds, study iemocap-table3-")
    assert table4.startswith("  Table 4   What every part of the framework is worth: 14 variants with 2 seeds, study ")
    assert page.startswith("page: dclf-runs/reproductions/iemocap-")
    assert main(["reproduce", "iemocap", *words, "--output", "json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert main(["reproduce", "iemocap", *words, "--log", "jsonl"]) == 0
    assert json.loads(capsys.readouterr().out) == plan
    assert (plan["dataset"], plan["trainings"], plan["finished"]) == ("iemocap", 28, 0)
    assert {item: one["trainings"] for item, one in plan["studies"].items()} == {"table3": 28, "table4": 28}
    assert not Path("dclf-runs").exists()


@pytest.mark.parametrize(
    ("words", "starts"),
    [
        ([], ["data.shards: must name a folder or URI of Arrow shards, is empty; make some with `dclf data generate`"]),
        (
            ["--shards", "nowhere"],
            ["nowhere: no manifest.json here, so this is not a finished shard set; check the path"],
        ),
        (
            ["--trials", "3"],
            [
                "--trials: is for searches; a comparison trains every variant to its end with --seeds",
                "data.shards: must",
            ],
        ),
        (
            ["--only", "tabel4", "--seeds", "0", "--train.epochz", "3"],
            [
                "--only: must be among table1, table3, table4",
                "--seeds: must be at least 1",
                "train.epochz: unknown key",
                "data.shards: must name a folder or URI of Arrow shards",
            ],
        ),
    ],
)
def test_mistakes_of_a_reproduction_are_told(
    words: list[str], starts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", "iemocap", *words]) == 2
    lines = errors(capsys)
    assert len(lines) == len(starts)
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start)


def test_what_the_data_set_must_be(shards: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "melt", "--shards", shards]) == 2
    assert errors(capsys) == ["dataset: must be iemocap or meld, is 'melt'; did you mean meld?"]


@pytest.mark.parametrize(
    ("words", "variants", "space"),
    [
        (["study", "iemocap/table4", "--models", "ddin", "--seeds", "2"], 7, ["loss.ablate", "loss.gamma_mc"]),
        (["ablate", "iemocap", "--parts", "base", "--seeds", "3"], 2, ["loss.ablate"]),
        (["grid", "iemocap", "--loss.window", "2,4,8"], 3, ["loss.window"]),
    ],
)
def test_comparisons_can_be_planned(
    words: list[str], variants: int, space: list[str], shards: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *words, "--data.shards", shards, "--no-probe", "--output", "json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["settings"]["trials"] == planned["combinations"] == variants
    assert list(planned["space"]) == space
    assert planned["settings"]["test"] == "all"
    assert not Path("dclf-runs").exists()


def test_mistakes_of_a_planned_study_are_told(shards: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "study", "iemocap/table4", "--data.shards", shards, "--loss.windw", "3"]) == 2
    assert errors(capsys) == ["loss.windw: unknown key; did you mean loss.window?"]


def test_what_never_began_is_not_cut_short(shards: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--shards", shards, "--only", "table4", "--sweep.workers_per_trial", "4000"]
    assert main(["reproduce", "iemocap", *words]) == 2
    output = capsys.readouterr().err
    assert "dclf: error: " in output
    assert "cut short" not in output
