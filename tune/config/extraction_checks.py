"""What can be wrong with an extraction, all of it found before the work begins."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from cluster.actors import ActorSettings, check_layout
from dclf.extraction import ExtractionError, ExtractorSettings
from dclf.extraction.choice import choose, with_options
from dclf.extraction.fine_tuning import FineTuningOptions
from dclf.extraction.table import UtteranceTable
from dclf.extraction.text import TextSettings
from dclf.prose import quantity
from tune.config.yaml_files import ConfigError

P = ParamSpec("P")
T = TypeVar("T")


class Checks:
    """Collects what is wrong.

    Attributes:
        problems: each one line or more.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []

    def attempt(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What a function returns; None where it raises, and what is wrong is among the problems."""
        try:
            return function(*args, **kwargs)
        except ConfigError as error:
            self.problems += error.problems
        except (ValueError, OSError) as error:
            self.problems.append(str(error) or type(error).__name__)
        return None

    def modalities(self, extractors: Mapping[str, object], options: Mapping[str, Mapping[str, Any]]) -> None:
        """Check that something is to be extracted, and that nothing else is spoken of."""
        if not extractors:
            self.problems.append("one of --text, --audio and --visual must say what is to be extracted, none is given")
        for modality in options:
            if options[modality] and modality not in extractors:
                first = next(iter(options[modality])).replace("_", "-")
                self.problems.append(f"--{modality}-{first}: is for --{modality}, which is not given")

    def fine_tuning(
        self,
        options: FineTuningOptions | None,
        extractors: Mapping[str, object],
        settings: Mapping[str, ExtractorSettings],
    ) -> None:
        """Check how the encoder of the words is to be fine-tuned."""
        if options is None:
            return
        self.problems += [f"--text-fine-tune: {problem}" for problem in options.problems()]
        if "text" not in extractors or not isinstance(settings.get("text", TextSettings(model="")), TextSettings):
            self.problems.append("--text-fine-tune: is for --text with an encoder of transformers; leave it out")

    def layout(self, actors: ActorSettings, batch_size: int) -> None:
        """Check how the work is to be spread."""
        problems = actors.problems()
        if batch_size < 0:
            problems.append(f"batch_size: must be 0 or more, is {batch_size}")
        for problem in problems:
            name, _, rest = problem.partition(":")
            self.problems.append(f"--{name.replace('_', '-')}:{rest}")
        if not problems:
            self.attempt(check_layout, actors)

    def recordings(
        self, table: UtteranceTable, settings: Mapping[str, ExtractorSettings], media: str | os.PathLike[str] | None
    ) -> None:
        """Check that there are recordings where an extractor reads them.

        Args:
            table: with the utterances.
            settings: modality -> extractor.
            media: folder of the recordings as the user has named it.
        """
        readers = [modality for modality, extractor in settings.items() if extractor.reads == "recording"]
        if media is not None and not os.path.isdir(media):  # noqa: PTH112 - Path raises where a name is too long
            self.problems.append(f"--media {os.fspath(media)}: must be the folder of the recordings, is none")
        elif not readers:
            return
        elif not table.recorded:
            self.problems.append(
                f"--{readers[0]} reads recordings: the table must have a column media with their paths; say which one "
                "it is with --columns media=COLUMN"
            )
        elif not any(u.recording and os.path.exists(u.recording) for u in table.utterances):  # noqa: PTH110 - as above
            first = next((u.recording for u in table.utterances if u.recording), "any")
            self.problems.append(
                f"--{readers[0]} reads recordings: {table.media} must have those of "
                f"{quantity(len(table.utterances), 'utterance')}, has none, such as {first}; name their folder with "
                "--media"
            )


def resolved(modality: str, extractor: str | ExtractorSettings, options: Mapping[str, Any]) -> ExtractorSettings:
    """The settings of an extractor with what tells its encoder from others.

    Args:
        modality: text, audio or visual.
        extractor: settings, or a word that means some, see ``dclf.extraction.choice``.
        options: field of the settings -> value.

    Raises:
        ConfigError: with all that is impossible.
    """
    try:
        settings = (
            choose(modality, extractor, options) if isinstance(extractor, str) else with_options(extractor, options)
        )
        problems = settings.problems()
        if settings.modality != modality:
            problems.append(f"must be an extractor of {modality}, is one of {settings.modality}")
        if not problems:
            return settings.resolve()
    except ExtractionError as error:
        problems = str(error).splitlines()
    raise ConfigError([f"--{modality}: {problem}" for problem in problems])
