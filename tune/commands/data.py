"""``dclf data``: make, look at and check Arrow shards. ``dclf data import`` is in ``imports``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dclf.prose import counted
from tune.commands.dispatch import Command, dispatch
from tune.commands.options import (
    add_output_option,
    add_overwrite_option,
    command_parser,
    print_card_warnings,
    print_json,
    print_written,
)
from tune.config.yaml_files import ConfigError

COMMANDS = {
    "generate": Command("write generated dialogues with planted structure", "tune.commands.data:generate"),
    "import": Command("turn published feature files into shards", "tune.commands.imports:main"),
    "inspect": Command("print the feature card of shards", "tune.commands.data:inspect"),
    "validate": Command("read every shard and report what would spoil a run", "tune.commands.data:validate"),
}
EXAMPLES = """\
examples:
  dclf data generate shards/demo --preset iemocap --dialogues 60 --seed 1
  dclf data import mmgcn-iemocap IEMOCAP_features.pkl shards/iemocap --text iemocap_roberta.pkl
  dclf data inspect shards/demo
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
        choices=("iemocap", "meld", "iemocap-small", "meld-small"),
        default="iemocap",
        help="sizes and widths; the small ones have short dialogues and narrow features",
    )
    parser.add_argument("--dialogues", type=int, help="how many, over all splits; as many as the preset's where absent")
    parser.add_argument("--seed", type=int, default=0, help="another seed is another dataset")
    add_overwrite_option(parser)
    options = parser.parse_args(argv)
    # Imported here, as in every command, so that help does not wait.
    from dclf import data  # noqa: PLC0415

    try:
        info, dialogues = data.generate(options.preset, options.dialogues, options.seed)
    except ValueError as error:
        raise ConfigError([f"--{error}"]) from error
    print_written(options.out, data.write_shards(dialogues, options.out, info, overwrite=options.overwrite))
    print_card_warnings(data.feature_card(options.out))
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
        print(
            f"{options.shards}: {counted(len(report.problems), 'problem')}, {counted(len(report.warnings), 'warning')}"
        )
    return 1 if report.problems else 0
