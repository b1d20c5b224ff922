"""How well a model stands substituted contexts and emotion shifts on the validation split, while it is trained.

One draw of ECCS and one of EICS (section 5.5), both fixed, so that all models meet the same substitutions. Replacements
are utterances of the split's other dialogues.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dclf.data.dialogue import DatasetInfo
from dclf.data.index import DialogueIndex
from dclf.data.shifts import emotion_shifts
from dclf.metrics import shift_scores
from dclf.models.framework import DCLF
from dclf.perturb.conversations import Conversations
from dclf.perturb.draw import Kind, substitute_context
from dclf.perturb.scoring import Outcome, score_raw, score_substituted
from dclf.perturb.substitutions import Substitutions
from dclf.training.batches import CachedSplit
from dclf.training.workers import Workers

SEED, DRAW = 0, 0
KINDS: tuple[Kind, ...] = ("eccs", "eics")


@dataclass(frozen=True, kw_only=True)
class _ScorableModel:
    """A model in training as a ``dclf.perturb.Scorable``."""

    info: DatasetInfo
    modalities: tuple[str, ...]
    model: DCLF


class RobustScores:
    """Scores models of one run. The first worker scores all dialogues, so that how many there are changes nothing.

    Args:
        info: the dataset.
        index: of the validation split, without ``dclf.training.preflight.robustness_problems``.
        split: this worker's share of it.
        workers: all of them.
    """

    def __init__(self, info: DatasetInfo, index: DialogueIndex, split: CachedSplit, workers: Workers) -> None:
        self._info = info
        self._index = index
        self._split = split
        self._workers = workers
        self._ready = False
        self._conversations: Conversations | None = None
        self._draws: tuple[Substitutions, ...] = ()

    def of(self, model: DCLF) -> dict[str, float]:
        """``dclf.training.reports.ROBUST_SCORES`` of a model, the same on every worker; all call it together."""
        if not self._ready:
            self._gather(model.modalities)
        own = {} if self._conversations is None else self._scores(model, self._conversations)
        return next(scores for scores in self._workers.gather(own) if scores)

    def _gather(self, modalities: tuple[str, ...]) -> None:
        """Bring all workers' dialogues to the first one, and draw their contexts."""
        shares = self._workers.gather_first(list(self._split))
        self._ready = True
        if self._workers.rank:
            return
        dialogues = [dialogue for share in shares for dialogue in share]
        self._conversations = Conversations.of(dialogues, modalities, self._index)
        self._draws = tuple(substitute_context(self._index, self._index, kind, seed=SEED, draw=DRAW) for kind in KINDS)

    def _scores(self, model: DCLF, dialogues: Conversations) -> dict[str, float]:
        scorable = _ScorableModel(info=self._info, modalities=model.modalities, model=model)
        device = str(self._workers.device)
        scores = {
            f"{draw.kind}/wf1": score_substituted(scorable, dialogues, dialogues, draw, device=device).scores["wf1"]
            for draw in self._draws
        }
        return {**scores, "shift/wf1": _shift_wf1(score_raw(scorable, dialogues, device=device), dialogues)}


def _shift_wf1(raw: Outcome, dialogues: Conversations) -> float:
    spans = zip(dialogues.offsets, dialogues.offsets + dialogues.lengths, strict=True)
    shifts = [emotion_shifts(dialogues.labels[start:end], dialogues.speakers[start:end]) for start, end in spans]
    labelled = np.concatenate(shifts)[dialogues.labels >= 0]
    return shift_scores(raw.targets, raw.predictions, labelled, raw.class_names)["shift/wf1"]
