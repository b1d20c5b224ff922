"""Generated dialogues that plant what the paper is about, so that tests can know the truth.

Emotions follow ``dclf.data.emotion_course``. Each modality shows the emotion in some utterances only; the topic and,
where people reply, the remark colour the text; a speaker's offset and noise are always there. A model of single
utterances must therefore fail where a model of the conversation need not. Utterance i of speaker a has in modality m

x_i^m = z_i^m W^m + 0.3 e
z_i^m = s_i^m E^m[y_i] + [m is text] (T[k] + Q[v_i]) + o_a^m + e'

n  utterances           W^m  mixing [R, D_m]              s_i^m  1 where the modality shows the emotion, else 0
D_m  width of m         E^m  emotions [C, R]              o_a^m  offset of the speaker, deviation 0.5 per axis
R  latent width         T  topics [K, R], k the topic     e, e'  standard normal noise
C  emotions             Q  remarks [C, R], v_i what i says
K  topics               y_i  emotion
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import DatasetInfo, Dialogue
from dclf.data.emotion_course import ANSWER, Course, plan_course
from dclf.data.presets import GENERATED, GENERATOR, Preset, preset_named
from dclf.data.whole_numbers import whole_number

STRENGTH = 4.5
"""Length of an emotion's direction in latent space, where noise has deviation 1 per axis."""
TOPIC_STRENGTH = 2.0
REMARK_STRENGTH = 3.5
SPEAKER_STRENGTH = 0.5
"""Deviation of a speaker's offset per latent axis."""
FLOOR_NOISE = 0.3
"""Deviation of each feature's own noise."""
TOPICS = 8
TOPIC_BIAS = 1.0
"""Deviation of a topic's log-prior about the dataset's."""
LATENT = 24

_WORLD = 0x776F726C64  # keeps the world's stream of random numbers apart from those of the dialogues

Matrix = NDArray[np.float32]


def generate(
    preset: str, dialogues: int | None = None, seed: int = 0, *, test_keep: float | None = None
) -> tuple[DatasetInfo, Iterator[Dialogue]]:
    """Dialogues with planted structure.

    A dialogue's content depends on (preset, seed, its number) alone, so any share of them can be made anywhere; the
    split goes by number.

    Args:
        preset: iemocap, meld, iemocap-shifted, or one of the three with ``-small`` behind it.
        dialogues: how many in all, splits in the preset's proportions; the preset's own number where None.
        seed: 0 or more; another seed is another dataset.
        test_keep: share of utterances that keep the speaker's own last emotion in the test split; what else emotions
            come from shares the rest as in train. Train and val keep the preset's share. The preset's where None: of
            the shifted ones another than train's, of the others the same.

    Returns:
        The dataset facts, under the name ``generated-<preset>``, and the dialogues as a stream.
    """
    shape = preset_named(preset).with_test_keep(test_keep)
    if whole_number(seed, "seed") < 0:
        raise ValueError(f"seed must be 0 or more, is {seed}")
    counts = shape.split_counts(dialogues)
    info = DatasetInfo(
        dataset=f"{GENERATED}{preset}",
        class_names=shape.class_names,
        widths=dict(shape.widths),
        speaker_count=shape.speakers,
        provenance={
            "importer": GENERATOR,
            "preset": preset,
            "seed": seed,
            "dialogues": counts,
            "planted": planted(shape),
        },
    )
    return info, _stream(shape, counts, seed)


def planted(shape: Preset) -> dict[str, object]:
    """What is planted, for the provenance; what a preset does not plant is not named."""
    rates = shape.rates
    shares = {
        "keep": rates.keep,
        "take": rates.take,
        "answer": ANSWER,
        "carries": dict(shape.carries),
        "topics": TOPICS,
    }
    replies = {"reply": rates.reply, "remarks": len(shape.class_names)} if rates.reply else {}
    shift = {} if shape.test_keep is None else {"test_keep": shape.test_keep}
    return shares | replies | shift


def _stream(shape: Preset, counts: dict[str, int], seed: int) -> Iterator[Dialogue]:
    world = World.of(shape, seed)
    splits = (split for split, count in counts.items() for _ in range(count))
    for number, split in enumerate(splits):
        yield make_dialogue(shape, world, seed, number, split)


@dataclass(frozen=True, eq=False)
class World:
    """What all dialogues of a seed share.

    Attributes:
        priors: [K, C], each topic's distribution over emotions.
        emotions: modality -> [C, R], an emotion's direction.
        topics: [K, R], a topic's colour in the text.
        mixing: modality -> [R, D_m], from latent space to features.
        remarks: [C, R], the colour in the text of what is said.
        replies: [K, C], each topic's reply to each remark. Every emotion replies to one remark; two kinds of topics
            take turns, and no remark has the same reply in both.
    """

    priors: NDArray[np.float64]
    emotions: dict[str, Matrix]
    topics: Matrix
    mixing: dict[str, Matrix]
    remarks: Matrix
    replies: NDArray[np.int64]

    @classmethod
    def of(cls, shape: Preset, seed: int) -> World:
        """The world of a preset and a seed."""
        rng = np.random.default_rng([_WORLD, seed])
        emotions, mixing = {}, {}
        for modality, width in shape.widths.items():
            latent = min(LATENT, width)
            emotions[modality] = STRENGTH * _directions(rng, len(shape.class_names), latent)
            mixing[modality] = rng.standard_normal((latent, width), dtype=np.float32) / np.float32(math.sqrt(latent))
        latent, classes = emotions["text"].shape[1], len(shape.class_names)
        topics = TOPIC_STRENGTH * _directions(rng, TOPICS, latent)
        priors = _priors(rng, shape)
        # What came later is drawn later: the rest of a seed's world is what it was.
        remarks = REMARK_STRENGTH * _directions(rng, classes, latent)
        kinds = np.arange(TOPICS)[:, None] % 2
        replies = rng.permutation(classes)[(np.arange(classes) + kinds) % classes]
        return cls(priors, emotions, topics, mixing, remarks, replies)


def _directions(rng: np.random.Generator, count: int, latent: int) -> Matrix:
    basis, _ = np.linalg.qr(rng.standard_normal((latent, count)))
    directions: Matrix = basis.T.astype(np.float32)
    return directions


def _priors(rng: np.random.Generator, shape: Preset) -> NDArray[np.float64]:
    logits = np.log(np.array(shape.class_counts)) + TOPIC_BIAS * rng.standard_normal((TOPICS, len(shape.class_names)))
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    priors: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return priors


def make_dialogue(shape: Preset, world: World, seed: int, number: int, split: str) -> Dialogue:
    """The dialogue of this number."""
    rng = np.random.default_rng([seed, number])
    voices = 2 if shape.speakers == 2 else min(shape.speakers, 1 + int(rng.geometric(0.45)))
    topic = int(rng.integers(TOPICS))
    length, rates = shape.length_of(number, seed), shape.rates_in(split)
    course = plan_course(rng, length, voices, world.priors[topic], rates, world.replies[topic])
    return Dialogue(
        dialogue_id=f"dialogue-{number:05d}",
        split=split,
        speakers=course.speakers,
        labels=course.labels,
        features={modality: _features(rng, shape, world, modality, course, topic) for modality in shape.widths},
    )


def _features(
    rng: np.random.Generator, shape: Preset, world: World, modality: str, course: Course, topic: int
) -> Matrix:
    directions, mixing = world.emotions[modality], world.mixing[modality]
    length, latent = len(course.labels), directions.shape[1]
    signal = rng.random(length) < shape.carries[modality]
    offsets = SPEAKER_STRENGTH * rng.standard_normal((int(course.speakers.max()) + 1, latent), dtype=np.float32)
    hidden = rng.standard_normal((length, latent), dtype=np.float32) + offsets[course.speakers]
    hidden += signal[:, None] * directions[course.labels]
    if modality == "text":
        hidden += world.topics[topic]
        if course.remarks is not None:
            hidden += world.remarks[course.remarks]
    noise = FLOOR_NOISE * rng.standard_normal((length, mixing.shape[1]), dtype=np.float32)
    features: Matrix = hidden @ mixing + noise
    return features
