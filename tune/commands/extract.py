"""``dclf data extract``: features from raw words, sound and pictures (``tune.extraction``)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentParser, Namespace

from dclf.modalities import MODALITIES
from tune.commands.next_steps import after_shards, print_next
from tune.commands.options import (
    add_log_options,
    add_overwrite_option,
    command_parser,
    print_card_warnings,
    print_json,
    print_written,
)
from tune.config.defaults import FEATURE_CACHE

if TYPE_CHECKING:
    from dclf.data import Manifest
    from dclf.extraction import ExtractorSettings
    from dclf.extraction.choice import Option
    from dclf.extraction.fine_tuning import FineTuningOptions

DESCRIPTION = """\
Extract features from the words, the sound and the pictures of a table's utterances, and write them as shards. The table
is a CSV file with an utterance a row, or the folder of MELD's three tables. An utterance whose recording is missing or
broken has no features there, and a line says why. Needs dclf[extract].
"""
EXAMPLES = """\
examples:
  dclf data extract MELD shards/meld --text roberta-large
  dclf data extract MELD shards/meld --text roberta-large --audio is10 --visual facebook/dinov2-base --media MELD.Raw
  dclf data extract talks.csv shards/talks --columns dialogue=Talk,media=File --text ./my-encoder --audio is10
  dclf data extract MELD shards/meld --text roberta-large --text-fine-tune 3 --gpus 1
  dclf data extract MELD shards/meld --text roberta-large --gpus 0.25 --address head:6379
  dclf data extract talks.csv shards/talks --text mypackage.encoders:MySettings     an own one

A CSV file has the columns of dclf data import csv, and for recordings media (a path below --media), start and end.
What is extracted is kept by content: the same command goes on after any kill, and computes nothing twice.
"""

_FINE_TUNING = ("text_fine_tune", "text_fine_tune_rate", "text_fine_tune_batch", "text_fine_tune_seed")
"""Options that are no settings of an extractor."""


def main(argv: Sequence[str]) -> int:
    """Extract as the command line says, and return the exit code."""
    options = build_parser(argv).parse_args(argv)
    # Imported here, as in every command, so that help does not wait.
    from dclf.data import feature_card  # noqa: PLC0415
    from tune.extraction import ActorSettings, extract  # noqa: PLC0415
    from tune.progress.forms import choose_renderer  # noqa: PLC0415

    actors = ActorSettings(
        address=options.address,
        actors=options.actors,
        cpus_per_actor=options.cpus_per_actor,
        gpus=options.gpus,
        verbose=options.verbose,
    )
    with choose_renderer(options.log, quiet=options.quiet, title="dclf data extract") as renderer:
        manifest = extract(
            options.table,
            options.out,
            **{modality: options[modality] for modality in MODALITIES},
            options={modality: _settings(modality, options) for modality in MODALITIES},
            fine_tune=_fine_tuning(options),
            media=options.media,
            columns=options.columns,
            classes=options.classes,
            dataset=options.dataset,
            actors=actors,
            batch_size=options.batch_size,
            cache=options.cache,
            overwrite=options.overwrite,
            listeners=[renderer],
        )
    if options.log == "jsonl":
        print_json(_result(options.out, manifest))
    else:
        print_written(options.out, manifest)
        print(*feature_lines(manifest), sep="\n")
    print_card_warnings(feature_card(options.out))
    print_next(options, f"dclf data probe {shlex.quote(options.out)}", *after_shards(options.out, manifest))
    return 0


def build_parser(argv: Sequence[str] = ()) -> ArgumentParser:
    """Return a parser with the options of the command, and of the extractors that the command line names."""
    parser = command_parser("dclf data extract", DESCRIPTION, EXAMPLES)
    parser.add_argument("table", help="CSV file with an utterance a row, or folder of MELD's tables")
    parser.add_argument("out", help="folder or URI for the shards")
    parser.add_argument("--text", metavar="MODEL", help="encoder of the words: a folder, or its name on the hub")
    parser.add_argument(
        "--audio", metavar="SET|MODEL", help="is10, egemaps or compare of openSMILE, or an encoder of the sound"
    )
    parser.add_argument("--visual", metavar="MODEL", help="encoder of the pictures: folder, name or ONNX file")
    for modality in MODALITIES:
        _add_settings(parser, modality, argv)
    _add_fine_tuning(parser)
    _add_table_options(parser)
    _add_work_options(parser)
    add_overwrite_option(parser)
    add_log_options(parser)
    return parser


def _add_fine_tuning(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--text-fine-tune",
        type=int,
        default=0,
        metavar="EPOCHS",
        help="fine-tune the encoder of the words first, on the training split alone; 0 not to",
    )
    parser.add_argument("--text-fine-tune-rate", type=float, default=2e-5, metavar="LR", help="its highest step size")
    parser.add_argument("--text-fine-tune-batch", type=int, default=16, metavar="N", help="utterances of a step of it")
    parser.add_argument("--text-fine-tune-seed", type=int, default=0, metavar="N", help="of what it draws")


def _fine_tuning(options: Namespace) -> FineTuningOptions | None:
    from dclf.extraction.fine_tuning import FineTuningOptions  # noqa: PLC0415

    fine_tuning = FineTuningOptions(
        epochs=options.text_fine_tune,
        learning_rate=options.text_fine_tune_rate,
        batch_size=options.text_fine_tune_batch,
        seed=options.text_fine_tune_seed,
    )
    # A step size, say, without any epochs is a mistake, which is told with all others.
    return None if fine_tuning == FineTuningOptions(epochs=0) else fine_tuning


def _add_table_options(parser: ArgumentParser) -> None:
    parser.add_argument("--media", metavar="DIR", help="folder of the recordings; that of the table where absent")
    parser.add_argument(
        "--columns",
        metavar="A=B,...",
        help="of a CSV file, which column is what, as dialogue=Talk,text=Words; of dialogue, speaker, text, emotion, "
        "split, utterance, sentiment, media, start and end. A column of that name needs no mention",
    )
    parser.add_argument(
        "--classes", metavar="A,B,...", help="of a CSV file, the emotions in the order of their numbers"
    )
    parser.add_argument("--dataset", metavar="NAME", help="of a CSV file, name of the data; the file's where absent")


def _add_work_options(parser: ArgumentParser) -> None:
    parser.add_argument("--cache", metavar="DIR", default=FEATURE_CACHE, help="keeps what has been extracted")
    parser.add_argument("--actors", type=int, default=0, metavar="N", help="at a time; 0 for as many as fit")
    parser.add_argument("--cpus-per-actor", type=int, default=1, metavar="N", help="CPU slots, and threads, of each")
    parser.add_argument(
        "--gpus", type=float, default=0.0, metavar="SHARE", help="of a GPU for each actor, such as 0.25"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=0,
        metavar="N",
        help="utterances of a batch; 0 for what suits it",
    )
    parser.add_argument("--address", help="Ray cluster to use; RAY_ADDRESS, then this machine where absent")


def _add_settings(parser: ArgumentParser, modality: str, argv: Sequence[str]) -> None:
    """Add an option for each setting that an extractor of the modality may have, once for all of them."""
    from dclf.extraction.choice import option_fields  # noqa: PLC0415

    offered: set[str] = set()
    for settings, count in _types(modality, argv):
        described = parse_docstring(settings.__doc__ or "")
        texts = {param.arg_name: " ".join((param.description or "").split()) for param in described.params}
        for option in option_fields(settings)[count:]:
            if option.name not in offered:
                word, text = f"--{modality}-{option.name.replace('_', '-')}", texts.get(option.name, "")
                _add_setting(parser, word, option, text.removesuffix(".").replace("``", "`").replace("%", "%%"))
            offered.add(option.name)


def _add_setting(parser: ArgumentParser, word: str, option: Option, text: str) -> None:
    if option.default is False:
        parser.add_argument(word, action="store_const", const=True, help=text)
        return
    # A tuple as it has to be written.
    value = list(option.default) if isinstance(option.default, tuple) else option.default
    default = "" if value in (None, "") else f" (default: {value})"
    parser.add_argument(word, type=option.kind, help=text + default, metavar=option.name.upper())


def _types(modality: str, argv: Sequence[str]) -> Iterator[tuple[type[ExtractorSettings], int]]:
    """Settings of the extractors that ship and of the one that is named, and how many of their fields MODEL says."""
    from dclf.extraction import ExtractionError  # noqa: PLC0415
    from dclf.extraction.choice import SHIPPED, settings_for  # noqa: PLC0415
    from dclf.extraction.registry import settings_type  # noqa: PLC0415

    for name in SHIPPED[modality]:
        yield settings_type(name), 1
    if word := _word_of(f"--{modality}", argv):
        with suppress(ExtractionError):  # told with all other mistakes
            settings, values = settings_for(modality, word)
            yield settings, len(values)


def _word_of(option: str, argv: Sequence[str]) -> str:
    """Return the value after an option of the command line; empty where there is none."""
    pairs = zip(argv, [*argv[1:], ""], strict=False)
    words = [after for word, after in pairs if word == option]
    words += [word.partition("=")[2] for word in argv if word.startswith(f"{option}=")]
    return words[-1] if words else ""


def _settings(modality: str, options: Namespace) -> dict[str, Any]:
    """The settings of an extractor that are given: field -> value."""
    start = f"{modality}_"
    own = {key: value for key, value in options.as_dict().items() if key.startswith(start) and key not in _FINE_TUNING}
    return {key.removeprefix(start): value for key, value in own.items() if value is not None}


def _result(out: str, manifest: Manifest) -> dict[str, Any]:
    """What was written, as JSON has it."""
    provenance = manifest.info.provenance
    return {
        "shards": out,
        "splits": dict(manifest.splits),
        "utterances": sum(shard.utterances for shard in manifest.shards),
        "features": {modality: provenance[modality] for modality in MODALITIES if modality in provenance},
    }


def feature_lines(manifest: Manifest) -> Iterator[str]:
    """What each modality's features are, and what is missing, a line each."""
    for modality in MODALITIES:
        facts = manifest.info.provenance.get(modality)
        if isinstance(facts, Mapping):
            yield f"{modality}: {facts['width']} wide, by {facts['extractor']}"
            if "missing" in facts:
                yield f"{modality}: {facts['missing']}"
