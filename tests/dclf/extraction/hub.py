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
    """One model, ``owner/tiny``.

    Attributes:
        url: of the server.
        files: path in the repository -> content.
        fetched: paths of the files that were downloaded, in their order.
        requests: how many were about the model.
    """

    files: Mapping[str, bytes]
    url: str = ""
    fetched: list[str] = field(default_factory=list)
    requests: int = 0

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a GET."""
        self.requests += "owner/tiny" in path
        base = f"/owner/tiny/resolve/{COMMIT}/"
        if path.startswith(base) and (name := path.removeprefix(base)) in self.files:
            body = self.files[name]
            return 200, {"ETag": f'"{sha256(body).hexdigest()}"', "X-Repo-Commit": COMMIT}, body
        if path == f"/api/models/owner/tiny/tree/{COMMIT}":
            tree = [{"type": "file", "path": n, "size": len(b), "oid": n} for n, b in self.files.items()]
            return 200, {}, json.dumps(tree).encode()
        if path in {"/api/models/owner/tiny", "/api/models/owner/tiny/revision/main"}:
            return 200, {}, json.dumps({"id": "owner/tiny", "sha": COMMIT, "siblings": []}).encode()
        missing = "RevisionNotFound" if path.startswith("/api/models/owner/tiny/") else "RepoNotFound"
        return 404, {"X-Error-Code": missing}, b"{}"


@contextmanager
def serve(files: Mapping[str, bytes]) -> Iterator[Hub]:
    """Serve a model until the block ends."""
    hub = Hub(files)

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
                    hub.fetched.append(path.partition(f"{COMMIT}/")[2])

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
