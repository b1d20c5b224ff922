"""A PostgreSQL server on loopback, from the system's package, as a user that is not root."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tests.ports import free_ports
from tests.requirements import lacking
from tests.tune.tracking.server import wait_until

PACKAGED = Path("/usr/lib/postgresql")


def programs() -> Path | None:
    """Folder of ``initdb`` and ``postgres``; None where the package is not there."""
    paths = sorted(PACKAGED.glob("*/bin/initdb")) or [Path(path) for path in [shutil.which("initdb")] if path]
    return paths[-1].parent if paths else None


def require_programs() -> Path:
    """Return that folder; see ``lacking`` where the package is not there."""
    folder = programs()
    return folder or lacking("PostgreSQL's initdb is not in /usr/lib/postgresql or PATH: apt-get install postgresql")


class Postgres:
    """A server with one database, one user and a password."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._user = {"user": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        self._folder = Path(tempfile.mkdtemp(prefix="dclf-pg-", dir="/tmp"))
        (self.port,) = free_ports(1)
        self.password = secrets.token_hex(16)
        self.url = f"postgresql://dclf:{self.password}@127.0.0.1:{self.port}/postgres"
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        secret = self._folder / "password"
        secret.write_text(self.password)
        if self._user:
            owner = pwd.getpwnam("postgres")
            for path in (self._folder, secret):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        own = ["--auth", "scram-sha-256", "--username", "dclf", "--pwfile", str(secret), "--no-sync", "--locale", "C"]
        self._run("initdb", "--pgdata", str(self._data), "--encoding", "UTF8", *own).wait(120)
        options = ["-h", "127.0.0.1", "-p", str(self.port), "-k", str(self._folder), "-F"]
        self._server = self._run("postgres", "-D", str(self._data), *options)
        wait_until(self._answers, 60)

    def stop(self) -> None:
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)  # fast shutdown
            self._server.wait(60)
        shutil.rmtree(self._folder)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _run(self, program: str, *words: str) -> "subprocess.Popen[bytes]":
        command = [str(self._binaries / program), *words]
        with (self._folder / f"{program}.log").open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self._user)  # type: ignore[call-overload,no-any-return]

    def _answers(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, (self._folder / "postgres.log").read_text()
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True
