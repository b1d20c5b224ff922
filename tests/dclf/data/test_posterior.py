"""What a listener believes, against every hypothesis written out, and against how often the listener is right."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dclf.data import Dialogue
from dclf.data.emotion_course import Rates
from dclf.data.generator import FLOOR_NOISE, SPEAKER_STRENGTH, TOPICS, World, make_dialogue
from dclf.data.posterior import emotion_posteriors, thinned
from dclf.data.presets import Preset, preset_named

TINY = Preset(
    class_names=("glad", "sad"),
    class_counts=(2, 3),
    widths={"text": 9, "audio": 3},
    dialogues=(1, 1, 1),
    length=(4, 0.1),
    shortest=4,
    longest=4,
    speakers=2,
    carries={"text": 0.4, "audio": 0.3},
    rates=Rates(keep=0.4, take=0.1, reply=0.3),
    test_keep=0.2,
)


def all_hypotheses(shape: Preset, world: World, rates: Rates, dialogue: Dialogue, n: int) -> NDArray[np.float64]:
    """The probability of utterance n's emotion: everything unknown enumerated, the offsets in one covariance of all."""
    speakers = dialogue.speakers[:n]
    voices = 2 if rates.reply else 1
    one = list(itertools.product(range(2), range(voices), *[(0, 1)] * len(dialogue.features)))
    labels, remarks, *signals = np.moveaxis(np.array(list(itertools.product(one, repeat=n))), 2, 0)
    same = (speakers[:, None] == speakers).astype(np.float64)
    weights = np.zeros((TOPICS, len(labels)))
    for topic in range(TOPICS):
        weights[topic] = _log_prior(world, rates, topic, speakers, labels, remarks)
        for (modality, features), signal in zip(dialogue.features.items(), signals, strict=True):
            share, mixing = shape.carries[modality], world.mixing[modality].astype(np.float64)
            weights[topic] += np.log(np.where(signal, share, 1 - share)).sum(1)
            latent = signal[..., None] * world.emotions[modality].astype(np.float64)[labels]
            if modality == "text":
                latent = latent + world.topics[topic] + (world.remarks[remarks] if rates.reply else 0)
            inner = mixing.T @ mixing
            covariance = np.kron(SPEAKER_STRENGTH**2 * same + np.eye(n), inner)
            root = np.linalg.cholesky(covariance + FLOOR_NOISE**2 * np.eye(len(covariance)))
            rest = (features[:n].astype(np.float64) - latent @ mixing).reshape(len(labels), -1)
            weights[topic] -= (np.linalg.solve(root, rest.T) ** 2).sum(0) / 2
    joint = np.exp(weights - weights.max()).sum(0)
    posterior: NDArray[np.float64] = np.bincount(labels[:, -1], weights=joint / joint.sum()).astype(np.float64)
    return posterior


def _log_prior(
    world: World,
    rates: Rates,
    topic: int,
    speakers: NDArray[np.int32],
    labels: NDArray[np.int64],
    remarks: NDArray[np.int64],
) -> NDArray[np.float64]:
    prior = np.zeros(len(labels))
    for i, speaker in enumerate(speakers):
        own = np.flatnonzero(speakers[:i] == speaker)
        other = np.flatnonzero(speakers[:i] != speaker)
        draw, likely = 1.0, np.zeros(len(labels))
        if own.size:
            draw -= rates.keep
            likely += rates.keep * (labels[:, i] == labels[:, own[-1]])
        if other.size:
            draw -= rates.take + rates.reply
            likely += rates.take * (labels[:, i] == labels[:, other[-1]])
            likely += rates.reply * (labels[:, i] == world.replies[topic, remarks[:, other[-1]]])
        prior += np.log(likely + draw * world.priors[topic, labels[:, i]])
    return prior


@pytest.mark.slow
@pytest.mark.parametrize("shape", [TINY, replace(TINY, rates=Rates(), test_keep=None)], ids=["replies", "no replies"])
def test_it_is_what_all_hypotheses_together_say(shape: Preset) -> None:
    world, rates = World.of(shape, 0), shape.rates_in("test")
    for number, n in ((1, 2), (1, 3), (4, 3), (6, 3)):
        dialogue = make_dialogue(shape, world, 0, number, "test")
        posteriors = emotion_posteriors(world, rates, shape.carries, dialogue, limit=10**6)
        expected = all_hypotheses(shape, world, rates, dialogue, n)
        np.testing.assert_allclose(posteriors[n - 1], expected, rtol=1e-7, atol=1e-9)


def test_few_hypotheses_come_close() -> None:
    world, rates = World.of(TINY, 0), TINY.rates_in("test")
    for number in range(1, 5):
        dialogue = make_dialogue(TINY, world, 0, number, "test")
        exact, few = (emotion_posteriors(world, rates, TINY.carries, dialogue, limit=limit) for limit in (10**6, 50))
        np.testing.assert_allclose(few, exact, atol=0.02)


def test_nothing_later_is_read_and_labels_are_not() -> None:
    world = World.of(TINY, 0)
    dialogue = make_dialogue(TINY, world, 0, 1, "test")
    changed = {modality: np.concatenate([rows[:3], rows[:1]]) for modality, rows in dialogue.features.items()}
    other = replace(dialogue, features=changed, labels=1 - dialogue.labels)
    one, two = (
        emotion_posteriors(world, TINY.rates, TINY.carries, each, limit=10**6)[:3] for each in (dialogue, other)
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("preset", ["iemocap-small", "iemocap-shifted-small", "meld-small"])
def test_a_listener_is_right_as_often_as_believed(preset: str) -> None:
    shape = preset_named(preset)
    world = World.of(shape, 0)
    believed, right = [], []
    for number in range(30):
        dialogue = make_dialogue(shape, world, 0, number, "test")
        posteriors = emotion_posteriors(world, shape.rates_in("test"), shape.carries, dialogue, limit=60)
        believed += posteriors.max(axis=1).tolist()
        right += (posteriors.argmax(axis=1) == dialogue.labels).tolist()
    expected = np.array(believed)
    deviation = np.sqrt((expected * (1 - expected)).sum())
    assert sum(right) == pytest.approx(expected.sum(), abs=3 * deviation)


def test_thinning_keeps_the_heavy_and_every_expectation() -> None:
    rng = np.random.default_rng(0)
    weights = np.concatenate([[0.4, 0.3], rng.random(200) * 0.003, [0.0]])
    sums = np.zeros(len(weights))
    for _ in range(4000):
        places, new = thinned(weights, 20, rng)
        assert len(places) == len(set(places.tolist())) <= 20
        assert new[places < 2].tolist() == [0.4, 0.3]
        sums[places] += new
    assert sums[-1] == 0
    np.testing.assert_allclose(sums / 4000, weights, atol=5 * np.sqrt(0.003 * weights.sum() / 18 / 4000))


def test_where_all_have_room_all_stay() -> None:
    places, weights = thinned(np.array([0.2, 0.0, 0.8]), 2, np.random.default_rng(0))
    assert places.tolist() == [0, 2]
    assert weights.tolist() == [0.2, 0.8]
