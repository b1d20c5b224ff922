"""``dclf predict``: the emotions of conversations that nobody labelled, utterance by utterance."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from dclf.modalities import MODALITIES, SPLITS
from tune.commands.next_steps import print_next
from tune.commands.options import (
    add_output_option,
    add_storage_option,
    add_uri_option,
    command_parser,
    listed,
    print_json,
)

if TYPE_CHECKING:
    from tune.analysis.prediction_results import PredictedUtterance, Predictions
    from tune.predictions import RunModel

DESCRIPTION = """\
Predict the emotion of every utterance, with its probability, by a run's best model. Labels are neither needed nor
read. SOURCE is a folder or URI of shards, a file of JSON, or - for JSON from stdin. JSON is a conversation, a list of
them, or an utterance per line; a real-time model answers each line before the next one comes. Words and recordings
become features as those of the run's shards did, where dclf data extract made them.
"""
EXAMPLES = """\
examples:
  dclf predict 3f2a91c0 conversation.json
  dclf predict 3f2a91c0 shards/new --split test --output json > emotions.json
  my-encoder --live | dclf predict mmgcn-iemocap - --speakers agent,caller
  dclf predict 3f2a91c0 conversation.json --encoder text=/models/roberta-large

a conversation in words and recordings, whose paths begin in the file's folder:
  {"utterances": [{"speaker": "Ann", "text": "Hello?", "media": "call.wav", "start": 0.5, "end": 1.2}, ...]}
or with a vector per modality in the widths of the run's shards; null is missing:
  {"utterances": [{"speaker": "Ann", "text": "Hello?", "features": {"text": [0.1, 0.2, ...], "audio": null}}, ...]}
a line: {"speaker": "Ann", "text": "Hello?"}

docs/prediction.md has every key.
"""
STDIN = "-"


def main(argv: Sequence[str]) -> int:
    """Predict as the command line says, and return the exit code."""
    options = build_parser().parse_args(argv)
    # Imported here, so that help does not wait for torch and MLflow.
    from tune.predictions import is_json, load_run, predict_source  # noqa: PLC0415

    speakers = listed(options.speakers)
    encoders = _encoders(options.encoder or ())
    _refuse_misplaced(options, speakers, shards=options.source != STDIN and not is_json(options.source))
    model = load_run(options.run, encoders=encoders, uri=options.uri, storage=options.storage)
    if options.source == STDIN:
        _answer_stdin(model, speakers, as_json=options.output == "json")
    else:
        predictions = predict_source(model, options.source, split=options.split, speakers=speakers)
        _print(predictions, as_json=options.output == "json")
        print_next(options, f"dclf predict {shlex.join(argv)} --output json")
    return 0


def build_parser() -> ArgumentParser:
    """Return a parser with the options of the command."""
    parser = command_parser("dclf predict", DESCRIPTION, EXAMPLES)
    parser.add_argument("run", help="id or name of the run, also of a training of a study")
    parser.add_argument("source", help="shards, a file of JSON, or - for stdin")
    parser.add_argument("--split", choices=SPLITS, help="of shards, the split to predict; all else")
    parser.add_argument(
        "--speakers",
        metavar="A,B",
        default="",
        help="of JSON, names of those with the model's numbers 0, 1 ...; as they come up where absent",
    )
    parser.add_argument(
        "--encoder",
        metavar="MODALITY=FOLDER",
        action="append",
        help="of JSON, where the encoder of text, audio or visual lies now, if not where it lay when the shards were "
        "made; may be given several times",
    )
    add_uri_option(parser)
    add_storage_option(parser)
    add_output_option(parser)
    return parser


def _refuse_misplaced(options: Namespace, speakers: Sequence[str], *, shards: bool) -> None:
    from tune.config.yaml_files import ConfigError  # noqa: PLC0415

    problems = []
    if options.split and not shards:
        problems.append(f"--split: is for shards, {options.source} is JSON; leave it out")
    if speakers and shards:
        problems.append("--speakers: is for JSON, the speakers of shards have numbers; leave it out")
    if len(set(speakers)) < len(speakers):
        problems.append(f"--speakers: must be named once each, are {', '.join(speakers)}")
    if options.encoder and shards:
        problems.append("--encoder: is for JSON, shards have their features; leave it out")
    if problems:
        raise ConfigError(problems)


def _encoders(words: Sequence[str]) -> dict[str, str]:
    """Modality -> folder."""
    from tune.config.yaml_files import ConfigError  # noqa: PLC0415

    pairs = [(modality.strip(), place.strip()) for modality, _, place in (word.partition("=") for word in words)]
    problems = [
        f"--encoder: must be text, audio or visual, = and a folder, is {word}"
        for word, (modality, place) in zip(words, pairs, strict=True)
        if modality not in MODALITIES or not place
    ]
    if problems:
        raise ConfigError(problems)
    return dict(pairs)


def _answer_stdin(model: RunModel, speakers: Sequence[str], *, as_json: bool) -> None:
    from dclf.conversation_text import look_ahead  # noqa: PLC0415
    from tune.predictions import predict_document, predict_lines  # noqa: PLC0415

    lines, streamed = look_ahead(iter(()) if sys.stdin is None else sys.stdin.buffer)
    if not streamed:
        _print(predict_document(model, lines, source="stdin", speakers=speakers), as_json=as_json)
        return
    answers = predict_lines(model, lines, source="stdin", speakers=speakers)
    if as_json:
        for answer in answers:
            print_json(answer.to_dict())
        return
    for line in _streamed_table(answers, max(map(len, model.predictor.info.class_names))):
        print(line, flush=True)


def _print(predictions: Predictions, *, as_json: bool) -> None:
    from tune.analysis.table import text_table  # noqa: PLC0415

    if as_json:
        print_json(predictions.to_dict())
        return
    print(predictions.title)
    for conversation in predictions.conversations:
        print(f"\n{text_table(conversation.table())}")
    sys.stdout.flush()


def _streamed_table(answers: Iterator[PredictedUtterance], emotion: int) -> Iterator[str]:
    """Lines of a table whose rows are not known yet.

    Args:
        answers: its rows.
        emotion: characters of the longest class.
    """
    from tune.analysis.prediction_results import COLUMNS, SPEAKER, WORDS  # noqa: PLC0415

    widths = (SPEAKER, WORDS, max(emotion, len(COLUMNS[2])))
    for number, answer in enumerate(answers):
        for cells in (COLUMNS, answer.cells()) if number == 0 else (answer.cells(),):
            *left, last = cells
            columns = [cell.ljust(width) for cell, width in zip(left, widths, strict=True)]
            yield "  ".join([*columns, last.rjust(len(COLUMNS[3]))])
