"""Writes that need not reach the platter: nobody cuts the power in tests, and what a killed process wrote is there."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event


@contextmanager
def without_disk_waits() -> Iterator[None]:
    """Neither ledgers nor SQLite wait for the disk in this process."""

    def hurry(connection: object, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", hurry)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("os.fsync", lambda _file: None)
        yield
    event.remove(Engine, "connect", hurry)
