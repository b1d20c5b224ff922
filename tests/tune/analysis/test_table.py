"""Tables as a prompt and a notebook show them."""

from tune.analysis.table import MOST_ROWS, ShownAsTable, Table


class Result(ShownAsTable):
    def __init__(self, rows: int, note: str = "") -> None:
        self._table = Table(
            title="a < b",
            head=("<name>", "WF1"),
            rows=tuple((f"<i>{row}</i>", str(row)) for row in range(rows)),
            note=note,
        )

    def summary(self) -> Table:
        return self._table


def test_a_result_is_shown_as_its_summary() -> None:
    result = Result(2, "of five seeds")
    assert repr(result).splitlines() == ["a < b", "<name>    WF1", "<i>0</i>    0", "<i>1</i>    1", "of five seeds"]
    assert result._repr_html_() == (
        "<table><caption>a &lt; b</caption><thead><tr><th>&lt;name&gt;</th><th>WF1</th></tr></thead><tbody>"
        "<tr><td>&lt;i&gt;0&lt;/i&gt;</td><td>0</td></tr><tr><td>&lt;i&gt;1&lt;/i&gt;</td><td>1</td></tr></tbody></table>"
        "<p>of five seeds</p>"
    )


def test_a_long_one_is_shown_in_part_and_says_how_much_is_left() -> None:
    result = Result(MOST_ROWS + 3, "of five seeds")
    assert len(repr(result).splitlines()) == 2 + MOST_ROWS + 2
    assert repr(result).splitlines()[-2:] == ["... 3 more", "of five seeds"]
    assert "<p>... 3 more</p>" in result._repr_html_()
    assert result._repr_html_().count("<tr>") == 1 + MOST_ROWS
    assert len(result.summary().rows) == MOST_ROWS + 3, "the table itself has them all"


def test_a_table_shows_itself_likewise() -> None:
    result = Result(MOST_ROWS + 1)
    assert repr(result.summary()) == repr(result)
    assert result.summary()._repr_html_() == result._repr_html_()
    assert "more" not in repr(Result(MOST_ROWS))
