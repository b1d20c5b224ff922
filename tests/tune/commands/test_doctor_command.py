"""``dclf doctor`` and ``dclf gc`` as people and scripts call them."""

import json
import shlex
import shutil
import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from dclf.uris import sqlite_uri
from tests.tune.runner.study_writer import SEED, Writer, check
from tune.commands.main import main
from tune.runner.doctor import Doctor
from tune.study.folder import StudyFolder
from tune.tracking.children import TRIAL_TAG
from tune.tracking.store import Store, connect

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return connect(f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}", "dclf")


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "studies"


@pytest.fixture
def dclf(storage: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--storage", str(storage)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_broken_study_is_shown_then_mended_then_healthy(storage: Path, store: Store, dclf: Run) -> None:
    Writer(storage, store).write(sends=12)
    (storage / "gammas" / "ray-tune").mkdir()
    code, out, err = dclf("doctor", "gammas")
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == "study gammas: 4 disagreements"
    assert "is left RUNNING, and nobody works on it -> it is marked KILLED" in lines[1]
    assert "trial 1: its run " in lines[2]
    assert lines[3] == "  trial 2: failed, and has no run in MLflow -> one is made from the ledger"
    assert lines[-1] == f"  mend it with: dclf doctor gammas --fix --storage {storage}"
    code, out, err = dclf("doctor", "gammas", "--fix")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "study gammas: 4 disagreements mended, all agrees"
    assert dclf("doctor") == (0, "study gammas: all agrees\n", "")
    check(StudyFolder.open(storage, "gammas"), store)


def test_trials_that_the_ledger_lost_are_told(storage: Path, store: Store, dclf: Run) -> None:
    folder = Writer(storage, store).write()
    folder.checkpoint(0, SEED).mkdir(parents=True, exist_ok=True)
    (storage / "gammas" / "ledger.jsonl").unlink()
    code, out, _ = dclf("doctor", "gammas")
    assert code == 1
    assert "the study: its ledger has no trial 0" in out
    assert "restore ledger.jsonl from a copy" in out


def test_a_study_that_cannot_be_read_does_not_agree(storage: Path, store: Store, dclf: Run) -> None:
    Writer(storage, store).write()
    (storage / "gammas" / "study.yaml").write_text("{", encoding="utf-8")
    code, out, _ = dclf("doctor")
    assert code == 1
    assert out.startswith("study gammas: cannot be read\n  not checked: ")


def test_json_has_the_same(storage: Path, store: Store, dclf: Run) -> None:
    Writer(storage, store).write(sends=12)
    code, out, _ = dclf("doctor", "gammas", "--output", "json")
    (study,) = json.loads(out)["studies"]
    assert (code, study["agrees"], len(study["findings"])) == (1, False, 3)
    assert study["findings"][-1] == {
        "subject": "trial 2",
        "problem": "failed, and has no run in MLflow",
        "remedy": "one is made from the ledger",
        "mendable": True,
    }


def test_while_a_driver_works_nothing_is_changed(storage: Path, store: Store, dclf: Run) -> None:
    folder = Writer(storage, store).write(sends=12)
    with folder.locked():
        code, out, _ = dclf("doctor", "gammas", "--fix")
        assert dclf("gc", "gammas")[0] == 1
    assert code == 1
    assert "works on it: nothing is changed, and what is listed may be on its way" in out
    assert "RUNNING, and nobody" not in out
    assert "mend it with" not in out
    assert len(Doctor(storage).look("gammas").findings) == 3


def test_a_lost_server_is_told_and_the_rest_is_checked(storage: Path, store: Store, dclf: Run) -> None:
    folder = Writer(storage, store).write()
    definition = (folder.path / "study.yaml").read_text()
    (folder.path / "study.yaml").write_text(definition.replace(store.uri, "http://127.0.0.1:9"))
    (folder.path / "ray-tune").mkdir()
    code, out, err = dclf("doctor", "gammas", "--fix")
    assert (code, err) == (1, "")
    assert out.splitlines()[0] == "study gammas: 1 disagreement mended, all that was checked agrees"
    assert "not checked: MLflow at http://127.0.0.1:9 cannot be used (Connection refused)" in out


def test_a_store_that_was_moved_is_not_made_anew(storage: Path, store: Store, dclf: Run, tmp_path: Path) -> None:
    folder = Writer(storage, store).write()
    definition = (folder.path / "study.yaml").read_text()
    (folder.path / "study.yaml").write_text(definition.replace("mlflow.db", "elsewhere.db"))
    code, out, _ = dclf("doctor", "gammas", "--fix")
    assert (code, "name that store with --uri" in out) == (1, True)
    assert not (tmp_path / "elsewhere.db").exists()


def test_a_store_at_another_address_is_named(storage: Path, store: Store, dclf: Run) -> None:
    folder = Writer(storage, store).write()
    dclf("doctor", "gammas", "--fix")
    definition = (folder.path / "study.yaml").read_text()
    (folder.path / "study.yaml").write_text(definition.replace(store.uri, "http://127.0.0.1:9"))
    assert dclf("doctor", "gammas")[0] == 1
    for words in (("gammas",), ()):
        assert dclf("doctor", *words, "--uri", store.uri) == (0, "study gammas: all agrees\n", "")


def test_a_named_store_is_not_asked_for_studies_that_are_recorded_elsewhere(
    storage: Path, store: Store, dclf: Run, empty_store: Path, tmp_path: Path
) -> None:
    Writer(storage, store).write()
    dclf("doctor", "--fix")
    other = f"sqlite:///{shutil.copy(empty_store, tmp_path / 'other.db')}"
    assert dclf("doctor", "--uri", other) == (0, "study gammas: all agrees\n", "")
    code, out, _ = dclf("doctor", "gammas", "--uri", other)
    assert (code, f"MLflow at {other} has no parent run" in out) == (1, True)


def test_a_copied_project_is_mended_and_leaves_the_original_alone(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    original, copy = tmp_path / "original", tmp_path / "a?b%41#c&d'e fü"
    original.mkdir()
    store = connect(f"sqlite:///{shutil.copy(empty_store, original / 'mlflow.db')}", "dclf")
    Writer(original / "studies", store).write(sends=12)
    shutil.copytree(original, copy)
    before = contents(original)
    words = ["doctor", "gammas", "--storage", str(copy / "studies")]
    uri = sqlite_uri(copy / "mlflow.db")
    assert main(words) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"MLflow store {uri}: was moved or copied from {original}, ")
    assert lines[1] == f"  mend it with: dclf doctor --fix --uri {shlex.quote(uri)}"
    assert main([*words, "--output", "json"]) == 1
    (stores,) = json.loads(capsys.readouterr().out)["stores"]
    assert (stores["name"], stores["agrees"]) == (uri, False)
    assert main([*words, "--fix"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"MLflow store mended: {uri}: ")
    assert lines[1] == "study gammas: 3 disagreements mended, all agrees"
    assert main(words) == 0
    check(StudyFolder.open(copy / "studies", "gammas"), connect(uri, "dclf"))
    assert contents(original) == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_a_study_that_cannot_be_read_keeps_no_other_from_being_checked(storage: Path, store: Store, dclf: Run) -> None:
    Writer(storage, store).write()
    broken = Writer(storage, store, name="broken").folder
    (broken.path / "ledger.jsonl").write_text('{"event": }\n')
    code, out, err = dclf("doctor", "--fix")
    assert (code, err) == (1, "")
    assert "study gammas: 2 disagreements mended, all agrees" in out
    assert "  not checked: " in out
    assert dclf("doctor", "broken")[0] != 0


def test_missing_checkpoints_are_told(storage: Path, store: Store, dclf: Run) -> None:
    folder = Writer(storage, store).write()
    dclf("doctor", "--fix")
    for number in (0, 3):
        (folder.checkpoint(number, SEED) / "state.pt").unlink()
    code, out, _ = dclf("doctor", "gammas")
    assert code == 1
    assert "trial 0: is among the best, and its checkpoint" in out
    assert "trial 3: the checkpoint of seed 4 is gone; it starts from epoch 1 again" in out


def test_gc_says_what_it_frees(storage: Path, store: Store, dclf: Run) -> None:
    folder = Writer(storage, store).write()
    assert dclf("gc", "gammas", "--dry-run")[1] == "would free 14 bytes: 2 checkpoints; the best 5 trials keep theirs\n"
    code, out, _ = dclf("gc", "gammas", "--keep", "1", "--output", "json")
    assert json.loads(out) == {"study": "gammas", "dry_run": False, "keep": 1, "checkpoints": 2, "bytes": 14}
    assert code == 0
    assert [(folder.checkpoint(n, SEED) / "state.pt").exists() for n in range(4)] == [True, False, False, True]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["doctor", "none"], 2, "no study 'none'"),
        (["gc", "none"], 2, "no study 'none'"),
        (["gc", "none", "--keep", "0"], 2, "--keep: must be at least 1, is 0"),
    ],
)
def test_mistakes_are_one_message(dclf: Run, words: list[str], code: int, message: str) -> None:
    status, out, err = dclf(*words)
    assert (status, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1


def test_no_studies_are_no_disagreement(dclf: Run, storage: Path) -> None:
    assert dclf("doctor") == (0, f"no studies in {storage}\n", "")


@pytest.mark.slow
def test_more_runs_than_a_page_of_mlflow_are_all_looked_at(storage: Path, store: Store, dclf: Run) -> None:
    last = _fill(storage, store, 1100)
    message = "dclf: study gammas: 1,000 runs read from MLflow\n"
    assert dclf("doctor", "gammas") == (0, "study gammas: all agrees\n", message)
    store.client.delete_run(last)
    code, out, _ = dclf("doctor", "gammas")
    assert code == 1
    assert "trial 1099: complete, and has no run in MLflow" in out


def _fill(storage: Path, store: Store, count: int) -> str:
    """Copy a finished trial, its lines in the ledger and its rows in MLflow's tables; the last one's run."""
    writer = Writer(storage, store)
    # Up to the end of the first trial.
    writer.write(13)
    folder = writer.folder
    trial = folder.ledger.trials[0]
    assert trial.state == "complete"
    Doctor(storage).mend("gammas")
    ids = {number: uuid.uuid4().hex for number in range(1, count)}
    for number, run_id in ids.items():
        folder.ledger.create(trial.params, optuna=number)
        folder.ledger.start(number, SEED)
        folder.ledger.run(number, SEED, run_id)
        folder.ledger.seed_done(number, SEED, trial.values, trial.runs[SEED].epochs)
        folder.ledger.end(number, "complete", trial.values)
    _copy_runs(store, trial.runs[SEED].run_id, ids)
    for number in range(1, folder.definition.sweep.keep):
        shutil.copytree(folder.checkpoint(0, SEED), folder.checkpoint(number, SEED))
    return ids[count - 1]


def _copy_runs(store: Store, original: str, ids: dict[int, str]) -> None:
    with sqlite3.connect(store.uri.removeprefix("sqlite:///")) as file:
        file.execute("CREATE TEMP TABLE n (number INTEGER, id TEXT)")
        file.executemany("INSERT INTO n VALUES (?, ?)", ids.items())
        for table in ("runs", "params", "tags", "latest_metrics", "metrics"):
            columns = [row[1] for row in file.execute(f"PRAGMA table_info({table})")]
            special = {"run_uuid": "n.id", "value": f"CASE WHEN t.key = '{TRIAL_TAG}' THEN n.number ELSE t.value END"}
            replaced = {"run_uuid"} if table != "tags" else {"run_uuid", "value"}
            expressions = [special[column] if column in replaced else f't."{column}"' for column in columns]
            names = ", ".join(f'"{column}"' for column in columns)
            file.execute(
                f"INSERT INTO {table} ({names}) SELECT {', '.join(expressions)} FROM {table} t, n WHERE t.run_uuid = ?",
                (original,),
            )
