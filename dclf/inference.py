"""A trained model on its own: what it needs to predict, without optimiser, bank or history."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dclf.config import Config
from dclf.conversation import Speakers, no_features, raw_problems, raw_utterance, unlabelled_dialogue
from dclf.data.batch import collate
from dclf.data.checks import validate_dialogue
from dclf.data.dialogue import MODALITIES, UNLABELLED, DatasetInfo, Dialogue
from dclf.data.errors import DataError
from dclf.data.whole_numbers import is_whole
from dclf.errors import UserError
from dclf.extraction.contract import Utterance
from dclf.extraction.conversations import RunExtractors
from dclf.models.framework import DCLF
from dclf.training.checkpoint import CheckpointError, load_weights

MODEL_FILE = "model.pt"
_REFUSAL = "the utterance cannot be predicted"


class Predictor:
    """The best epoch's model of a run.

    Attributes:
        config: the run's configuration.
        info: the dataset it was trained on: classes, widths, speaker count, provenance.
        model: in evaluation mode, on the CPU.
        extractors: what made its dataset's features, where it is known; they make those of words and recordings.

    Raises:
        CheckpointError: the weights are those of another version of the base model.
    """

    def __init__(self, config: Config, info: DatasetInfo, weights: dict[str, torch.Tensor]) -> None:
        self.config = config
        self.info = info
        self.model = DCLF(info, config.data.modalities, config.model, config.loss)
        load_weights(self.model, weights)
        self.model.eval()
        self.extractors = RunExtractors(self.widths, info.provenance)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities the model reads."""
        return self.model.modalities

    @property
    def widths(self) -> dict[str, int]:
        """Modality -> width of its features, of the modalities the model reads."""
        return {modality: self.info.widths[modality] for modality in self.modalities}

    def session(self, speakers: Sequence[str] = ()) -> Session:
        """A conversation that is going on: utterances one at a time, each answered when it comes.

        Args:
            speakers: names of those with the model's numbers 0, 1 and so on; names are numbered as they come up where
                this is empty.

        Raises:
            ValueError: the model is bidirectional, or knows fewer speakers.
        """
        if not self.config.model.causal:
            raise ValueError(
                "a session needs a causal model, this one is bidirectional (model.causal: false): what it says of an "
                "utterance depends on later ones; predict the whole conversation when it is over"
            )
        return Session(self, speakers)

    def predict(self, dialogues: Sequence[Dialogue], batch_size: int = 32) -> list[NDArray[np.float32]]:
        """Class probabilities per dialogue, float32 [n, C]; causal models use earlier utterances only.

        Labels are not read: those of utterances to predict may be -1.

        Raises:
            DataError: a dialogue lacks a modality, has other widths, or unknown speakers.
            ValueError: ``batch_size`` is no whole number of 1 or more.
        """
        if not is_whole(batch_size) or batch_size < 1:
            raise ValueError(f"batch_size must be a whole number of 1 or more, is {batch_size!r}")
        dialogues = self._checked(dialogues)
        results: list[NDArray[np.float32]] = []
        for start in range(0, len(dialogues), batch_size):
            group = dialogues[start : start + batch_size]
            rows = self.model.predict(collate(group, self.modalities)).numpy()
            results.extend(np.split(rows, np.cumsum([len(dialogue) for dialogue in group])[:-1]))
        return results

    def hear(self, utterance: Dialogue, memory: Any | None) -> tuple[NDArray[np.float32], Any]:
        """Class probabilities of the next utterance, float32 [C], and the memory for the one after it.

        For base models that stream; a ``session`` keeps the memory.

        Args:
            utterance: a dialogue of this utterance alone.
            memory: what the utterance before gave; None at the first.

        Raises:
            DataError: as for ``predict``.
        """
        batch = collate(self._checked([utterance]), self.modalities)
        with torch.no_grad():
            logits, memory = self.model.hear(batch.features, batch.speakers, memory, batch.present)
        probabilities: NDArray[np.float32] = logits[0].float().softmax(-1).numpy()
        return probabilities, memory

    def check(self, info: DatasetInfo, *, labels: bool = True) -> None:
        """Refuse a dataset that the model was not made for.

        Args:
            info: of the dataset, which has the model's modalities.
            labels: whether labels are to be read: the classes must then be the model's.

        Raises:
            DataError: lists other classes, widths or more speakers than the model knows.
        """
        own = self.info
        problems = [
            f"{modality} features must be {own.widths[modality]} wide as in training, are {info.widths[modality]}"
            for modality in self.modalities
            if info.widths[modality] != own.widths[modality]
        ]
        if labels and info.class_names != own.class_names:
            problems.append(f"classes must be {', '.join(own.class_names)}, are {', '.join(info.class_names)}")
        if info.speaker_count > own.speaker_count:
            problems.append(f"the model knows {own.speaker_count} speakers, the shards have {info.speaker_count}")
        if problems:
            raise DataError(problems, "the shards do not fit the model; use shards like those it was trained on")

    def _checked(self, dialogues: Sequence[Dialogue]) -> list[Dialogue]:
        """What the model reads of them; a DataError tells what of it is wrong."""
        dialogues = [self._narrowed(dialogue) for dialogue in dialogues]
        problems = [problem for dialogue in dialogues for problem in validate_dialogue(dialogue, self._expected())]
        if problems:
            raise DataError(problems)
        return dialogues

    def _narrowed(self, dialogue: Dialogue) -> Dialogue:
        # Labels and sentiments are nothing to the model, whatever the dataset called them.
        labels = np.full(len(dialogue), UNLABELLED, np.int32)
        return replace(dialogue.only(self.modalities), labels=labels, sentiments=None)

    def _expected(self) -> DatasetInfo:
        return replace(self.info, widths=self.widths)


class Session:
    """A conversation that is going on, with a causal model; ``Predictor.session`` makes one.

    What it says of an utterance is what ``Predictor.predict`` says of it in the whole dialogue. A base model that
    streams (``BaseModel.hear``) keeps a memory and computes the new utterance alone. For others every call computes
    anew from the features of all utterances so far: the t-th costs what a dialogue of t utterances does. Where the
    model's reach is bounded (AGHMN's window of K), the last K + 1 utterances alone are kept and computed from, and
    every call costs the same.

    Args:
        predictor: the model.
        speakers: as for ``Predictor.session``.

    Attributes:
        speakers: their numbers.
    """

    def __init__(self, predictor: Predictor, speakers: Sequence[str] = ()) -> None:
        self.speakers = Speakers(predictor.info.speaker_count, speakers)
        self._predictor = predictor
        reach = predictor.model.base.reach
        self._heard: deque[Dialogue] = deque(maxlen=None if reach is None else reach + 1)
        self._memory: Any = None
        self._count = 0

    def hear(
        self,
        speaker: str | int | np.integer[Any],
        features: Mapping[str, Any] | None = None,
        *,
        text: str = "",
        media: str | None = None,
        start: float | None = None,
        end: float | None = None,
    ) -> NDArray[np.float32]:
        """Class probabilities of the next utterance, float32 [C]; one that is refused is as if it had not come.

        Args:
            speaker: who says it: a name, or the model's own number.
            features: modality -> vector; one that is None is missing, one that is absent is made of words or recording
                where the predictor's ``extractors`` can, else missing. Others than the model's are not read.
            text: the words.
            media: path of a sound or video file.
            start: second of it at which the utterance begins; at its beginning where None.
            end: second at which it ends; at its end where None.

        Raises:
            ValueError: a speaker that the model cannot know, or no such modality.
            DataError: a vector of another width, or of no finite numbers; no path of a recording; or nothing but words
                or a recording that cannot be made into features.
            ExtractionError, ExtensionError: what makes features cannot be opened.
        """
        own = features or {}
        if unknown := [modality for modality in own if modality not in MODALITIES]:
            raise ValueError(f"features must be of {', '.join(MODALITIES)}, are of {', '.join(unknown)}")
        vectors = self._vectors(own, {"text": text, "media": media, "start": start, "end": end})
        utterance = unlabelled_dialogue("session", np.zeros(1, np.int32), vectors, self._predictor.widths)
        number = np.array([self.speakers.number(speaker)], np.int32)
        probabilities = self._answer(replace(utterance, speakers=number))
        self._count += 1
        return probabilities

    def _answer(self, utterance: Dialogue) -> NDArray[np.float32]:
        if self._predictor.model.base.streams:
            probabilities, self._memory = self._predictor.hear(utterance, self._memory)
            return probabilities
        heard = self._heard.copy()
        heard.append(utterance)
        last: NDArray[np.float32] = self._predictor.predict([_joined(heard)])[0][-1]
        self._heard = heard  # now that it has its answer: who tries again is not heard twice
        return last

    def _vectors(self, own: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Modality -> the vector of an utterance in a list: its own, else made of what it brings."""
        where, extractors = f"utterance {self._count + 1}", self._predictor.extractors
        if problems := [f"{where}: {key} {problem}" for key, problem in raw_problems(raw).items()]:
            raise DataError(problems, _REFUSAL)
        utterance, silent = raw_utterance(raw), not own.keys() & extractors.widths.keys()
        if silent and utterance != Utterance() and not extractors.lacking(own, utterance):
            raise DataError([f"{where}: {no_features(extractors.widths, extractors.reads())}"], _REFUSAL)
        return extractors.vectors([own], [utterance], [where])


def _joined(parts: Sequence[Dialogue]) -> Dialogue:
    """One dialogue of the utterances of several, which have the same modalities."""
    first = parts[0]
    masked = {modality for part in parts for modality in part.present}
    complete = np.ones(1, np.bool_)
    return replace(
        first,
        speakers=np.concatenate([part.speakers for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        features={m: np.concatenate([part.features[m] for part in parts]) for m in first.features},
        present={m: np.concatenate([part.present.get(m, complete) for part in parts]) for m in masked},
    )


def predictor_of(state: dict[str, Any]) -> Predictor:
    """The predictor inside a loaded checkpoint (``dclf.training.checkpoint.load``).

    Raises:
        CheckpointError: it holds no model that this version of dclf knows.
        ExtensionError: what makes its base model cannot be imported.
    """
    return _predictor(state, lambda: state["progress"]["best_model"], "a checkpoint")


def save_model(folder: Path, state: dict[str, Any]) -> None:
    """Write the best model of a checkpoint as a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"config": state["config"], "info": state["info"], "model": state["progress"]["best_model"]}
    torch.save(content, folder / MODEL_FILE)


def load_model(folder: Path | str) -> Predictor:
    """Read what ``save_model`` wrote.

    Raises:
        CheckpointError: the file is absent, broken, or holds no model that this version of dclf knows.
        ExtensionError: what makes its base model cannot be imported.
    """
    path = Path(folder) / MODEL_FILE
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: must hold a trained model, is absent") from None
    except Exception as error:
        raise CheckpointError(f"{path}: cannot be read as a trained model ({error})") from error
    return _predictor(content, lambda: content["model"], str(path))


def _predictor(content: Any, weights: Callable[[], dict[str, torch.Tensor]], where: str) -> Predictor:
    """The predictor of what was stored; CheckpointError where another program, or another version, stored it."""
    try:
        return Predictor(Config.from_dict(content["config"]), DatasetInfo.from_dict(content["info"]), weights())
    except UserError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise CheckpointError(
            f"{where}: must hold a model as this version of dclf stores it, does not "
            f"({type(error).__name__}: {error}); use the version of dclf that wrote it, or check the path"
        ) from error
