import json
from collections.abc import Iterator

import numpy as np
import pytest

from dclf.conversation_text import look_ahead, parse
from dclf.data.errors import DataError


def test_the_first_line_says_whether_it_is_a_stream() -> None:
    turn, whole = b'{"speaker": "Ann"}', b'{"utterances": [{"speaker": "Ann"}]}'

    def lines(*parts: bytes) -> Iterator[bytes]:
        yield from parts
        pytest.fail("the first line is enough")

    for parts, streamed in (((b"\n", turn), True), ((whole,), False), ((b"[\n",), False), ((b"{\n",), False)):
        rest, is_stream = look_ahead(lines(*parts))
        assert is_stream is streamed
        assert [next(rest) for _ in parts] == list(parts)
    rest, is_stream = look_ahead([b" \n"])
    assert (list(rest), is_stream) == ([b" \n"], False)
    with pytest.raises(DataError, match="must hold JSON, is empty"):
        parse(b" \n")


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (b'{"a": 1,\n 2}', 0, "line 2: must be JSON, is not at column 2: Expecting property name"),
        (b'{"a": ', 4, "line 4: must be JSON, is not at column 7: Expecting value"),
        (b'{"a":\n"\xff"}', 0, "line 2: must be JSON in UTF-8, is not at byte 7"),
        (b"[" * 100_000, 0, "line 1: must be conversations, is nested too deeply"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(text: bytes, line: int, problem: str) -> None:
    with pytest.raises(DataError) as error:
        parse(text, "talk.json", line)
    assert error.value.problems[0].startswith(problem)
    assert str(error.value).startswith("talk.json: the conversations cannot be predicted: 1 problem")


def test_json_of_editors_with_a_byte_order_mark_is_read() -> None:
    assert parse(b"\xef\xbb\xbf" + json.dumps({"a": "\u00fc"}).encode()) == {"a": "\u00fc"}
    assert np.isnan(parse(b"NaN"))
