"""The text of conversations: JSON as a whole or line by line, with the place of what is none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from dclf.data.errors import DataError


def parse(text: bytes, source: str = "", line: int = 0) -> Any:
    """What JSON says.

    Args:
        text: the JSON, in UTF-8.
        source: where it is from, for messages.
        line: number of the only line; 0 for a document.

    Raises:
        DataError: it is none.
    """
    if not text.strip():
        raise DataError(["must hold JSON, is empty"], heading(source))
    try:
        return json.loads(text.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        problem = f"line {line or error.lineno}: must be JSON, is not at column {error.colno}: {error.msg}"
    except UnicodeDecodeError as error:
        at = line or text[: error.start].count(b"\n") + 1
        problem = f"line {at}: must be JSON in UTF-8, is not at byte {error.start} ({error.reason})"
    except RecursionError:
        problem = f"line {line or 1}: must be conversations, is nested too deeply"
    raise DataError([problem], heading(source))


def look_ahead(stream: Iterable[bytes]) -> tuple[Iterator[bytes], bool]:
    """Look at the first line of JSON that is not blank, and wait for no other.

    Returns:
        All lines, and whether each is an utterance: the first is an object that is no conversation.
    """
    lines, head = iter(stream), []
    for line in lines:
        head.append(line)
        if line.strip():
            return chain(head, lines), _is_utterance(line)
    return iter(head), False


def _is_utterance(line: bytes) -> bool:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and "utterances" not in content


def heading(source: str) -> str:
    """What stands above the problems of a source."""
    return f"{source}: the conversations cannot be predicted" if source else "the conversations cannot be predicted"
