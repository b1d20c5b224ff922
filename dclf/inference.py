"""A trained model on its own: what it needs to predict, without optimiser, bank or history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dclf.config import Config
from dclf.data.batch import collate
from dclf.data.checks import validate_dialogue
from dclf.data.dialogue import DatasetInfo, Dialogue
from dclf.data.errors import DataError
from dclf.models.framework import DCLF
from dclf.training.checkpoint import CheckpointError

MODEL_FILE = "model.pt"


class Predictor:
    """The best epoch's model of a run.

    Attributes:
        config: the run's configuration.
        info: the dataset it was trained on: classes, widths, speaker count.
        model: in evaluation mode, on the CPU.
    """

    def __init__(self, config: Config, info: DatasetInfo, weights: dict[str, torch.Tensor]) -> None:
        self.config = config
        self.info = info
        self.model = DCLF(info, config.data.modalities, config.model, config.loss)
        self.model.load_state_dict(weights)
        self.model.eval()

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities the model reads."""
        return self.model.modalities

    def predict(self, dialogues: Sequence[Dialogue], batch_size: int = 32) -> list[NDArray[np.float32]]:
        """Class probabilities per dialogue, float32 [n, C]; causal models use earlier utterances only.

        Labels are not read: those of utterances to predict may be -1.

        Raises:
            DataError: a dialogue lacks a modality, has other widths, or unknown speakers.
        """
        dialogues = [self._narrowed(dialogue) for dialogue in dialogues]
        problems = [problem for dialogue in dialogues for problem in validate_dialogue(dialogue, self._expected())]
        if problems:
            raise DataError(problems)
        results: list[NDArray[np.float32]] = []
        for start in range(0, len(dialogues), batch_size):
            group = dialogues[start : start + batch_size]
            rows = self.model.predict(collate(group, self.modalities)).numpy()
            results.extend(np.split(rows, np.cumsum([len(dialogue) for dialogue in group])[:-1]))
        return results

    def check(self, info: DatasetInfo) -> None:
        """Refuse a dataset that the model was not made for.

        Raises:
            DataError: lists other classes, widths or more speakers than the model knows.
        """
        known = self.info
        problems = [
            f"{modality} features must be {known.widths[modality]} wide as in training, are {info.widths[modality]}"
            for modality in self.modalities
            if info.widths[modality] != known.widths[modality]
        ]
        if info.class_names != known.class_names:
            problems.append(f"classes must be {', '.join(known.class_names)}, are {', '.join(info.class_names)}")
        if info.speaker_count > known.speaker_count:
            problems.append(f"the model knows {known.speaker_count} speakers, the shards have {info.speaker_count}")
        if problems:
            raise DataError(problems, "the shards do not fit the model; use shards like those it was trained on")

    def _narrowed(self, dialogue: Dialogue) -> Dialogue:
        # Sentiments are nothing to the model, whatever the dataset called them.
        return replace(dialogue.only(self.modalities), sentiments=None)

    def _expected(self) -> DatasetInfo:
        return replace(self.info, widths={m: self.info.widths[m] for m in self.modalities})


def predictor_of(state: dict[str, Any]) -> Predictor:
    """The predictor inside a loaded checkpoint (``dclf.training.checkpoint.load``)."""
    return Predictor(
        Config.from_dict(state["config"]), DatasetInfo.from_dict(state["info"]), state["progress"]["best_model"]
    )


def save_model(folder: Path, state: dict[str, Any]) -> None:
    """Write the best model of a checkpoint as a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"config": state["config"], "info": state["info"], "model": state["progress"]["best_model"]}
    torch.save(content, folder / MODEL_FILE)


def load_model(folder: Path | str) -> Predictor:
    """Read what ``save_model`` wrote.

    Raises:
        CheckpointError: the file is absent or broken.
    """
    path = Path(folder) / MODEL_FILE
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: must hold a trained model, is absent") from None
    except Exception as error:
        raise CheckpointError(f"{path}: cannot be read as a trained model ({error})") from error
    return Predictor(Config.from_dict(content["config"]), DatasetInfo.from_dict(content["info"]), content["model"])
