"""Features from a table of raw words and recordings: what ``dclf data extract`` does, for notebooks too.

>>> import tune
>>> tune.extract("MELD", "shards/meld", text="roberta-large", audio="is10", media="MELD.Raw")  # doctest: +SKIP

What has been extracted is kept in a cache by the content that it is of, so that whatever ends the work, the same call
goes on where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from cluster.actors import ActorSettings
from cluster.extraction import RowSource, extraction_workers
from cluster.fine_tuning import FineTuningWork, fine_tuned
from cluster.signals import Terminated
from dclf.data import Manifest
from dclf.data.dialogue import MODALITIES
from dclf.data.importers.conversations import assemble
from dclf.data.writer import refuse_filled, write_shards
from dclf.extraction import ExtractionError, ExtractorSettings
from dclf.extraction.cache import FeatureCache, require_folder
from dclf.extraction.contents import Key, recording_digests, recording_keys, text_keys
from dclf.extraction.features import first_lines
from dclf.extraction.fine_tuning import FineTuningEpoch, FineTuningOptions
from dclf.extraction.table import UtteranceTable, read_table
from dclf.extraction.text import TextSettings
from dclf.extraction.work import ModalityWork
from dclf.prose import join_words, quantity
from tune.config.defaults import FEATURE_CACHE
from tune.config.extraction_checks import Checks, resolved
from tune.config.yaml_files import ConfigError
from tune.progress.extraction_counter import ExtractionCounter
from tune.progress.interactive import listening
from tune.study.events import ExtractionStarted, Listener, send

__all__ = ["ActorSettings", "extract"]

REASONS_SHOWN = 10
"""Of each modality, utterances that a line is logged for."""

Place = str | PathLike[str]
Extractor = str | ExtractorSettings
"""A model or an extractor as ``dclf data extract`` takes it, or settings."""
_log = logging.getLogger(__name__)


def extract(  # noqa: PLR0913 - a table's options beside those of the work
    table: Place,
    out: Place,
    *,
    text: Extractor | None = None,
    audio: Extractor | None = None,
    visual: Extractor | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    fine_tune: FineTuningOptions | None = None,
    media: Place | None = None,
    columns: str | None = None,
    classes: str | None = None,
    dataset: str | None = None,
    actors: ActorSettings | None = None,
    batch_size: int = 0,
    cache: Place = FEATURE_CACHE,
    overwrite: bool = False,
    listeners: Sequence[Listener] | None = None,
    progress: str = "auto",
) -> Manifest:
    """Extract features of a table's utterances and write them with their labels as shards.

    Everything is checked before the work begins. An utterance whose words or recording cannot be read has no features
    in that modality, and a warning is logged for the first ones.

    Args:
        table: a CSV file with an utterance a row, or the folder of MELD's tables, see
            ``dclf.extraction.table.read_table``.
        out: folder or URI of the shards.
        text: model of the words, or settings of an extractor.
        audio: is10, egemaps or compare of openSMILE, model of the sound, or settings of an extractor.
        visual: model of the pictures, or settings of an extractor.
        options: modality -> settings of the extractor that its model or name leaves open, such as
            ``{"text": {"pooling": "mean"}}``.
        fine_tune: how the encoder of the words is fine-tuned first, on the labelled utterances of the training split
            alone; not at all where None.
        media: folder of the recordings; that of the table where None.
        columns: of a CSV file, which column is what, such as dialogue=Talk,text=Words.
        classes: of a CSV file, the emotions in the order of their numbers, with commas between.
        dataset: of a CSV file, name of the data.
        actors: where the work is done; an actor a CPU of this machine where None.
        batch_size: utterances that an extractor gets at a time; 0 for what suits it.
        cache: folder for what has been extracted.
        overwrite: replace a shard set that is already there.
        listeners: are called when the work begins and as it goes on.
        progress: how it is shown, as for ``tune.train``.

    Raises:
        ConfigError: something is impossible: with every mistake at once.
        ExtractionError: an extractor fails, processes were lost too often, or nothing could be read in a modality.
        ConnectionError: there is no cluster at the address.
        DataError: the dialogues are not valid.
        OSError: files cannot be read or written.
    """
    actors, options = actors or ActorSettings(), options or {}
    extractors = {m: e for m, e in zip(MODALITIES, (text, audio, visual), strict=True) if e is not None}
    checks = Checks()
    checks.modalities(extractors, options)
    checks.layout(actors, batch_size)
    if not overwrite:
        checks.attempt(refuse_filled, out)
    settings = {
        m: s
        for m, extractor in extractors.items()
        if (s := checks.attempt(resolved, m, extractor, options.get(m, {}))) is not None
    }
    utterances = checks.attempt(read_table, table, media, columns=columns, classes=classes, dataset=dataset)
    if utterances is not None:
        checks.recordings(utterances, settings, media)
    checks.fine_tuning(fine_tune, extractors, settings)
    checks.attempt(require_folder, cache)
    if checks.problems or utterances is None:
        raise ConfigError(checks.problems)
    with listening(listeners, progress) as audience:
        with _kept_in(cache):
            if fine_tune is not None:
                settings["text"] = _fine_tuned(settings["text"], utterances, fine_tune, actors, Path(cache))
            parts = _parts(utterances, settings, Path(cache), audience)
            _compute(parts, utterances, actors, batch_size, audience)
        return _write(parts, utterances, out, overwrite=overwrite)


@contextmanager
def _kept_in(cache: Place) -> Iterator[None]:
    """Say what becomes of the work that is cut short."""
    try:
        yield
    except (KeyboardInterrupt, Terminated, ExtractionError):
        _log.warning("what was extracted stays in %s: the same command goes on from there", fspath(cache))
        raise


def _fine_tuned(
    settings: ExtractorSettings,
    table: UtteranceTable,
    options: FineTuningOptions,
    actors: ActorSettings,
    cache: Path,
) -> ExtractorSettings:
    """The settings of the encoder that has learnt from the training split; it lies in the cache."""
    assert isinstance(settings, TextSettings)  # Checks.fine_tuning
    classes, conversations = len(table.transcript.corpus.class_names), table.transcript.conversations
    work = FineTuningWork.of(settings, conversations, classes, options, cache)
    _log.info("fine-tuning %s on %s of the training split", settings.model, quantity(len(work.texts), "utterance"))
    return fine_tuned(work, actors, _say_epoch)


def _say_epoch(epoch: FineTuningEpoch) -> None:
    _log.info("fine-tuning: epoch %d of %d, loss %.4f, %.1f s", epoch.number, epoch.epochs, epoch.loss, epoch.seconds)


def _parts(
    table: UtteranceTable,
    settings: Mapping[str, ExtractorSettings],
    cache: Path,
    listeners: Sequence[Listener],
) -> list[ModalityWork]:
    """What there is to do for each modality; reads the recordings, where there are any, to know what is cached."""
    digests: Mapping[str, Key] = {}
    if any(extractor.reads == "recording" for extractor in settings.values()):
        paths = [utterance.recording for utterance in table.utterances if utterance.recording]
        progress = ExtractionCounter("recordings looked at", len({*paths}), listeners)
        digests = recording_digests(paths, progress.add)
    return [
        ModalityWork(
            settings=extractor,
            table=table,
            keys=text_keys(table.utterances)
            if extractor.reads == "text"
            else recording_keys(table.utterances, digests),
            cache=FeatureCache(cache, extractor),
        )
        for extractor in settings.values()
    ]


def _compute(
    parts: Sequence[ModalityWork],
    table: UtteranceTable,
    actors: ActorSettings,
    batch_size: int,
    listeners: Sequence[Listener],
) -> None:
    """Put what the cache lacks into it."""
    modalities = join_words([part.modality for part in parts])
    title = f"{modalities} of {len(table.utterances):,} utterances of {table.transcript.corpus.name}"

    def started(lines: Sequence[str]) -> None:
        send(ExtractionStarted(title, [*(part.describe() for part in parts), *lines]), listeners)

    if not any(part.pending for part in parts):
        started(["everything is in the cache"])
        return
    with extraction_workers(actors, started, batch_size) as workers:
        for part in parts:
            if part.pending:
                _stream(part, workers, listeners)


def _stream(part: ModalityWork, workers: RowSource, listeners: Sequence[Listener]) -> None:
    keys, places = list(part.pending), list(part.pending.values())
    utterances = [part.table.utterances[place] for place in places]
    names = [part.table.names[place] for place in places]
    progress = ExtractionCounter(
        part.modality, len(part.keys), listeners, cached=part.ready - part.empty, done=part.ready
    )
    with closing(workers.extract(part.settings, utterances, names)) as stream, part.cache.writer() as writer:
        for arrived in stream:
            fresh = [keys[place] for place in arrived.places]
            writer.add(fresh, arrived.rows)
            progress.add(part.arrived(fresh, arrived.rows))


def _write(parts: Sequence[ModalityWork], table: UtteranceTable, out: Place, *, overwrite: bool) -> Manifest:
    rows = {part.modality: part.rows() for part in parts}
    for modality, features in rows.items():
        for line in first_lines(features.reasons(), REASONS_SHOWN, "utterance"):
            _log.warning("%s: %s", modality, line)
    if problems := [problem for features in rows.values() for problem in features.problems()]:
        raise ExtractionError("\n".join(problems))
    transcript = table.transcript
    provenance = {
        "importer": "extract",
        **transcript.provenance,
        "extraction": {part.modality: part.settings.facts() for part in parts},
        **{part.modality: {"extractor": part.name, **rows[part.modality].facts()} for part in parts},
    }
    info, dialogues = assemble(transcript.corpus, transcript.conversations, rows, provenance)
    zeros: list[str] = []
    manifest = write_shards(dialogues, out, info, overwrite=overwrite, warn=zeros.append)
    for line in first_lines(zeros, REASONS_SHOWN, "dialogue"):
        _log.warning("%s", line)
    return manifest
