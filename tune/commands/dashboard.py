"""``dclf dashboard``: a study in optuna-dashboard, reachable from this machine only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from tune.commands.options import add_storage_option, command_parser
from tune.commands.ui import HOST, claim_port, show_page

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from tune.study.folder import StudyFolder

EXAMPLES = """\
examples:
  dclf dashboard gammas
  dclf dashboard gammas --open --port 8080
  dclf dashboard gammas --storage /scratch/studies

Needs dclf[dashboard]. The pages follow a sweep while it runs, and change nothing: the truth is the study's ledger.
Start it again after dclf resume, which writes Optuna's journal anew. A study at a URI is shown as of now.
Ctrl-C ends it. On a machine reached by ssh, forward the port: ssh -L 5000:127.0.0.1:5000 HOST
"""
READING = ("GET", "HEAD")
OWN_NAMES = (HOST, "localhost")
"""What a browser on this machine, or at the other end of a forwarded port, calls the server."""


def main(argv: Sequence[str]) -> int:
    """Serve as the command line says, until interrupted, and return the exit code."""
    parser = command_parser("dclf dashboard", "Show a study in optuna-dashboard, on this machine only.", EXAMPLES)
    parser.add_argument("name", help="name of the study; dclf list knows them")
    add_storage_option(parser)
    parser.add_argument("--port", type=int, default=0, help="0 takes the first free port from 5000 on")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    options = parser.parse_args(argv)
    if find_spec("optuna_dashboard") is None:
        raise OSError("dclf dashboard needs the package optuna-dashboard: pip install 'dclf[dashboard]'")
    # Imported here, so that help does not wait.
    from tune.study.folder import StudyFolder  # noqa: PLC0415

    return serve(StudyFolder.open(options.storage, options.name), options.port, browser=options.open)


def serve(folder: StudyFolder, port: int, *, browser: bool) -> int:
    """Serve the pages of a study until Ctrl-C, and return the exit code.

    Args:
        folder: the study.
        port: 1 .. 65535, or 0 for the first free one from 5000 on.
        browser: open the study's page.

    Raises:
        ValueError: the port is out of range, or Optuna cannot express the study.
        OSError: the port is taken.
    """
    from optuna_dashboard import wsgi  # noqa: PLC0415

    from tune.runner.optuna_study import storage_to_look_at  # noqa: PLC0415

    storage, follows = storage_to_look_at(folder)
    number = storage.get_study_id_from_name(folder.definition.name)
    with make_server(HOST, claim_port(port), guarded(wsgi(storage)), _Server, _Quiet) as server:
        address = f"http://{HOST}:{server.server_port}/dashboard/studies/{number}"
        note = "" if follows else ", as of now"
        show_page(f"optuna-dashboard: {address}{note} (Ctrl-C ends it)", address, browser=browser)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


def guarded(pages: WSGIApplication) -> WSGIApplication:
    """Only read, and only under this machine's own name.

    Without the first a page could delete a trial, or write into the journal of a sweep that runs. Without the second
    a web site whose name its owner points at this machine could read the study from its visitor's browser.
    """

    def answer(request: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        name = urlsplit(f"//{request.get('HTTP_HOST', '')}").hostname
        if request["REQUEST_METHOD"] in READING and name in OWN_NAMES:
            return pages(request, start)
        start("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
        if name not in OWN_NAMES:
            return [f"dclf dashboard answers to {' and '.join(OWN_NAMES)} only".encode()]
        return [b"dclf dashboard shows the study and changes nothing of it"]

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    """Answers several requests at a time, and does not wait for them at its end."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Writes no line for a request."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that it has
        """Leave it out."""
