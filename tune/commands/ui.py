"""``dclf ui``: the MLflow UI on a tracking store, reachable from this machine only."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from jsonargparse import Namespace

from dclf.errors import AbsentFileError
from tune.commands.options import add_uri_option, command_parser
from tune.config.defaults import CLUSTER_FOLDER
from tune.config.yaml_files import ConfigError

HOST = "127.0.0.1"
FIRST_PORT, LAST_PORT = 5000, 5099
START_LIMIT_S = 60.0
EXAMPLES = """\
examples:
  dclf ui                                        the table of runs with their WF1
  dclf ui --open                                 in the browser
  dclf ui gammas                                 the study gammas; a run by its name or id likewise
  dclf ui --experiment mine --port 8080
  dclf ui --uri sqlite:///elsewhere/mlflow.db
  dclf ui --cluster
  dclf ui --address http://127.0.0.1:5000

Ctrl-C ends it. On a machine reached by ssh, forward the port: ssh -L 5000:127.0.0.1:5000 HOST
"""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What the UI is to show.

    Attributes:
        name: of a study or run, or the beginning of a run's id; empty for the table of runs.
        experiment: the one to look in; that of the latest run where empty.
        browser: whether to open the page in the browser.
    """

    name: str = ""
    experiment: str = ""
    browser: bool = False

    def page(self, uri: str) -> str:
        """Return the page's address behind that of the server.

        Raises:
            TrackingError: the store does not answer, or has no such run or experiment.
        """
        from tune.tracking.pages import page_of  # noqa: PLC0415 - brings MLflow

        return page_of(uri, self.name, self.experiment)

    def page_on_server(self, uri: str) -> str:
        """As ``page``; all experiments where a server does not let this process look and nothing is named."""
        from tune.tracking.pages import EVERYTHING  # noqa: PLC0415
        from tune.tracking.trouble import TrackingError  # noqa: PLC0415

        try:
            return self.page(uri)
        except TrackingError as error:
            if self.name or self.experiment:
                raise
            _log.warning(f"the address shows all experiments, not the runs: {error}")
            return EVERYTHING

    def show(self, address: str, note: str = "") -> None:
        """Print the address of the page, and open it where that was asked for."""
        show_page(f"MLflow UI: {address}{note}", address, browser=self.browser)


def show_page(line: str, address: str, *, browser: bool) -> None:
    """Print a line about a page, and open its address in the browser where that was asked for."""
    print(line, flush=True)
    if browser and not webbrowser.open(address):
        _log.warning("no browser can be opened here; open the address yourself")


def main(argv: Sequence[str]) -> int:
    """Serve as the command line says, until interrupted, and return the exit code."""
    parser = command_parser("dclf ui", "Show runs in the MLflow UI, on this machine only.", EXAMPLES)
    parser.add_argument("name", nargs="?", default="", help="study or run to show; the table of runs where absent")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--experiment", default="", help="look in this one; that of the latest run where absent")
    add_uri_option(parser)
    parser.add_argument("--port", type=int, default=0, help="0 takes the first free port from 5000 on")
    parser.add_argument("--cluster", action="store_true", help="say where the local cluster's MLflow server is")
    parser.add_argument("--folder", default=CLUSTER_FOLDER, help="of the local cluster, with --cluster")
    parser.add_argument("--address", default="", help="of an MLflow server, or of the local cluster's dashboard")
    options = parser.parse_args(argv)
    if problems := list(_problems(options)):
        raise ConfigError(problems)
    subject = Subject(name=options.name, experiment=options.experiment, browser=options.open)
    if options.cluster or options.address:
        return show_server(options.address, options.folder, subject)
    # Imported here, so that help does not wait.
    from tune.tracking.store import resolve_tracking_uri  # noqa: PLC0415

    uri = resolve_tracking_uri(options.uri)
    if options.port and uri.startswith(("http://", "https://")):
        raise ConfigError(["--port: is for a store without a server, the runs are on one; leave it out"])
    return serve(uri, options.port, subject)


def _problems(options: Namespace) -> Iterator[str]:
    """Yield a problem for every option that cannot be or would change nothing."""
    if options.address and not options.address.startswith(("http://", "https://")):
        yield f"--address: must be the URL of a server, as http://HOST:5000, is {options.address!r}"
    if options.cluster or options.address:
        server = "--address" if options.address else "--cluster"
        yield from (
            f"--{name}: is for a store that is shown here, {server} names a server; leave one of them out"
            for name in ("uri", "port")
            if options[name]
        )
    elif options.folder != CLUSTER_FOLDER:
        yield "--folder: is of the local cluster; give --cluster with it"


def show_server(address: str, folder: str, subject: Subject) -> int:
    """Print where a cluster's MLflow server has its UI, and return the exit code.

    Args:
        address: of the server, or of the local cluster's dashboard; the local cluster's server where empty.
        folder: of the local cluster.
        subject: what to show.

    Raises:
        OSError: no local cluster runs, nothing answers at the address as an MLflow server does, or it has no such run.
    """
    from cluster.environment import environment  # noqa: PLC0415
    from cluster.local.endpoints import answers  # noqa: PLC0415
    from cluster.local.state import ADMIN, PASSWORD, load_cluster, running_cluster  # noqa: PLC0415

    cluster = load_cluster(folder) if address else running_cluster(folder)
    if address and cluster and address.rstrip("/") not in (cluster.jobs_address, cluster.mlflow_uri):
        cluster = None
    uri = cluster.mlflow_uri if cluster else address.rstrip("/")
    if not answers(f"{uri}/health"):
        raise ConnectionError(
            f"{uri}: must be the address of an MLflow server, does not answer as one; check that it runs, and that the "
            "address is MLflow's and not that of Ray's dashboard"
        )
    with environment(cluster.environment() if cluster else {}, over=True):
        page = subject.page_on_server(uri)
    subject.show(f"{uri}{page}")
    if cluster:
        print(f"user {ADMIN}, password in {cluster.folder / PASSWORD}")
    return 0


def serve(uri: str, port: int, subject: Subject) -> int:
    """Run the MLflow UI in the foreground; print its address when it answers.

    Args:
        uri: a tracking URI as ``resolve_tracking_uri`` gives it.
        port: 1 .. 65535, or 0 for the first free one from 5000 on.
        subject: what to show.

    Returns:
        The exit code: 0 after an interrupt.

    Raises:
        ValueError: the port is out of range.
        OSError: there is no store yet, it was moved, it has no such run, the port is taken, or the server does not
            start or ends by itself.
    """
    if uri.startswith(("http://", "https://")):
        from tune.tracking.redact import without_secrets  # noqa: PLC0415

        print("the runs are on a server that has its own UI")
        subject.show(f"{without_secrets(uri).rstrip('/')}{subject.page_on_server(uri)}")
        return 0
    require_store(uri)
    address = f"http://{HOST}:{claim_port(port)}"
    # Also refuses a store that was moved: the page would show the runs without their files.
    page = subject.page(uri)
    with tempfile.TemporaryFile() as log, _server(uri, address, log) as server:
        wait_until_up(server, address, log)
        subject.show(f"{address}{page}", " (Ctrl-C ends it)")
        try:
            server.wait()
        except KeyboardInterrupt:
            return 0
        raise OSError(f"the MLflow UI ended with code {server.returncode}: {_tail(log)}")


@contextmanager
def _server(uri: str, address: str, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """MLflow's server in a session of its own: Ctrl-C reaches us alone, and we end it with its children."""
    host, port = address.removeprefix("http://").split(":")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--host", host, "--port", port]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
        [*command, "--workers", "1"], env=environment, stdout=log, stderr=log, start_new_session=True
    ) as server:
        try:
            yield server
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)


def require_store(uri: str) -> None:
    """Refuse an SQLite file that is not there: MLflow would make an empty one."""
    from tune.tracking.address import is_new, sqlite_path  # noqa: PLC0415

    if is_new(uri):
        path = sqlite_path(uri)
        raise AbsentFileError(f"{path}: must be the MLflow store of earlier runs, is absent; `dclf train` makes it")


def claim_port(port: int) -> int:
    """The port to serve on: the one asked for, or the first free one of a hundred.

    Raises:
        ConfigError: it is out of range.
        OSError: it is in use.
    """
    from cluster.local.options import is_free  # noqa: PLC0415

    if not 0 <= port <= 65535:
        raise ConfigError([f"--port: must be between 1 and 65535, or 0 for any, is {port}"])
    for candidate in [port] if port else range(FIRST_PORT, LAST_PORT + 1):
        if is_free(HOST, candidate):
            return candidate
    ports = f"port {port}" if port else f"every port from {FIRST_PORT} to {LAST_PORT}"
    raise OSError(f"--port: {ports} is in use on {HOST}; give another with --port")


def wait_until_up(server: subprocess.Popen[bytes], address: str, log: IO[bytes]) -> None:
    """Return when the server answers; OSError when it ended or a minute has passed."""
    from cluster.local.endpoints import answers  # noqa: PLC0415

    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit:
        if server.poll() is not None:
            raise OSError(f"the MLflow UI ended at once with code {server.returncode}: {_tail(log)}")
        if answers(f"{address}/health"):
            return
        time.sleep(0.2)
    raise TimeoutError(f"the MLflow UI did not answer at {address} within {START_LIMIT_S:.0f} s: {_tail(log)}")


def _tail(log: IO[bytes]) -> str:
    """The last lines the server wrote."""
    log.seek(0)
    return "\n".join(log.read().decode(errors="replace").splitlines()[-5:])
