import json
import queue
import socket
from typing import Any

from cluster.events import Inbox, Sender


def test_messages_arrive_in_order_and_none_is_lost_on_closing() -> None:
    heard: list[tuple[str, Any]] = []
    with Inbox(lambda kind, body: heard.append((kind, body))) as inbox:
        for number in range(50):
            inbox.sender.send("epoch", {"number": number, "score": 0.1 * number})
    assert heard == [("epoch", {"number": number, "score": 0.1 * number}) for number in range(50)]


def test_strangers_and_nonsense_are_not_heard() -> None:
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()
    with Inbox(lambda kind, _: heard.put(kind)) as inbox:
        Sender(inbox.sender.address, "wrong").send("stranger", None)
        for content in (b"", b"{", b"[]", json.dumps({"token": 3}).encode(), b"\xff"):
            with socket.create_connection(inbox.sender.address) as connection:
                connection.sendall(content)
        inbox.sender.send("friend", None)
        assert heard.get(timeout=10) == "friend"
    assert heard.empty()


def test_sending_to_nobody_does_nothing() -> None:
    with Inbox(lambda *_: None) as inbox:
        sender = inbox.sender
    sender.send("epoch", {})
