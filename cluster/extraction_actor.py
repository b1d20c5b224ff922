"""What an actor does that extracts: opens the extractor once, and turns tables of utterances into tables of rows.

=======  =====================================================================================
column   of the rows
=======  =====================================================================================
place    of the utterance among all; -1 where the extractor could not be opened
row      see ``dclf.extraction.arrow_rows``, and so is ``reason``
lasting  whether the reason is one of the content
failure  why there are no rows of this batch; null else
=======  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from dclf.extraction.arrow_rows import row_columns
from dclf.extraction.contract import (
    ExtractionError,
    Extractor,
    ExtractorSettings,
    Row,
    Unreadable,
    Utterance,
    check_rows,
)

_LONGEST = 2000


def utterance_table(utterances: Sequence[Utterance], places: Sequence[int]) -> pa.Table:
    """Return these utterances as an Arrow table for an actor."""
    selection = [utterances[place] for place in places]
    return pa.table(
        {
            "place": pa.array(places, pa.int64()),
            "text": pa.array([u.text for u in selection], pa.string()),
            "recording": pa.array([u.recording for u in selection], pa.string()),
            "start": pa.array([u.start for u in selection], pa.float64()),
            "end": pa.array([u.end for u in selection], pa.float64()),
        }
    )


class RowsActor:
    """Turns tables of utterances into tables of rows, batch by batch.

    Args:
        settings: of the extractor, resolved.
        device: as torch names it.
        batch_size: utterances that the extractor gets at a time.
    """

    def __init__(self, settings: ExtractorSettings, device: str, batch_size: int) -> None:
        self._settings = settings
        self._device = device
        self._batch_size = batch_size
        self._extractor: Extractor | None = None

    def __call__(self, table: pa.Table) -> Iterator[pa.Table]:
        """The rows of the table's utterances, or the failure of a batch, which ends it."""
        try:
            if self._extractor is None:
                self._extractor = self._settings.load(self._device)
        except Exception as error:  # noqa: BLE001 - raised by the driver
            yield _failed([-1], error)
            return
        for begin in range(0, table.num_rows, self._batch_size):
            columns = table.slice(begin, self._batch_size).to_pydict()
            places = columns.pop("place")
            batch = [
                Utterance(**dict(zip(columns, cells, strict=True))) for cells in zip(*columns.values(), strict=True)
            ]
            try:
                rows = check_rows(self._extractor, self._extractor.rows(batch), len(batch))
            except Exception as error:  # noqa: BLE001 - raised by the driver under the utterances' names
                yield _failed(places, error)
                return
            yield _block(places, rows)


def _block(places: Sequence[int], rows: Sequence[Row], failure: str | None = None) -> pa.Table:
    return pa.table(
        {
            "place": pa.array(places, pa.int64()),
            **row_columns(rows),
            "lasting": pa.array([not isinstance(row, Unreadable) or row.lasting for row in rows], pa.bool_()),
            "failure": pa.array([failure] * len(places), pa.string()),
        }
    )


def _failed(places: Sequence[int], error: BaseException) -> pa.Table:
    """The whole error in one line."""
    text = " ".join(str(error).split())
    is_extraction_error = isinstance(error, ExtractionError)
    failure = text[:_LONGEST] if is_extraction_error else f"{type(error).__name__}: {text[:_LONGEST]}"
    return _block(places, [Unreadable("", lasting=False)] * len(places), failure)
