import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cluster.jobs.endpoint import Endpoint
from cluster.jobs.node_check import Needs
from dclf.config import Config, DataConfig, TrainConfig
from tests.tune.commands.studies import study_folder
from tune.commands import job_entry
from tune.commands.job_command import ELSEWHERE, JOBS, read_job_command
from tune.commands.job_words import JobCommand
from tune.commands.main import COMMANDS
from tune.commands.submit import tracking_environment
from tune.config.yaml_files import ConfigError
from tune.tracking import find
from tune.tracking.find import RunRecord

STUDY = """
base: base.yaml
models: {mmgcn: {}, ddin: ddin.yaml}
variants: {leave_one_out: [base]}
seeds: 1
"""
SWEEP = ["sweep", "iemocap", "--data.shards", "shards", "--trials", "3"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("MLFLOW_TRACKING", "RAY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("storage", ["--storage", "--sweep.storage", None])
def test_places_of_a_study_become_absolute(here: Path, storage: str | None) -> None:
    words = [*SWEEP, storage, "studies"] if storage else SWEEP
    studies = str(here / ("studies" if storage else "dclf-runs/studies"))
    command = read_job_command(words, study="gammas")
    assert command.words == (
        *("sweep", "iemocap", "--trials", "3", "--data.shards", str(here / "shards")),
        *("--sweep.storage", studies, "--name", "gammas"),
    )
    assert command.study == "gammas"
    assert command.needs.shards == (str(here / "shards"),)
    assert command.needs.storages == {"sweep.storage": studies}


def test_both_spellings_of_an_option_are_one_in_a_job() -> None:
    ours = [*SWEEP, "--name", "own", "--seeds-per-trial", "2", "--train.batch_size=4", "--track.tags.a-b_c", "x"]
    theirs = [*SWEEP, "--name", "own", "--seeds_per_trial", "2", "--train.batch-size=4", "--track.tags.a-b_c", "x"]
    assert read_job_command(theirs) == read_job_command(ours)
    assert {"--seeds-per-trial", "--train.batch_size=4", "--track.tags.a-b_c"} <= {*read_job_command(theirs).words}
    with pytest.raises(ConfigError, match="--print-config: has no meaning in a job"):
        read_job_command([*SWEEP, "--print_config"])


@pytest.mark.parametrize(
    "words",
    [
        [*SWEEP, "--name", "own"],
        ["ablate", "iemocap", "--data.shards=shards", "--name=own", "--parts", "base"],
        ["grid", "iemocap", "--data.shards", "shards", "--loss.window", "2,4", "--name", "own"],
        ["study", "iemocap/table4", "--data.shards", "shards", "--name", "own"],
        ["train", "iemocap", "--data.shards", "shards", "--track.uri", "sqlite:///runs.db"],
        ["train", "--resume", "3f2a91c0"],
        ["reproduce", "iemocap", "--shards", "shards", "--only", "table4", "--storage", "studies", "--out=page"],
        ["perturb", "iemocap", "--data.shards", "shards", "--models", "ddin", "--name", "own", "--storage=studies"],
        ["perturb", "3f2a91c0", "--shards", "shards", "--uri", "sqlite:///runs.db"],
        ["evaluate", "3f2a91c0", "--shards=shards", "--split", "val"],
        ["report", "own", "--storage", "studies", "--out", "paper"],
        ["resume", "own", "--storage", "studies", "--trials", "100"],
    ],
    ids=" ".join,
)
def test_a_command_reads_the_same_again_on_the_cluster(
    words: list[str], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_job_command(words, study="made-up")
    monkeypatch.chdir(tmp_path_factory.mktemp("job"))
    again = read_job_command(first.words)
    assert again == first
    assert first.study == ("own" if "own" in " ".join(words) else "")
    assert not {"shards", "studies", "page", "paper", "sqlite:///runs.db"} & {*first.words}


def test_what_a_job_needs_where(here: Path) -> None:
    shards, runs = str(here / "shards"), str(here / "dclf-runs")
    reproduction = read_job_command(["reproduce", "meld", "--shards", "shards"])
    assert (reproduction.needs.shards, reproduction.needs.storages) == ((shards,), {"sweep.storage": f"{runs}/studies"})
    scoring = read_job_command(["perturb", "3f2a91c0"])
    assert (scoring.run, scoring.needs.everywhere) == ("3f2a91c0", False)
    assert scoring.needs.storages == {"out": f"{runs}/perturbations"}
    assert f"{runs}/perturbations" in scoring.words
    assert read_job_command(["evaluate", "bold"]).run == "bold"
    report = read_job_command(["report", "gammas"])
    assert (report.tracks, report.needs.everywhere) == (False, False)


def test_what_goes_on_with_a_job_that_was_cut_short(here: Path) -> None:
    storage = ("--storage", str(here / "dclf-runs/studies"))
    assert read_job_command([*SWEEP, "--name", "gammas"]).again == ("resume", "gammas", *storage)
    for words in (["reproduce", "meld", "--shards", "shards"], ["perturb", "3f2a91c0"]):
        command = read_job_command(words)
        assert command.again == command.words


def test_a_study_of_the_storage_is_perturbed_on_every_node(here: Path) -> None:
    study_folder(here / "dclf-runs" / "studies", "gammas")
    command = read_job_command(["perturb", "gammas"])
    assert (command.study, command.run, command.needs.everywhere) == ("gammas", "", True)
    assert read_job_command(["perturb", "gammas", "--as", "run"]).run == "gammas"


def test_a_study_file_brings_the_configurations_beside_it(here: Path) -> None:
    (here / "own").mkdir()
    (here / "own" / "base.yaml").write_text("model: {name: mmgcn}\n", encoding="utf-8")
    (here / "own" / "ddin.yaml").write_text("model: {name: ddin}\n", encoding="utf-8")
    (here / "own" / "study.yaml").write_text(STUDY, encoding="utf-8")
    command = read_job_command(["study", "own/study.yaml", "--data.shards", "shards"])
    assert [file.name for file in command.files] == ["study.yaml", "base.yaml", "ddin.yaml"]


def test_a_database_of_optunas_becomes_absolute(here: Path) -> None:
    command = read_job_command([*SWEEP, "--sweep.optuna", "sqlite:///optuna.db"])
    assert f"sqlite:///{here}/optuna.db" in command.words


def test_a_password_in_a_configuration_file_is_kept_off_the_cluster(here: Path) -> None:
    (here / "my.yaml").write_text("data: {shards: 's3://me:hush@bucket/shards'}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_job_command(["sweep", "my.yaml", "--trials", "1"])
    assert "hush" not in str(error.value)


def test_every_command_is_a_job_or_says_why_not() -> None:
    assert JOBS.keys() | ELSEWHERE.keys() == COMMANDS.keys()
    assert not JOBS.keys() & ELSEWHERE.keys()


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
        ([], "one of train, sweep, ablate, grid, study, leaderboard, reproduce, perturb, evaluate, resume, report, is"),
        (["ui"], "is 'ui'; ui needs a screen: dclf ui --address URL"),
        ([*SWEEP, "--address", "auto"], "--address: has no meaning in a job"),
        ([*SWEEP, "--track.uri", "http://me:hush@host"], "may hold no user and no password"),
        ([*SWEEP, "--loss.gama_ca", "1"], "did you mean loss.gamma_ca"),
        ([*SWEEP, "--name", "../up"], "--name"),
        (["train", "iemocap"], "data.shards: must name"),
        (["train", "iemocap", "--resume", "bold"], "CONFIG iemocap: must be left out with --resume"),
        (["resume", "gammas", "--trials", "-1"], "--trials: must be 0 or more, is -1"),
        (["perturb", "bold", "--kinds", "other"], "kinds"),
    ],
)
def test_mistakes_are_told_before_anything_is_sent(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_job_command(words)
    assert message in str(error.value)
    assert "hush" not in str(error.value)


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
    with pytest.raises(ConfigError, match="must not hold a user or password") as error:
        tracking_environment(remote, plain)
    assert "hush" not in str(error.value)


def recorded(shards: str, storage: str) -> RunRecord:
    """A run as MLflow knows it."""
    config = Config(data=DataConfig(shards=shards), train=TrainConfig(storage=storage)).to_dict()
    return RunRecord(
        run_id="3f2a91c0",
        name="bold",
        status="KILLED",
        checkpoint=f"{storage}/3f2a91c0",
        config=config,
        artifact_uri="",
        experiment_id="0",
        started=datetime(2025, 1, 1, tzinfo=UTC),
        metrics={},
    )


def test_a_run_brings_its_own_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "find_run", lambda _uri, _ref: recorded("/shared/shards", "s3://bucket/runs"))
    resumed = job_entry.needs_of_run(read_job_command(["train", "--resume", "bold"]))
    assert resumed == Needs(("/shared/shards",), {"train.storage": "s3://bucket/runs"})
    scored = job_entry.needs_of_run(read_job_command(["evaluate", "bold"]))
    assert scored == Needs(("/shared/shards",), everywhere=False)
    others = job_entry.needs_of_run(read_job_command(["evaluate", "bold", "--shards", "/shared/others"]))
    assert others.shards == ("/shared/others",)


@pytest.mark.parametrize("words", [["train", "--resume", "bold"], ["evaluate", "bold"], ["perturb", "bold"]])
def test_a_run_with_relative_places_is_refused(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "find_run", lambda _uri, _ref: recorded("shards", "dclf-runs/checkpoints"))
    with pytest.raises(
        ValueError, match=r"run bold \(3f2a91c0\): its places must be absolute for a job, are data\.shards"
    ):
        job_entry.needs_of_run(read_job_command(words))


def test_a_job_shows_the_traceback_where_its_command_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--debug"]):
        assert job_entry.run(["--dclf", "0.0", "--", "train", "meld", *more]) == 1
        output = capsys.readouterr().err
        assert "the client must have the version of the cluster" in output
        assert ("Traceback" in output) == bool(more)
