import os
from pathlib import Path

import pytest

from cluster.jobs.endpoint import Endpoint
from tune.commands.job_command import JobCommand, read_job_command
from tune.commands.submit import tracking_environment
from tune.config_files import ConfigError

SWEEP = ["sweep", "iemocap", "--data.shards", "shards", "--trials", "3"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("MLFLOW_TRACKING", "RAY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("storage", ["--storage", "--sweep.storage", None])
def test_places_of_a_study_become_absolute(here: Path, storage: str | None) -> None:
    given = [*SWEEP, storage, "studies"] if storage else SWEEP
    studies = str(here / ("studies" if storage else "dclf-runs/studies"))
    command = read_job_command(given, study="gammas")
    assert command.words == (
        *("sweep", "iemocap", "--trials", "3", "--data.shards", str(here / "shards")),
        *("--sweep.storage", studies, "--name", "gammas"),
    )
    assert command.study == "gammas"
    assert command.needs.shards == (str(here / "shards"),)
    assert command.needs.storages == {"sweep.storage": studies}


@pytest.mark.parametrize(
    "words",
    [
        [*SWEEP, "--name", "own"],
        ["ablate", "iemocap", "--data.shards=shards", "--name=own", "--parts", "base"],
        ["grid", "iemocap", "--data.shards", "shards", "--loss.window", "2,4", "--name", "own"],
        ["study", "iemocap/table4", "--data.shards", "shards", "--name", "own"],
        ["train", "iemocap", "--data.shards", "shards", "--track.uri", "sqlite:///runs.db"],
    ],
    ids=lambda words: words[0],
)
def test_a_command_reads_the_same_again_on_the_cluster(
    words: list[str], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_job_command(words, study="made-up")
    monkeypatch.chdir(tmp_path_factory.mktemp("job"))
    again = read_job_command(first.words)
    assert again == first
    assert first.study == ("" if words[0] == "train" else "own")


def test_uris_stay_as_they_are() -> None:
    words = ["train", "iemocap", "--data.shards", "s3://bucket/shards", "--train.storage", "gs://bucket/runs"]
    needs = read_job_command(words).needs
    assert (needs.shards, needs.storages) == (("s3://bucket/shards",), {"train.storage": "gs://bucket/runs"})


def test_a_relative_tracking_file_becomes_absolute(here: Path) -> None:
    command = read_job_command(["train", "iemocap", "--data.shards", "s", "--track.uri", "sqlite:///runs.db"])
    assert f"sqlite:///{here}/runs.db" in command.words


def test_the_configuration_file_is_named(here: Path) -> None:
    (here / "my.yaml").write_text("data: {shards: shards}\n", encoding="utf-8")
    assert read_job_command(["sweep", "my.yaml", "--trials", "1"]).files == (Path("my.yaml"),)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "one of sweep, study, ablate, grid, train, resume"),
        (["ui"], "is 'ui'"),
        ([*SWEEP, "--address", "auto"], "--address: has no meaning in a job"),
        ([*SWEEP, "--track.uri", "http://me:hush@host"], "may hold no user and no password"),
        ([*SWEEP, "--loss.gama_ca", "1"], "did you mean loss.gamma_ca"),
        ([*SWEEP, "--name", "../up"], "--name"),
        (["train", "iemocap"], "data.shards: must name"),
    ],
)
def test_mistakes_are_told_before_anything_is_sent(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_job_command(words)
    assert message in str(caught.value)
    assert "hush" not in str(caught.value)


def test_the_trackers_address_goes_along_and_its_password_stays(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    remote, plain = Endpoint("http://a:1", "token"), JobCommand((), "", read_job_command(SWEEP).needs)
    assert tracking_environment(remote, plain) == {}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://runs:5000")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hush")
    assert tracking_environment(remote, plain) == {"MLFLOW_TRACKING_URI": "http://runs:5000"}
    assert "MLflow's password stays here" in capsys.readouterr().err
    assert tracking_environment(Endpoint("http://a:1", "token", local=True), plain) == {}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hush@runs:5000")
    with pytest.raises(ConfigError, match="must not hold a user or password") as caught:
        tracking_environment(remote, plain)
    assert "hush" not in str(caught.value)
