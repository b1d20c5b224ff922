import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tune.commands.main import main
from tune.commands.ui import HOST, claim_port, require_store

Streams = pytest.CaptureFixture[str]


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_in_use_is_refused(port: int, tmp_path: Path, capsys: Streams) -> None:
    (tmp_path / "mlflow.db").touch()
    assert main(["ui", "--uri", f"sqlite:///{tmp_path}/mlflow.db", "--port", str(port)]) == 1
    assert f"port {port} is in use" in capsys.readouterr().err


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 65535"):
        claim_port(port)


def test_a_free_port_is_found() -> None:
    with socket.socket() as server:
        # As servers do: connections of one that was there before may still be closing.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((HOST, claim_port(0)))


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, capsys: Streams) -> None:
    assert main(["ui", "--uri", f"sqlite:///{tmp_path}/mlflow.db"]) == 2
    assert "must be the MLflow store of earlier runs, is absent" in capsys.readouterr().err
    assert not (tmp_path / "mlflow.db").exists()


def test_a_database_server_is_not_looked_for_on_disk() -> None:
    require_store("postgresql://me@host/runs")


def test_a_server_has_its_own_ui(capsys: Streams) -> None:
    assert main(["ui", "--uri", "http://mlflow.example:5000"]) == 0
    assert "http://mlflow.example:5000" in capsys.readouterr().out


def test_sending_a_file_that_is_not_there(tmp_path: Path, capsys: Streams) -> None:
    assert main(["track", "send", str(tmp_path / "writes.jsonl")]) == 2
    assert "writes.jsonl" in capsys.readouterr().err


def test_sending_a_file_that_is_no_spool(tmp_path: Path, capsys: Streams) -> None:
    file = tmp_path / "writes.jsonl"
    file.write_text(json.dumps({"not": "a spool"}) + "\n", encoding="utf-8")
    assert main(["track", "send", str(file)]) == 2
    assert str(file) in capsys.readouterr().err
    assert file.exists()


@pytest.mark.parametrize(
    ("words", "starts"),
    [
        ("--address http://127.0.0.1:9 --uri sqlite:///x.db --port 8080", ["--uri: is for a store", "--port: is for"]),
        ("--cluster --uri sqlite:///x.db", ["--uri: is for a store that is shown here, --cluster names a server"]),
        ("--address foo --port 8080", ["--address: must be the URL of a server, as http", "--port: is for"]),
        ("--folder elsewhere", ["--folder: is of the local cluster; give --cluster with it"]),
        ("--uri http://127.0.0.1:9 --port 8080", ["--port: is for a store without a server"]),
    ],
)
def test_options_that_cannot_be_or_would_change_nothing_are_refused(
    words: str, starts: list[str], capsys: Streams
) -> None:
    assert main(["ui", *words.split()]) == 2
    output = capsys.readouterr().err
    assert [start for start in starts if f"dclf: error: {start}" not in output] == []
