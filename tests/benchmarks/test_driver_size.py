"""What ``benchmarks/driver_size.py`` counts."""

import json
import threading
from pathlib import Path

import dclf.uris
from benchmarks.driver_size import functions_called
from dclf.uris import file_uri, sqlite_uri


def test_our_functions_are_counted_once_and_in_every_thread() -> None:
    def work() -> None:
        file_uri(Path("/shards"))
        file_uri(Path("/others"))
        json.dumps([])
        thread = threading.Thread(target=sqlite_uri, args=(Path("/mlflow.db"),))
        thread.start()
        thread.join()

    assert functions_called(work) == {(dclf.uris.__file__, "file_uri"), (dclf.uris.__file__, "sqlite_uri")}
