"""Turning what researchers have (feature pickles, CSVs with rows) into dialogues and shards."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any

from dclf.data.dialogue import DatasetInfo, Dialogue
from dclf.data.importers.meld_csv import import_meld_csv
from dclf.data.importers.mmgcn import import_mmgcn_iemocap, import_mmgcn_meld
from dclf.data.importers.safe_pickle import read_pickle
from dclf.data.manifest import Manifest
from dclf.data.writer import write_shards

__all__ = ["IMPORTERS", "import_dataset", "import_meld_csv", "import_mmgcn_iemocap", "import_mmgcn_meld", "read_pickle"]

IMPORTERS: dict[str, Callable[..., tuple[DatasetInfo, Iterator[Dialogue]]]] = {
    "mmgcn-iemocap": import_mmgcn_iemocap,
    "mmgcn-meld": import_mmgcn_meld,
    "meld-csv": import_meld_csv,
}


def import_dataset(
    name: str,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    warn: Callable[[str], None] | None = None,
    **options: Any,
) -> Manifest:
    """Import a source and write it as shards.

    Args:
        name: one of ``IMPORTERS``.
        source: the pickle or the folder of tables.
        out: folder or URI of the shards.
        overwrite: replace a shard set that is already there.
        warn: hears of feature rows that are all zero, dialogue by dialogue.
        options: the importer's own keyword arguments; None counts as not given.

    Raises:
        ValueError: unknown importer or option; what the importer and ``write_shards`` raise.
    """
    if name not in IMPORTERS:
        raise ValueError(f"unknown importer {name!r}: choose one of {', '.join(IMPORTERS)}")
    given = {key: value for key, value in options.items() if value is not None}
    known = list(inspect.signature(IMPORTERS[name]).parameters)[1:]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"the importer {name} takes no {', '.join(unknown)}; it takes {', '.join(known)}")
    info, dialogues = IMPORTERS[name](source, **given)
    return write_shards(dialogues, out, info, overwrite=overwrite, warn=warn)
