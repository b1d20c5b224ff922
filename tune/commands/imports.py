"""``dclf data import``: published feature files become Arrow shards (``dclf.data.importers``)."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentParser

from dclf.extensions import summary_of
from dclf.modalities import MODALITIES
from dclf.prose import quantity
from tune.commands.dispatch import Command, dispatch
from tune.commands.next_steps import after_shards, print_next
from tune.commands.options import add_overwrite_option, command_parser, print_card_warnings, print_written

if TYPE_CHECKING:
    from dclf.data.importers import Importer

WARNINGS_SHOWN = 5
EXAMPLES = """\
examples:
  dclf data import features IEMOCAP_features.pkl shards/iemocap --text iemocap_features_roberta.pkl
  dclf data import features meld_features_roberta.pkl shards/meld --text-layers mean
  dclf data import features Speakers.pkl TextFeatures.pkl AudioFeatures.pkl VisualFeatures.pkl shards/multiemo
  dclf data import mmgcn-iemocap IEMOCAP_features.pkl shards/iemocap --val-dialogues 20 --seed 1
  dclf data import mmgcn-meld MELD_features_raw1.pkl shards/meld --text meld_features_roberta.pkl#3
  dclf data import mosei cmumosei.pkl shards/mosei --bins 2
  dclf data import dag-erc IEMOCAP shards/iemocap --variant roberta_mm
  dclf data import meld-csv MELD shards/meld --text "MELD/{split}_minilm.npy" --audio timing
  dclf data import csv talks.csv shards/talks --columns dialogue=Talk,text=Words --text rows.npy
  dclf data import huggingface folder shards/talks --columns speaker=who,emotion=label --text 'rows/{split}.npy'
  dclf data import mypackage.tables:import_tables tables shards/own     an own one, see docs/own-importer.md

Pickles are read by an unpickler that admits arrays, tensors and plain containers only: code in them never runs.
"""


def main(argv: Sequence[str]) -> int:
    """Run the named importer, and return the exit code."""
    # Imported here, as in every command, so that the help of others does not wait.
    from dclf.data.importers import IMPORTERS, importer_named  # noqa: PLC0415

    summaries = {name: summary_of(importer_named(name)) for name in IMPORTERS.shipped}
    # The others are imported where they are asked for.
    summaries |= {name: f"of {IMPORTERS.origin(name)}" for name in IMPORTERS.names() if name not in summaries}
    if argv and ":" in argv[0]:
        summaries[argv[0]] = "by its class path"
    commands = {
        name: ImportCommand(_help(summary).replace("`", "").replace("%", "%%"), name)
        for name, summary in summaries.items()
    }
    description = "Turn feature files into Arrow shards, validated on the way."
    return dispatch("dclf data import", description, commands, argv, epilog=EXAMPLES)


class ImportCommand(Command):
    """The command of the importer that ``target`` names."""

    def load(self) -> Callable[[Sequence[str]], int]:
        """The function that runs it."""
        return partial(_run, self.target)


def importer_parser(name: str, importer: Importer) -> ArgumentParser:
    """The options of an importer: types and defaults from its signature, help from its docstring.

    An option without a type has that of its default.

    Args:
        name: how it is called.
        importer: the function.
    """
    from dclf.data.importers import importer_options, takes_several  # noqa: PLC0415

    described = parse_docstring(importer.__doc__ or "")
    texts = {param.arg_name: " ".join((param.description or "").split()) for param in described.params}
    hints, source = get_type_hints(importer), next(iter(signature(importer).parameters))
    about = described.description or f"Turn what {name} reads into Arrow shards."
    parser = command_parser(f"dclf data import {name}", about.replace("``", "`"), EXAMPLES)
    several: dict[str, Any] = {"nargs": "+"} if takes_several(importer) else {}
    name_of_source = (source.removesuffix("s") if several else source).upper()
    parser.add_argument("source", metavar=name_of_source, help=_help(texts.get(source, "")), **several)
    parser.add_argument("out", help="folder or URI for the shards")
    for option in importer_options(importer).values():
        word, default = f"--{option.name.replace('_', '-')}", option.default
        kind = hints.get(option.name, str if default is None else type(default))
        text = _help(texts.get(option.name, ""))
        if get_origin(kind) is Literal:
            parser.add_argument(word, choices=get_args(kind), default=default, help=text)
        else:
            parser.add_argument(word, type=kind, default=default, help=text, metavar=option.name.upper())
    add_overwrite_option(parser)
    return parser


def _help(text: str) -> str:
    """A line of a docstring as a help shows it."""
    return text.removesuffix(".").replace("``", "`")


def _run(name: str, argv: Sequence[str]) -> int:
    """``dclf data import NAME``: see ``dclf.data.importers.import_dataset``."""
    from dclf.data import feature_card  # noqa: PLC0415
    from dclf.data.importers import import_dataset, importer_named  # noqa: PLC0415

    options: dict[str, Any] = importer_parser(name, importer_named(name)).parse_args(argv).as_dict()
    source, out = options.pop("source"), options.pop("out")
    warnings: list[str] = []
    manifest = import_dataset(name, source, out, warn=warnings.append, **options)
    print_written(out, manifest)
    for line in choice_lines(manifest.info.provenance):
        print(line)
    print_card_warnings(feature_card(out))
    _print_warnings(warnings, out)
    print_next({}, *after_shards(out, manifest))
    return 0


def choice_lines(provenance: Mapping[str, object]) -> Iterator[str]:
    """What an importer took for what, a line each; nothing where there was no choice."""
    for fact in ("layout", "class order", "classes", "text layers", "bins", "dialogues", "numbering"):
        if fact in provenance:
            yield f"{fact}: {provenance[fact]}"
    elements = provenance.get("elements")
    yield from elements if isinstance(elements, list) else ()
    validation = provenance.get("validation")
    if isinstance(validation, dict):
        yield f"validation: {validation.get('method')}"
    for modality in MODALITIES:
        origin = provenance.get(modality)
        if isinstance(origin, dict):
            yield from _origin(modality, origin)


def _origin(modality: str, origin: Mapping[str, object]) -> Iterator[str]:
    """Where a modality came from, what it lacks, and which element of several it is."""
    if (element := origin.get("element")) is not None:
        alike = origin.get("also as wide")
        rest = (
            f"; {', '.join(map(str, alike))} are as wide, --{modality} FILE#K takes another"
            if isinstance(alike, list)
            else ""
        )
        which = f"elements {', '.join(map(str, element))}" if isinstance(element, list) else f"element {element}"
        yield f"{modality}: {which} of {origin.get('file')}, {origin.get('width')} wide{rest}"
    elif "width" in origin:
        yield f"{modality}: {origin.get('file', 'a file for each split')}, {origin['width']} wide"
    for fact in ("read as", "missing", "note"):
        if fact in origin:
            yield f"{modality}: {origin[fact]}"


def _print_warnings(warnings: Sequence[str], out: str) -> None:
    for warning in warnings[:WARNINGS_SHOWN]:
        print(f"warning: {warning}", file=sys.stderr)
    if (rest := len(warnings) - WARNINGS_SHOWN) > 0:
        print(
            f"and {quantity(rest, 'further warning')}; all of them: dclf data validate {shlex.quote(out)}",
            file=sys.stderr,
        )
