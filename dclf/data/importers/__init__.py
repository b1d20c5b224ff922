"""Turning what researchers have (feature pickles, CSVs with rows) into dialogues and shards.

An importer is a function that takes the place of its source first and its options, each with a default, behind it. It
returns the ``DatasetInfo`` and an iterator of ``Dialogue``. ``dclf data import`` makes the command line of it: types
and defaults from its signature, the help from its docstring.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import Parameter
from typing import Any, get_args, get_type_hints

from dclf.data.dialogue import DatasetInfo, Dialogue
from dclf.data.importers.meld_csv import import_meld_csv
from dclf.data.importers.mmgcn import import_mmgcn_iemocap, import_mmgcn_meld
from dclf.data.importers.safe_pickle import read_pickle
from dclf.data.manifest import Manifest
from dclf.data.writer import write_shards
from dclf.extensions import ExtensionPoint

__all__ = [
    "IMPORTERS",
    "Importer",
    "import_dataset",
    "import_meld_csv",
    "import_mmgcn_iemocap",
    "import_mmgcn_meld",
    "importer_named",
    "importer_options",
    "read_pickle",
    "takes_several",
]

Importer = Callable[..., tuple[DatasetInfo, Iterator[Dialogue]]]

IMPORTERS = ExtensionPoint(
    "dclf.importers",
    "importer",
    {
        "features": "dclf.data.importers.features:import_features",
        "mmgcn-iemocap": "dclf.data.importers.mmgcn:import_mmgcn_iemocap",
        "mmgcn-meld": "dclf.data.importers.mmgcn:import_mmgcn_meld",
        "mosei": "dclf.data.importers.mosei:import_mosei",
        "dag-erc": "dclf.data.importers.dag_erc:import_dag_erc",
        "meld-csv": "dclf.data.importers.meld_csv:import_meld_csv",
        "csv": "dclf.data.importers.tables:import_csv",
        "huggingface": "dclf.data.importers.huggingface:import_huggingface",
    },
)
RESERVED = ("out", "overwrite", "warn", "help", "debug")
"""What the command line and ``import_dataset`` keep for themselves."""


def importer_named(name: str) -> Importer:
    """The importer of this name: one that ships, an entry point's or a class path's.

    Raises:
        ExtensionError: there is none, it cannot be imported, or it is no importer.
    """
    importer: Importer = IMPORTERS.load(name)
    must = "a function of a source, and of options with defaults"
    if not callable(importer):
        raise IMPORTERS.refuse(name, must, importer)
    signature = inspect.signature(importer)
    parameters = list(signature.parameters.values())
    if not parameters or parameters[0].kind not in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
        raise IMPORTERS.refuse(name, must, f"one of {signature}")
    for option in parameters[1:]:
        if option.name in RESERVED:
            raise IMPORTERS.refuse(name, f"{must}, none of them named {', '.join(RESERVED)}", f"one with {option}")
        by_name = option.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
        if not by_name or option.default is Parameter.empty:
            raise IMPORTERS.refuse(name, must, f"one with {option}")
    return importer


def importer_options(importer: Importer) -> Mapping[str, Parameter]:
    """The options of an importer by name: all of its parameters but the first, which is the source."""
    return dict(list(inspect.signature(importer).parameters.items())[1:])


def takes_several(importer: Importer) -> bool:
    """Whether its source may be several files: the first parameter's type has a Sequence among its alternatives."""
    hint = get_type_hints(importer).get(next(iter(inspect.signature(importer).parameters)))
    return any(getattr(kind, "__origin__", None) is Sequence for kind in get_args(hint))


def import_dataset(
    name: str,
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    warn: Callable[[str], None] | None = None,
    **options: Any,
) -> Manifest:
    """Import a source and write it as shards.

    Args:
        name: one of ``IMPORTERS``, or a class path.
        source: the pickle or the folder of tables; several files for importers that take them.
        out: folder or URI of the shards.
        overwrite: replace a shard set that is already there.
        warn: hears of feature rows that are all zero, dialogue by dialogue.
        options: the importer's own keyword arguments; None counts as not given.

    Raises:
        ValueError: unknown importer or option; what the importer and ``write_shards`` raise.
    """
    importer = importer_named(name)
    arguments = {key: value for key, value in options.items() if value is not None}
    own = importer_options(importer)
    unknown = sorted(set(arguments) - set(own))
    if unknown:
        raise ValueError(f"the importer {name} takes no {', '.join(unknown)}; it takes {', '.join(own)}")
    info, dialogues = _imported(name, importer(source, **arguments))
    return write_shards(dialogues, out, info, overwrite=overwrite, warn=warn)


def _imported(name: str, result: Any) -> tuple[DatasetInfo, Iterable[Dialogue]]:
    match result:
        case (DatasetInfo() as info, Iterable() as dialogues):
            return info, dialogues
    kind = ", ".join(type(part).__name__ for part in result) if isinstance(result, tuple) else type(result).__name__
    raise IMPORTERS.refuse(name, "a function that returns a DatasetInfo and an iterator of Dialogue", f"one of {kind}")
