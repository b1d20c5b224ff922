"""The command line of ``dclf leaderboard``: what it asks for, what it refuses, and the job it makes."""

from pathlib import Path

import pytest

from tests.tune.analysis.comparison.studies import renamed_shards
from tune.commands import leaderboard
from tune.commands.job_command import read_job_command
from tune.commands.main import main

Streams = pytest.CaptureFixture[str]


def test_options_are_the_plans(shards: Path) -> None:
    words = ["--shards", str(shards), "--models", "mmgcn, aghmn", "--seeds", "2", "--draws", "3", "--train.epochs", "4"]
    plan = leaderboard.read(words).plan
    assert [variant["model"] for variant in plan.planned.variants] == ["mmgcn", "mmgcn", "aghmn", "aghmn"]
    assert plan.planned.settings.seeds == 2
    assert plan.planned.plan["perturbation"]["draws"] == 3
    assert plan.planned.config.train.epochs == 4
    assert leaderboard.read([*words, "--name", "mine"]).plan.name == "mine"


@pytest.mark.slow
def test_mistakes_are_told_before_anything_starts(shards: Path, tmp_path: Path, capsys: Streams) -> None:
    other = renamed_shards(shards, tmp_path / "other", "emorynlp")
    for words, message in (
        ([], "--shards: must name the folder of shards, is missing"),
        (["--shards", "nowhere"], "nowhere: no manifest.json here"),
        (["--shards", str(shards), "--models", "mmgnc"], "did you mean mmgcn?"),
        (["--shards", str(other)], "--preset-family: must be iemocap or meld for data called 'emorynlp'"),
        (["--shards", str(shards), "--trials", "4"], "--trials: is for searches"),
        (["--shards", str(shards), "--model", "mmgcn"], "--model: unknown option"),
        (["--shards", str(shards), "--loss.windw", "4"], "loss.windw: unknown key"),
    ):
        assert main(["leaderboard", *words]) == 2, words
        assert message in capsys.readouterr().err


def test_a_job_has_absolute_places_and_the_studys_name(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shards.parent)
    words = ["leaderboard", "--shards", shards.name, "--models", "mmgcn", "--storage", "studies"]
    job = read_job_command(words)
    studies = str(shards.parent / "studies")
    assert job.study.startswith("iemocap-leaderboard-")
    assert job.words == (
        *("leaderboard", "--models", "mmgcn", "--data.shards", str(shards)),
        *("--sweep.storage", studies, "--name", job.study),
    )
    assert leaderboard.read(job.words[1:]).plan.name == job.study, "it finds the study of a call without a name"
    assert job.again == ("resume", job.study, "--storage", studies)
    assert job.needs.shards == (str(shards),)
