"""What a comparison's models cost: parameters, seconds per epoch, and milliseconds per utterance of a conversation.

Measured once, when all models are trained, and noted in the study's ledger; reading it needs neither torch nor Ray.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from cluster.machine import torch_threads
from tune.study.folder import StudyFolder
from tune.study.history import read_history

if TYPE_CHECKING:
    from dclf.data.dialogue import Dialogue
    from dclf.inference import Predictor

SPEED = "speed"
"""Kind of the ledger's notes with what a trial's models cost."""
HEARD = 100
"""Utterances of the test split, dialogue after dialogue, that the time of one is the mean of."""
_FIRST = 3
"""Utterances that are heard before the clock starts: the first call makes what the others find."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What the models of a variant cost.

    Attributes:
        parameters: numbers that training changes, DCLF's own among them.
        epoch_s: seed -> seconds of an epoch, the median of its training, on whatever it was trained on beside whatever
            ran there.
        utterance_ms: a conversation's next utterance, in milliseconds on one thread of a CPU; None for a bidirectional
            model, which cannot say anything before the conversation is over.
        heard: utterances that this is the mean of.
    """

    parameters: int
    epoch_s: Mapping[int, float]
    utterance_ms: float | None
    heard: int


def speeds_of(folder: StudyFolder) -> dict[int, Speed]:
    """Trial -> what its models cost, as far as it was measured."""
    return {note["number"]: _read(note) for note in folder.ledger.notes if note["kind"] == SPEED}


def unmeasured(folder: StudyFolder) -> list[int]:
    """The complete trials that were not measured."""
    measured = speeds_of(folder)
    return [
        trial.number
        for trial in folder.ledger.trials.values()
        if trial.state == "complete" and trial.number not in measured
    ]


def measure_speeds(folder: StudyFolder) -> None:
    """Measure what was not measured before, in this process and with nothing else of the study running.

    Args:
        folder: the study, which this process drives; all of its trials have ended.

    Raises:
        CheckpointError: a model is gone.
        DataError: the shards do not fit it.
    """
    # Imported here: who only reads needs no models.
    from dclf.data import read_shards  # noqa: PLC0415
    from tune.analysis.perturbation.scorer import read_predictor  # noqa: PLC0415

    shards = read_shards(folder.definition.base.data.shards)
    for number in unmeasured(folder):
        seeds = sorted(folder.ledger.trials[number].runs)
        predictor = read_predictor(folder.fetched(number, seeds[0]))
        heard, spent = time_of_utterances(predictor, shards.select("test", predictor.modalities))
        folder.ledger.note(
            SPEED,
            number=number,
            parameters=sum(weights.numel() for weights in predictor.model.parameters() if weights.requires_grad),
            epoch_s={str(seed): _epoch_seconds(folder, number, seed) for seed in seeds},
            utterance_ms=1000 * spent / heard if heard else None,
            heard=heard,
        )


def time_of_utterances(predictor: Predictor, dialogues: Iterable[Dialogue], count: int = HEARD) -> tuple[int, float]:
    """How many utterances a model heard one by one, each answered when it came, and the seconds that it took.

    Args:
        predictor: the model; a bidirectional one hears none.
        dialogues: whose utterances, from the first on.
        count: utterances at most.
    """
    if not predictor.config.model.causal:
        return 0, 0.0
    heard, spent = 0, 0.0
    with torch_threads(1):
        for dialogue in dialogues:
            if not heard:
                _hear(predictor, dialogue, _FIRST)
            began = time.perf_counter()
            heard += _hear(predictor, dialogue, count - heard)
            spent += time.perf_counter() - began
            if heard >= count:
                break
    return heard, spent


def _hear(predictor: Predictor, dialogue: Dialogue, most: int) -> int:
    """Let a new session hear the first ``most`` utterances of a dialogue, and return how many there were."""
    session = predictor.session()
    places = range(min(len(dialogue), most))
    for place in places:
        lacking = [modality for modality, mask in dialogue.present.items() if not mask[place]]
        features = {m: None if m in lacking else rows[place] for m, rows in dialogue.features.items()}
        session.hear(int(dialogue.speakers[place]), features)
    return len(places)


def _epoch_seconds(folder: StudyFolder, number: int, seed: int) -> float | None:
    """None where no epoch is known."""
    seconds = [epoch.seconds for epoch in read_history(folder.fetched(number, seed))]
    return median(seconds) if seconds else None


def _read(note: Mapping[str, Any]) -> Speed:
    return Speed(
        parameters=note["parameters"],
        epoch_s={int(seed): seconds for seed, seconds in note["epoch_s"].items() if seconds is not None},
        utterance_ms=note["utterance_ms"],
        heard=note["heard"],
    )
