"""Shapes of the generated datasets: sizes as in Table 2 of the paper, widths as the real features have them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Literal, get_args

from dclf.data.dialogue import SPLITS
from dclf.data.emotion_course import Rates
from dclf.data.whole_numbers import whole_number

PresetName = Literal["iemocap", "meld", "iemocap-shifted", "iemocap-small", "meld-small", "iemocap-shifted-small"]
PRESETS: tuple[str, ...] = get_args(PresetName)
GENERATED = "generated-"
"""How the names of generated data begin."""
GENERATOR = "generate"
"""The ``importer`` in the provenance of generated data."""

IEMOCAP_CLASSES = ("happy", "sad", "neutral", "angry", "excited", "frustrated")
MELD_CLASSES = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
MELD_SPEAKERS = 9
"""Most in one of MELD's dialogues."""

CARRIES = {"text": 0.60, "audio": 0.45, "visual": 0.30}
"""Share of utterances whose modality shows the emotion."""
_GOLDEN = (math.sqrt(5) - 1) / 2
_SILVER = math.sqrt(2) - 1


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One generated dataset.

    Attributes:
        class_names: the real dataset's emotions, in its order.
        class_counts: utterances of each emotion in the real dataset; the shape of the prior.
        widths: modality -> D_m.
        dialogues: dialogues of train, val and test.
        length: median and log-deviation of the log-normal distribution of utterances per dialogue.
        shortest: lower bound of the length.
        longest: upper bound of the length.
        speakers: most speakers in one dialogue; two-party where 2.
        carries: modality -> share of utterances whose features show the emotion.
        rates: where emotions come from.
        test_keep: share of utterances of the test split that keep the speaker's own last emotion; as in the other
            splits where None.
    """

    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    widths: Mapping[str, int]
    dialogues: tuple[int, int, int]
    length: tuple[float, float]
    shortest: int
    longest: int
    speakers: int
    carries: Mapping[str, float] = field(default_factory=lambda: dict(CARRIES))
    rates: Rates = field(default_factory=Rates)
    test_keep: float | None = None

    def with_test_keep(self, test_keep: float | None) -> Preset:
        """The same with another ``test_keep``, unless that is None; ValueError where it is no share."""
        if test_keep is None:
            return self
        if not 0 <= test_keep <= 1:
            raise ValueError(f"test_keep must be a share from 0 to 1, is {test_keep}")
        return replace(self, test_keep=float(test_keep))

    def rates_in(self, split: str) -> Rates:
        """Where emotions come from in this split. Val is as train: whoever selects must not have seen the shift."""
        if split != "test" or self.test_keep is None:
            return self.rates
        return self.rates.with_keep(self.test_keep)

    def length_of(self, number: int, seed: int) -> int:
        """Utterances of the dialogue of this number.

        Quantiles follow a golden-ratio sequence instead of being drawn: the total of any run of dialogues then stays
        close to its expectation, as a real dataset's does.
        """
        quantile = (0.5 + (number + 1) * _GOLDEN + seed * _SILVER) % 1.0
        median, deviation = self.length
        length = median * math.exp(deviation * NormalDist().inv_cdf(min(max(quantile, 1e-9), 1 - 1e-9)))
        return min(max(round(length), self.shortest), self.longest)

    def split_counts(self, dialogues: int | None) -> dict[str, int]:
        """Dialogues per split for a total, in the preset's proportions and at least one each."""
        if dialogues is None:
            return dict(zip(SPLITS, self.dialogues, strict=True))
        if whole_number(dialogues, "dialogues") < len(SPLITS):
            raise ValueError(f"dialogues must be at least {len(SPLITS)}, one for each split, is {dialogues}")
        whole = sum(self.dialogues)
        val, test = (max(1, round(dialogues * share / whole)) for share in self.dialogues[1:])
        return dict(zip(SPLITS, (dialogues - val - test, val, test), strict=True))


_IEMOCAP_COUNTS = (648, 1084, 1708, 1103, 1041, 1849)
_MELD_COUNTS = (6436, 1636, 358, 1002, 2308, 361, 1607)
_SMALL_WIDTHS = {"text": 24, "audio": 32, "visual": 16}

_PRESETS: dict[str, Preset] = {
    "iemocap": Preset(
        class_names=IEMOCAP_CLASSES,
        class_counts=_IEMOCAP_COUNTS,
        widths={"text": 100, "audio": 1582, "visual": 342},
        dialogues=(100, 20, 31),
        length=(46.4, 0.345),
        shortest=8,
        longest=110,
        speakers=2,
    ),
    "meld": Preset(
        class_names=MELD_CLASSES,
        class_counts=_MELD_COUNTS,
        widths={"text": 600, "audio": 300, "visual": 342},
        dialogues=(1038, 114, 280),
        length=(8.05, 0.60),
        shortest=1,
        longest=33,
        speakers=9,
    ),
    "iemocap-small": Preset(
        class_names=IEMOCAP_CLASSES,
        class_counts=_IEMOCAP_COUNTS,
        widths=_SMALL_WIDTHS,
        dialogues=(40, 12, 20),
        length=(9.6, 0.35),
        shortest=4,
        longest=16,
        speakers=2,
    ),
    "meld-small": Preset(
        class_names=MELD_CLASSES,
        class_counts=_MELD_COUNTS,
        widths=_SMALL_WIDTHS,
        dialogues=(40, 12, 20),
        length=(9.6, 0.35),
        shortest=4,
        longest=16,
        speakers=5,
    ),
}
for _name in ("iemocap", "iemocap-small"):
    # Features say less of an emotion than elsewhere, so that what was said before has something to add.
    _PRESETS[_name.replace("iemocap", "iemocap-shifted")] = replace(
        _PRESETS[_name],
        carries={"text": 0.40, "audio": 0.30, "visual": 0.20},
        rates=Rates(keep=0.50, take=0.10, reply=0.25),
        test_keep=0.15,
    )


def preset_named(name: str) -> Preset:
    """The preset of this name; ValueError lists the known ones."""
    if name not in _PRESETS:
        raise ValueError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return _PRESETS[name]
