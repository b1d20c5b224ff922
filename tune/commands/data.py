"""``dclf data``: make, look at and check Arrow shards. ``import`` is in ``imports``, ``extract`` in ``extract``."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from jsonargparse.typing import ClosedUnitInterval, PositiveInt

from dclf.modalities import SPLITS
from dclf.prose import quantity
from tune.analysis.table import aligned
from tune.commands.dispatch import Command, dispatch
from tune.commands.next_steps import after_shards, print_next, training_line
from tune.commands.options import (
    add_output_option,
    add_overwrite_option,
    command_parser,
    listed,
    print_card_warnings,
    print_json,
    print_written,
)
from tune.config.yaml_files import ConfigError

if TYPE_CHECKING:
    from dclf.data import Dialogue

PROGRESS_SECONDS = 5.0
"""Between two lines on how many dialogues are written."""
COMMANDS = {
    "generate": Command("write generated dialogues with planted structure", "tune.commands.data:generate"),
    "import": Command("turn published feature files into shards", "tune.commands.imports:main"),
    "extract": Command("features from raw words, sound and pictures, as shards", "tune.commands.extract:main"),
    "head": Command("show some dialogues as a person reads them", "tune.commands.data:head"),
    "export": Command("write shards in a form that other programs read", "tune.commands.data:export"),
    "inspect": Command("print the feature card of shards", "tune.commands.data:inspect"),
    "probe": Command("what a linear probe of each modality reaches, and a check for leaks", "tune.commands.data:probe"),
    "bayes": Command("the best that a model can do on generated dialogues", "tune.commands.data:bayes"),
    "validate": Command("read every shard and report what would spoil a run", "tune.commands.data:validate"),
}
EXAMPLES = """\
examples:
  dclf data generate shards/demo --preset iemocap --dialogues 60 --seed 1
  dclf data generate shards/shifted --preset iemocap-shifted
  dclf data bayes shards/shifted
  dclf data import features IEMOCAP_features.pkl shards/iemocap --text iemocap_features_roberta.pkl
  dclf data extract MELD shards/meld --text roberta-large --audio is10 --media MELD.Raw
  dclf data head shards/demo -n 2
  dclf data inspect shards/demo
  dclf data export shards/demo demo.pkl --format mmgcn
"""


def main(argv: Sequence[str]) -> int:
    """Run the named command, and return the exit code."""
    return dispatch("dclf data", "Make, look at and check Arrow shards.", COMMANDS, argv, epilog=EXAMPLES)


def generate(argv: Sequence[str]) -> int:
    """``dclf data generate``: see ``dclf.data.generate``."""
    parser = command_parser(
        "dclf data generate",
        "Write generated dialogues shaped like IEMOCAP or MELD. The course of the emotions, their traces in each\n"
        "modality and the topics are planted, so that a result can be judged; the same seed gives the same shards.",
        EXAMPLES,
    )
    parser.add_argument("out", help="folder or URI for the shards")
    parser.add_argument(
        "--preset",
        choices=("iemocap", "meld", "iemocap-shifted", "iemocap-small", "meld-small", "iemocap-shifted-small"),
        default="iemocap",
        help="sizes and widths; of the shifted ones emotions also reply to what was said, and on test seldom keep; the "
        "small ones have short dialogues and narrow features",
    )
    parser.add_argument("--dialogues", type=int, help="how many, over all splits; as many as the preset's where absent")
    parser.add_argument("--seed", type=int, default=0, help="another seed is another dataset")
    parser.add_argument(
        "--test-keep",
        type=ClosedUnitInterval,
        help="share of the test split's utterances that keep the speaker's own last emotion; train and val, on which "
        "models are trained and selected, have the preset's, and so has test where absent",
    )
    add_overwrite_option(parser)
    options = parser.parse_args(argv)
    # Imported here, as in every command, so that help does not wait.
    from dclf import data  # noqa: PLC0415

    try:
        info, dialogues = data.generate(options.preset, options.dialogues, options.seed, test_keep=options.test_keep)
    except ValueError as error:
        raise ConfigError([f"--{error}"]) from error
    splits: Any = info.provenance["dialogues"]
    counted = _counted(dialogues, sum(splits.values()))
    manifest = data.write_shards(counted, options.out, info, overwrite=options.overwrite)
    print_written(options.out, manifest)
    print_card_warnings(data.feature_card(options.out))
    print_next(options, *after_shards(options.out, manifest))
    return 0


def _counted(dialogues: Iterable[Dialogue], total: int) -> Iterator[Dialogue]:
    """The dialogues; every few seconds stderr hears how many have gone by."""
    last = time.monotonic()
    for count, dialogue in enumerate(dialogues):
        if time.monotonic() - last >= PROGRESS_SECONDS:
            last = time.monotonic()
            print(f"{count:,} of {total:,} dialogues", file=sys.stderr)
        yield dialogue


def head(argv: Sequence[str]) -> int:
    """``dclf data head``: see ``dclf.data.readable``."""
    parser = command_parser(
        "dclf data head",
        "Show dialogues as a person reads them: speaker, emotion and words of every utterance, and what is missing.",
        "examples:\n  dclf data head shards/demo -n 2\n  dclf data head shards/demo --split val\n",
    )
    parser.add_argument("shards", help="folder or URI of the shards")
    parser.add_argument("-n", "--dialogues", type=PositiveInt, default=2, help="how many, from the first on")
    parser.add_argument("--split", choices=SPLITS, help="of this split only")
    options = parser.parse_args(argv)
    from dclf import data  # noqa: PLC0415

    shards = data.read_shards(options.shards, split=options.split)
    print("\n\n".join(data.readable(dialogue, shards.info) for dialogue in islice(shards, options.dialogues)))
    return 0


def export(argv: Sequence[str]) -> int:
    """``dclf data export``: see ``dclf.data.export_shards``."""
    parser = command_parser(
        "dclf data export",
        "Write shards in a form that other programs read: a folder of Parquet files for Hugging Face's datasets, an\n"
        "archive of NumPy arrays, or the pickle of MMGCN and its successors. Features keep every bit.",
        "examples:\n"
        "  dclf data export shards/demo demo-dataset --format huggingface\n"
        "  dclf data export shards/demo demo.npz --format npz\n"
        "  dclf data export shards/demo demo.pkl --format mmgcn\n",
    )
    parser.add_argument("shards", help="folder or URI of the shards")
    parser.add_argument("out", help="the file or, for huggingface, the folder to write")
    parser.add_argument("--format", choices=("huggingface", "npz", "mmgcn"), required=True, help="the form")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    options = parser.parse_args(argv)
    from dclf import data  # noqa: PLC0415

    written = data.export_shards(options.shards, options.out, options.format, overwrite=options.overwrite)
    for line in (*map(str, written.files), *written.notes):
        print(line)
    return 0


def inspect(argv: Sequence[str]) -> int:
    """``dclf data inspect``: see ``dclf.data.feature_card``."""
    parser = command_parser(
        "dclf data inspect",
        "Print the feature card: splits, classes, utterances without label or features, emotion shifts, lengths,\n"
        "widths, provenance and hashes.",
        "examples:\n  dclf data inspect shards/demo\n  dclf data inspect s3://bucket/shards --output json\n",
    )
    parser.add_argument("shards", help="folder or URI of the shards")
    add_output_option(parser)
    options = parser.parse_args(argv)
    from dclf import data  # noqa: PLC0415

    card = data.feature_card(options.shards)
    if options.output == "json":
        print_json(card.to_dict())
    else:
        print(card.to_text(), end="")
    print_card_warnings(card)
    print_next(options, *(f"dclf data {verb} {shlex.quote(options.shards)}" for verb in ("validate", "probe")))
    return 0


def probe(argv: Sequence[str]) -> int:
    """``dclf data probe``: see ``dclf.data.probe_shards``; exit code 1 where features have probably seen labels."""
    parser = command_parser(
        "dclf data probe",
        "Train a linear probe on each modality: its weighted F1 on held-out training dialogues, on val and on test.\n"
        "Features that score above train on val or test by more than chance allows have probably seen those labels.\n"
        "The result is kept beside the shards, where the feature card shows it.",
        "examples:\n  dclf data probe shards/demo\n  dclf data probe shards/demo --modalities text --output json\n",
    )
    parser.add_argument("shards", help="folder or URI of the shards")
    parser.add_argument("--modalities", default="", help="only these, such as text,audio; the result is not kept then")
    parser.add_argument("--seed", type=int, default=0, help="draws the folds of the training dialogues")
    add_output_option(parser)
    options = parser.parse_args(argv)
    from dclf import data  # noqa: PLC0415

    modalities = listed(options.modalities) or None
    report = data.probe_shards(options.shards, modalities=modalities, seed=options.seed)
    if options.output == "json":
        print_json(report.to_dict())
    else:
        print(*aligned(list(report.table()), right=range(1, 6)), sep="\n")
    for warning in report.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if modalities is None:
        try:
            data.write_probe(options.shards, report)
        except OSError as error:
            print(f"warning: the result cannot be kept beside the shards ({error})", file=sys.stderr)
    if not report.warnings:
        info = data.read_shards(options.shards).info
        print_next(options, training_line(options.shards, info.dataset, info.widths))
    return 1 if report.warnings else 0


def bayes(argv: Sequence[str]) -> int:
    """``dclf data bayes``: see ``dclf.data.bayes_shards``."""
    parser = command_parser(
        "dclf data bayes",
        "What the best answers reach on the test split of generated dialogues, given all utterances up to the one in\n"
        "question: no real-time model exceeds it but by chance. Beside it what is left to those who do not know the\n"
        "shares of test, or do not hear the words that emotions reply to. Takes up to a minute or so; the result is\n"
        "kept beside the shards, where the feature card shows it.",
        "examples:\n  dclf data bayes shards/shifted\n  dclf data bayes shards/shifted --modalities text\n",
    )
    parser.add_argument("shards", help="folder or URI of generated shards")
    parser.add_argument("--modalities", default="", help="only these, such as text,audio; the result is not kept then")
    add_output_option(parser)
    options = parser.parse_args(argv)
    from dclf import data  # noqa: PLC0415

    modalities = listed(options.modalities) or None
    report = data.bayes_shards(options.shards, modalities=modalities)
    if options.output == "json":
        print_json(report.to_dict())
    else:
        print(*aligned(list(report.table()), right=range(1, 5)), sep="\n")
    if modalities is None:
        try:
            data.write_bayes(options.shards, report)
        except OSError as error:
            print(f"warning: the result cannot be kept beside the shards ({error})", file=sys.stderr)
    return 0


def validate(argv: Sequence[str]) -> int:
    """``dclf data validate``: see ``dclf.data.validate_shards``; exit code 1 where there are problems."""
    parser = command_parser(
        "dclf data validate",
        "Read every shard and report damage, disagreeing lengths, labels out of range, numbers that are not finite,\n"
        "dialogues in two splits, splits that are empty or have no label, and classes that no utterance has. Says how\n"
        "many utterances lack a label, or features in a modality.",
        "examples:\n  dclf data validate shards/demo\n",
    )
    parser.add_argument("shards", help="folder or URI of the shards")
    add_output_option(parser)
    options = parser.parse_args(argv)
    from dclf import data  # noqa: PLC0415

    report = data.validate_shards(options.shards)
    if options.output == "json":
        sparse = {"unlabelled": report.unlabelled, "missing": report.missing}
        print_json({"problems": report.problems, "warnings": report.warnings, **sparse})
    else:
        for kind, lines in (("problem", report.problems), ("warning", report.warnings), ("note", report.notes)):
            for line in lines:
                print(f"{kind}: {line}", file=sys.stderr)
        counts = quantity(len(report.problems), "problem"), quantity(len(report.warnings), "warning")
        print(f"{options.shards}: {', '.join(counts)}")
    if not report.problems:
        info = data.read_shards(options.shards).info
        print_next(options, training_line(options.shards, info.dataset, info.widths))
    return 1 if report.problems else 0
