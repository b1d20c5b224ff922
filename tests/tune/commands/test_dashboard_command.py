"""``dclf dashboard``: the real server on a loopback port, on the journal of a driver that works."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.stores import Store, use
from tests.tune.commands.project import DCLF
from tests.tune.runner.sessions import Driver, definition, new_study
from tests.tune.tracking.server import wait_until
from tune.commands.main import main
from tune.commands.ui import HOST
from tune.runner.optuna_study import JOURNAL
from tune.runner.session import Task
from tune.study.folder import StudyFolder

LIMIT_S = 60.0


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    """Its first trial has reported two epochs."""
    driver = Driver(new_study(tmp_path, trials=2))
    trial = driver.session.next()
    assert trial is not None
    driver.session.record_step(driver.step_of(trial, 3, 2))
    return driver


@contextmanager
def served(storage: Path | str) -> Iterator[tuple[str, str]]:
    """The line that the command prints, and the address in it, until Ctrl-C, which must end it well."""
    words = [DCLF, "dashboard", "gammas", "--storage", str(storage)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        try:
            yield line, line.partition("/dashboard/")[0].removeprefix("optuna-dashboard: ")
        finally:
            server.send_signal(signal.SIGINT)
            _, err = server.communicate(timeout=LIMIT_S)
    assert (server.returncode, err) == (0, "")


def finish(driver: Driver) -> None:
    """Both trials to their ends."""
    driver.run(Task(number=0, seeds=(3,)))
    driver.work()


def trials(address: str) -> list[tuple[int, str]]:
    with urlopen(f"{address}/api/studies/0?after=0", timeout=LIMIT_S) as answer:
        return [(trial["number"], trial["state"]) for trial in json.load(answer)["trials"]]


@pytest.mark.slow
def test_it_follows_a_driver_and_changes_nothing(driver: Driver, tmp_path: Path) -> None:
    with served(tmp_path) as (line, address):
        assert line == f"optuna-dashboard: {address}/dashboard/studies/0 (Ctrl-C ends it)\n"
        assert address.startswith(f"http://{HOST}:")
        with urlopen(f"{address}/dashboard/studies/0", timeout=LIMIT_S) as page:
            assert b"<title>Optuna Dashboard</title>" in page.read()
        assert trials(address) == [(0, "Running")]
        finish(driver)
        # The server looks at the journal every two seconds.
        wait_until(lambda: trials(address) == [(0, "Complete"), (1, "Complete")], LIMIT_S)
        before = (tmp_path / "gammas" / JOURNAL).read_bytes()
        with pytest.raises(HTTPError, match="403"):
            urlopen(Request(f"{address}/api/studies/0", method="DELETE"), timeout=LIMIT_S)
        assert (tmp_path / "gammas" / JOURNAL).read_bytes() == before
        # A site whose name was pointed at this machine.
        with pytest.raises(HTTPError, match="403"):
            urlopen(Request(f"{address}/api/studies/0", headers={"Host": "example.org"}), timeout=LIMIT_S)
        with urlopen(Request(f"{address}/api/studies", headers={"Host": "localhost:8080"}), timeout=LIMIT_S) as answer:
            assert json.load(answer)["study_summaries"]
    with pytest.raises(OSError, match="refused"):
        urlopen(address, timeout=2)


@pytest.mark.slow
def test_without_a_journal_it_shows_the_ledger_as_of_now(driver: Driver, tmp_path: Path) -> None:
    finish(driver)
    (tmp_path / "gammas" / JOURNAL).unlink()
    with served(tmp_path) as (line, address):
        assert line.endswith("/dashboard/studies/0, as of now (Ctrl-C ends it)\n")
        assert trials(address) == [(0, "Complete"), (1, "Complete")]


@pytest.mark.slow
def test_a_study_at_a_uri_is_shown_as_of_now(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(store, monkeypatch, tmp_path / "here")
    place = f"s3://{store.bucket()}/studies"
    folder = StudyFolder.create(place, definition(trials=2))
    with folder.locked():
        Driver(folder).work()
    use(store, monkeypatch, tmp_path / "there")
    with served(place) as (line, address):
        assert line.endswith("/dashboard/studies/0, as of now (Ctrl-C ends it)\n")
        assert trials(address) == [(0, "Complete"), (1, "Complete")]


def test_a_port_in_use_and_an_unknown_study_are_refused(
    driver: Driver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        assert main(["dashboard", "gammas", "--storage", str(tmp_path), "--port", port]) == 1
    assert f"port {port} is in use" in capsys.readouterr().err
    assert main(["dashboard", "alphas", "--storage", str(tmp_path)]) == 2
    assert "no study 'alphas'" in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['optuna_dashboard'] = None\n"
        "from tune.commands.main import main; sys.exit(main(['dashboard', 'gammas']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("needs the package optuna-dashboard: pip install 'dclf[dashboard]'\n")
