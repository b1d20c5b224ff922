"""News from Ray Train's controller, which runs in a process of its own on the driver's machine.

Every message is one short connection to a socket on loopback: no actor more to start, no state to lose, and whoever
finds the other side gone just goes on.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

SEND_SECONDS = 5.0
LISTEN_SECONDS = 0.1
LARGEST = 16 << 20


@dataclass(frozen=True)
class Sender:
    """The end that travels to the controller."""

    address: tuple[str, int]
    token: str

    def send(self, kind: str, body: Any) -> None:
        """Tell the driver; nothing happens where it is gone."""
        message = json.dumps({"token": self.token, "kind": kind, "body": body}).encode()
        with suppress(OSError), socket.create_connection(self.address, timeout=SEND_SECONDS) as connection:
            connection.sendall(message)


class Inbox:
    """The driver's end: hands every message to ``receive`` on a thread of its own, in the order of sending.

    Args:
        receive: called with kind and body; must be quick.
    """

    def __init__(self, receive: Callable[[str, Any], None]) -> None:
        self._receive = receive
        self._token = secrets.token_hex(16)
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._server.settimeout(LISTEN_SECONDS)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="dclf-events", daemon=True)
        self.sender = Sender(self._server.getsockname(), self._token)

    def __enter__(self) -> Inbox:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take in what has been sent so far, then stop listening; safe to call twice."""
        self._closing.set()
        self._thread.join()
        self._server.close()

    def _listen(self) -> None:
        while True:
            last = self._closing.is_set()
            try:
                connection, _ = self._server.accept()
            except TimeoutError:
                if last:
                    return
                continue
            with connection, suppress(OSError, ValueError, KeyError, TypeError):
                self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        connection.settimeout(SEND_SECONDS)
        content = b""
        while part := connection.recv(1 << 16):
            content += part
            if len(content) > LARGEST:
                return
        message = json.loads(content)
        if hmac.compare_digest(message["token"], self._token):
            self._receive(message["kind"], message["body"])
