"""Reading a CSV file whole: its rows by column, and every row that does not have as many fields as its head."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dclf.data.errors import DataError, SourceError

# For the whole process; the limit of 131,072 characters would refuse the transcript of a long speech.
csv.field_size_limit(sys.maxsize)


def read_csv(file: Path) -> tuple[list[dict[str, str]], list[str]]:
    """The rows and the columns of a CSV file.

    Raises:
        SourceError: it is not there, cannot be read, or separates its columns by something else than commas.
        DataError: columns of one name, rows of too few or too many fields: all of them.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            rows, columns = list(reader), list(reader.fieldnames or [])
    except FileNotFoundError as error:
        raise SourceError(f"{file}: there must be a CSV file here, and there is none; check the path") from error
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{file}: must be UTF-8, and is not ({error}); save it so, such as by pandas.read_csv(FILE, "
            "encoding='cp1252').to_csv(FILE, index=False)"
        ) from error
    except (OSError, csv.Error) as error:
        raise SourceError(f"{file}: cannot be read as a CSV file ({error}); check the path") from error
    _refuse_other_separators(file, columns)
    twice = [column for column, count in Counter(columns).items() if column and count > 1]
    problems = [f"its head has {column!r} more than once; each column must have a name of its own" for column in twice]
    problems += [problem for line, row in enumerate(rows, start=2) for problem in _field_problems(line, row)]
    if problems:
        raise DataError(problems, str(file))
    return rows, columns


def _refuse_other_separators(file: Path, columns: Sequence[str]) -> None:
    """SourceError where the head is a single field, with what other programs put between columns in it."""
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(columns) == 1 and mark in columns[0]:
            raise SourceError(
                f"{file}: must have commas between its columns, and its head has {name}: {columns[0]!r}; save it with "
                f"commas, such as by pandas.read_csv(FILE, sep={mark!r}).to_csv(FILE, index=False)"
            )


def _field_problems(line: int, row: Mapping[Any, Any]) -> Iterator[str]:
    if any(value is None for value in row.values()):
        yield f"row {line} has too few fields"
    if None in row:
        yield f"row {line} has too many fields; put those with commas between quotes"
