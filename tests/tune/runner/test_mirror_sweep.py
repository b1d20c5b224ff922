"""A real sweep whose study, shards and checkpoints lie in a store alone."""

import re
import shutil
from pathlib import Path

import pytest

from dclf.data.storage import Folder
from tests.stores import SECRET, Store, use
from tests.tune.runner.outcome import check_study
from tests.tune.runner.processes import Driver, Processes
from tests.tune.runner.victims import SMALL
from tests.tune.tracking.server import wait_until
from tune.study.folder import StudyFolder
from tune.study.ledger import Ledger
from tune.study.mirror import working_copies
from tune.study.places import StudyError

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(600)]
TRIALS, EPOCHS = 2, 3
SETTINGS = {**SMALL, "train.epochs": str(EPOCHS), "sweep.concurrency": "1"}


def upload(shards: Path, uri: str) -> None:
    for file in shards.iterdir():
        Folder.of(uri).write_bytes(file.name, file.read_bytes())


def complete(ledger: Path) -> list[int]:
    return [trial.number for trial in Ledger(ledger).trials.values() if trial.state == "complete"]


def test_a_lost_driver_s_study_is_gone_on_with_from_the_store_alone(
    store: Store, shards: Path, sqlite_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(store, monkeypatch, tmp_path / "cache")
    bucket = store.bucket()
    place, data = f"s3://{bucket}/studies", f"s3://{bucket}/shards"
    upload(shards, data)
    processes = Processes()
    ledger = working_copies(place) / "far" / "ledger.jsonl"
    settings = {**SETTINGS, "data.shards": data, "track.uri": sqlite_uri}
    words = [word for key in settings for word in (f"--{key}", settings[key])]
    common = ["--storage", place, "--log", "plain"]

    def resume() -> Driver:
        return processes.dclf(tmp_path, "resume", "far", *common)

    try:
        driver = processes.dclf(tmp_path, "sweep", "iemocap", "--name", "far", "--trials", str(TRIALS), *words, *common)
        wait_until(lambda: bool(complete(ledger)) or not driver.running, 240)
        assert driver.running, driver.output
        other = StudyFolder.open(place, "far")
        with pytest.raises(StudyError, match=r"'far' is being worked on by process \d+ on"), other.locked():
            pass
        store.gate.close()
        driver.wait_for("does not answer")
        store.gate.open()
        driver.wait_for("answers again")
        done = complete(ledger)
        driver.kill()
        processes.wait_until_gone(60)

        shutil.rmtree(tmp_path / "cache")
        resumed = resume()
        assert resumed.end(300) == 0, resumed.output
        folder = StudyFolder.open(place, "far")
        check_study(folder, sqlite_uri, trials=TRIALS, epochs=EPOCHS)
        started = re.findall(r'"event": "started".*"number": (\d+)', ledger.read_text())
        assert [number for number in done if started.count(str(number)) != 1] == []
        assert SECRET not in driver.output + resumed.output + ledger.read_text()
        assert folder.holder_elsewhere() == ""
    finally:
        store.gate.open()
        processes.end()
