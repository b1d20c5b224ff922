"""``dclf data import``: published feature files become Arrow shards (``dclf.data.importers``)."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import Any

from jsonargparse import ArgumentParser

from tune.commands.dispatch import Command, dispatch
from tune.commands.options import add_overwrite_option, command_parser, counted, print_card_warnings, print_written

COMMANDS = {
    "mmgcn-iemocap": Command("MMGCN's IEMOCAP_features.pkl", "tune.commands.imports:mmgcn_iemocap"),
    "mmgcn-meld": Command("MMGCN's MELD_features_raw1.pkl", "tune.commands.imports:mmgcn_meld"),
    "meld-csv": Command("MELD's tables with .npy rows per modality", "tune.commands.imports:meld_csv"),
}
WARNINGS_SHOWN = 5
EXAMPLES = """\
examples:
  dclf data import mmgcn-iemocap IEMOCAP_features.pkl shards/iemocap --text iemocap_roberta.pkl
  dclf data import mmgcn-meld MELD_features_raw1.pkl shards/meld --text meld_roberta.pkl
  dclf data import meld-csv MELD shards/meld --text "MELD/{split}_minilm.npy" --audio timing

Pickles are read by an unpickler that admits NumPy arrays and plain containers only: code in them never runs.
"""


def main(argv: Sequence[str]) -> int:
    """Run the named importer; the exit code."""
    description = "Turn published feature files into Arrow shards, validated on the way."
    return dispatch("dclf data import", description, COMMANDS, argv, epilog=EXAMPLES)


def mmgcn_iemocap(argv: Sequence[str]) -> int:
    """``dclf data import mmgcn-iemocap``: see ``dclf.data.importers.import_mmgcn_iemocap``."""
    return _run("mmgcn-iemocap", _pickle_parser("mmgcn-iemocap", val_dialogues=20), argv)


def mmgcn_meld(argv: Sequence[str]) -> int:
    """``dclf data import mmgcn-meld``: see ``dclf.data.importers.import_mmgcn_meld``."""
    return _run("mmgcn-meld", _pickle_parser("mmgcn-meld", val_dialogues=114), argv)


def meld_csv(argv: Sequence[str]) -> int:
    """``dclf data import meld-csv``: see ``dclf.data.importers.import_meld_csv``."""
    parser = command_parser(
        "dclf data import meld-csv",
        "MELD from {train,dev,test}.csv. A PATTERN names .npy files with one row per CSV row, {split} standing for\n"
        "train, dev and test. Give at least one modality.",
        EXAMPLES,
    )
    parser.add_argument("source", metavar="CSV_DIR", help="folder of the three tables")
    parser.add_argument("out", help="folder or URI for the shards")
    parser.add_argument("--text", metavar="PATTERN", help="rows of text features")
    parser.add_argument("--audio", metavar="PATTERN", help="rows of audio features, or `timing` for the voice's clock")
    parser.add_argument("--visual", metavar="PATTERN", help="rows of visual features")
    return _run("meld-csv", parser, argv)


def _pickle_parser(name: str, val_dialogues: int) -> ArgumentParser:
    parser = command_parser(f"dclf data import {name}", f"Turn {COMMANDS[name].summary} into Arrow shards.", EXAMPLES)
    parser.add_argument("source", metavar="PICKLE", help="the feature pickle")
    parser.add_argument("out", help="folder or URI for the shards")
    parser.add_argument("--text", metavar="PICKLE", help="rows per utterance, such as RoBERTa's, that replace the text")
    parser.add_argument(
        "--text-element",
        dest="text_element",
        metavar="K",
        type=int,
        help="element of the --text pickle that has the rows, counted from 0; needed only where it is not clear",
    )
    parser.add_argument(
        "--val-dialogues",
        type=int,
        default=val_dialogues,
        help="training dialogues to hold out where the pickle has no validation split",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the hold-out")
    return parser


def _run(name: str, parser: ArgumentParser, argv: Sequence[str]) -> int:
    add_overwrite_option(parser)
    options: dict[str, Any] = parser.parse_args(argv).as_dict()
    # Imported here, so that help does not wait.
    from dclf.data import feature_card  # noqa: PLC0415
    from dclf.data.importers import import_dataset  # noqa: PLC0415

    source, out = options.pop("source"), options.pop("out")
    warnings: list[str] = []
    manifest = import_dataset(name, source, out, warn=warnings.append, **options)
    print_written(out, manifest)
    _print_text_element(manifest.info.provenance.get("text"))
    print_card_warnings(feature_card(out))
    _print_warnings(warnings, out)
    return 0


def _print_text_element(text: object) -> None:
    """Which element of several the text came from; nothing where there was no choice."""
    if isinstance(text, dict) and text.get("element") is not None:
        alike = text.get("also as wide", [])
        others = f"; {', '.join(map(str, alike))} are as wide, --text-element K takes another" if alike else ""
        print(f"text: element {text['element']} of {text['file']}, {text['width']} wide{others}")


def _print_warnings(warnings: Sequence[str], out: str) -> None:
    for warning in warnings[:WARNINGS_SHOWN]:
        print(f"warning: {warning}", file=sys.stderr)
    if (rest := len(warnings) - WARNINGS_SHOWN) > 0:
        print(
            f"and {counted(rest, 'further warning')}; all of them: dclf data validate {shlex.quote(out)}",
            file=sys.stderr,
        )
