"""A hub of models on loopback: as much of Hugging Face's protocol as downloading takes."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Models with one commit each.

    Attributes:
        models: name -> path in the repository -> content.
        url: of the server.
        fetched: model and path of the files that were downloaded, in their order.
    """

    models: Mapping[str, Mapping[str, bytes]]
    url: str = ""
    fetched: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a GET."""
        for model, files in self.models.items():
            base = f"/{model}/resolve/{COMMIT}/"
            if path.startswith(base) and (name := path.removeprefix(base)) in files:
                return 200, {"ETag": f'"{sha256(files[name]).hexdigest()}"', "X-Repo-Commit": COMMIT}, files[name]
            if path == f"/api/models/{model}/tree/{COMMIT}":
                tree = [{"type": "file", "path": n, "size": len(b), "oid": n} for n, b in files.items()]
                return 200, {}, json.dumps(tree).encode()
            if path in {f"/api/models/{model}", f"/api/models/{model}/revision/main"}:
                return 200, {}, json.dumps({"id": model, "sha": COMMIT, "siblings": []}).encode()
            if path.startswith(f"/api/models/{model}/"):
                return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"


@contextmanager
def serve(models: Mapping[str, Mapping[str, bytes]]) -> Iterator[Hub]:
    """Serve models until the block ends."""
    hub = Hub(models)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._reply(with_body=False)

        def do_GET(self) -> None:
            self._reply(with_body=True)

        def _reply(self, *, with_body: bool) -> None:
            path = self.path.partition("?")[0]
            status, headers, body = hub.answer(path)
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)
                if "/resolve/" in path:
                    model, _, name = path[1:].partition(f"/resolve/{COMMIT}/")
                    hub.fetched.append((model, name))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
