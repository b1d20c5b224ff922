"""The planted shares, measured: where emotions come from, who speaks, and which modality shows what."""

from __future__ import annotations

import numpy as np
import pytest

from dclf.data import Dialogue, generate
from dclf.data.generator import CARRIES, World, make_dialogue
from dclf.data.planted import ANSWER, DRAWN, KEEP, KEPT, TAKE, TAKEN, Course, plan_course
from dclf.data.presets import PRESETS, preset_named
from tests.dclf.data.support import assert_same

PRIOR = np.array([0.1, 0.2, 0.3, 0.4])


@pytest.fixture(scope="module")
def course() -> Course:
    return plan_course(np.random.default_rng(0), 20_000, 3, PRIOR)


def test_emotions_are_kept_taken_and_drawn_in_the_planted_shares(course: Course) -> None:
    shares = np.bincount(course.sources, minlength=3) / len(course.sources)
    np.testing.assert_allclose(shares, [KEEP, TAKE, 1 - KEEP - TAKE], atol=0.01)


def test_kept_and_taken_emotions_are_the_last_of_the_right_speaker(course: Course) -> None:
    for i in range(500):
        others = course.speakers[:i] != course.speakers[i]
        matches = {KEPT: ~others, TAKEN: others}.get(int(course.sources[i]))
        if matches is not None:
            assert course.labels[i] == course.labels[np.flatnonzero(matches)[-1]]


def test_drawn_emotions_follow_the_prior(course: Course) -> None:
    drawn = course.labels[course.sources == DRAWN]
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / len(drawn), PRIOR, atol=0.03)


def test_speakers_alternate_as_often_as_planted_and_are_numbered_by_appearance(course: Course) -> None:
    assert np.mean(course.speakers[1:] != course.speakers[:-1]) == pytest.approx(ANSWER, abs=0.01)
    _, first = np.unique(course.speakers, return_index=True)
    assert (np.diff(first) > 0).all()
    assert course.speakers.max() == 2


def test_one_person_alone_keeps_or_draws() -> None:
    alone = plan_course(np.random.default_rng(1), 200, 1, PRIOR)
    assert set(alone.speakers) == {0}
    assert set(alone.sources) == {KEPT, DRAWN}


@pytest.mark.parametrize("modality", ["text", "audio", "visual"])
def test_each_modality_shows_the_emotion_in_its_share_of_utterances(modality: str) -> None:
    shape = preset_named("iemocap")
    world = World.of(shape, 0)
    dialogues = [make_dialogue(shape, world, 0, number, "train") for number in range(60)]
    labels = np.concatenate([d.labels for d in dialogues])
    features = np.concatenate([d.features[modality] for d in dialogues])
    latent = features @ np.linalg.pinv(world.mixing[modality])
    directions = world.emotions[modality]
    # Along the own emotion's direction shown utterances are one full length beyond the others on average.
    along = np.einsum("nr,nr->n", latent, directions[labels]) / (directions[labels] ** 2).sum(1)
    across = np.mean([(latent @ d / (d @ d))[labels != k].mean() for k, d in enumerate(directions)])
    assert along.mean() - across == pytest.approx(CARRIES[modality], abs=0.06)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_dialogue_depends_on_seed_and_number_alone(preset: str) -> None:
    info, few = generate(preset, dialogues=5, seed=2)
    shape = preset_named(preset)
    for number, dialogue in reversed(list(enumerate(few))):
        again = make_dialogue(shape, World.of(shape, 2), 2, number, dialogue.split)
        assert_same(again, dialogue)
        assert dialogue.speakers.max() < info.speaker_count
    more = list(generate(preset, dialogues=9, seed=2)[1])
    first = next(iter(generate(preset, dialogues=5, seed=2)[1]))
    assert_same(more[0], first)


@pytest.mark.parametrize(
    ("preset", "asked", "expected"),
    [
        ("iemocap", None, (100, 20, 31)),
        ("meld", None, (1038, 114, 280)),
        ("iemocap-small", None, (40, 12, 20)),
        ("meld", 3, (1, 1, 1)),
        ("iemocap", 151, (100, 20, 31)),
        ("iemocap", 3020, (2000, 400, 620)),
        ("meld", 20, (14, 2, 4)),
    ],
)
def test_totals_are_shared_in_the_presets_proportions(
    preset: str, asked: int | None, expected: tuple[int, int, int]
) -> None:
    assert tuple(preset_named(preset).split_counts(asked).values()) == expected


@pytest.mark.parametrize(("preset", "utterances"), [("iemocap", 7433), ("meld", 13708)])
def test_lengths_add_up_to_the_real_totals_for_every_seed(preset: str, utterances: int) -> None:
    shape = preset_named(preset)
    for seed in range(20):
        lengths = [shape.length_of(number, seed) for number in range(sum(shape.dialogues))]
        assert sum(lengths) == pytest.approx(utterances, rel=0.02)
        assert min(lengths) >= shape.shortest
        assert max(lengths) <= shape.longest


def test_small_dialogues_have_four_to_sixteen_utterances() -> None:
    dialogues: list[Dialogue] = list(generate("meld-small")[1])
    assert {len(d) for d in dialogues} <= set(range(4, 17))


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed must be 0 or more, is -1"):
        generate("iemocap", seed=-1)
