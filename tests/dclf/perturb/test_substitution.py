"""What is substituted: emotions, dialogues, seeds, against the definition utterance by utterance."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dclf.data import DialogueIndex, generate, read_shards, write_shards
from dclf.perturb import (
    KINDS,
    Conversations,
    Kind,
    own_context,
    read_substitutions,
    substitute_context,
    write_substitutions,
)
from dclf.perturb.substitutions import OWN, Substitutions
from tests.dclf.perturb.support import POOL, conversations, dialogue_of, emotion_lists, sparse_lists

kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 2**64 - 1)


def assert_same(actual: Substitutions, expected: Substitutions) -> None:
    assert (actual.kind, actual.seed, actual.draw, actual.pool) == (
        expected.kind,
        expected.seed,
        expected.draw,
        expected.pool,
    )
    assert actual.dialogue_ids == expected.dialogue_ids
    assert actual.positions.dtype == np.int32
    np.testing.assert_array_equal(actual.lengths, expected.lengths)
    np.testing.assert_array_equal(actual.positions, expected.positions)


@given(emotion_lists(), emotion_lists(), kinds, seeds, st.integers(0, 5), st.booleans())
def test_emotions_and_dialogues_of_every_replacement(
    emotions: list[list[int]], others: list[list[int]], kind: Kind, seed: int, draw: int, shared: bool
) -> None:
    targets = conversations("t", emotions)
    pool = conversations("t" if shared else "p", POOL + others)
    drawn = substitute_context(targets, pool, kind, seed=seed, draw=draw)
    assert len(drawn.positions) == sum(len(e) * (len(e) - 1) // 2 for e in emotions)
    for name, labels in zip(targets.dialogue_ids, emotions, strict=True):
        for position in range(len(labels)):
            replaced = drawn.context(name, position)
            same = pool.labels[replaced] == labels[:position]
            assert same.all() if kind == "eccs" else not same.any()
            assert all(pool.dialogue_ids[number] != name for number in pool.dialogue_of[replaced])


@given(sparse_lists(), sparse_lists(), kinds, seeds, st.booleans())
def test_the_unlabelled_stay_and_stand_in_for_nobody(
    emotions: list[list[int]], others: list[list[int]], kind: Kind, seed: int, shared: bool
) -> None:
    targets, pool = conversations("t", emotions), conversations("t" if shared else "p", POOL + others)
    drawn = substitute_context(targets, pool, kind, seed=seed)
    for name, labels in zip(targets.dialogue_ids, emotions, strict=True):
        for position in range(len(labels)):
            replaced, before = drawn.context(name, position), np.array(labels[:position], int)
            assert (replaced == OWN).tolist() == (before < 0).tolist()
            emotion = pool.labels[replaced[before >= 0]]
            assert (emotion >= 0).all()
            assert ((emotion == before[before >= 0]) == (kind == "eccs")).all()
            assert all(pool.dialogue_ids[number] != name for number in pool.dialogue_of[replaced[before >= 0]])


@pytest.mark.parametrize("kind", KINDS)
def test_unlabelled_utterances_of_the_pool_change_no_chance(kind: Kind) -> None:
    targets, pool = conversations("t", [[0, 1]]), conversations("p", [[-1, 0, -1], [1, -1, 0], [2, 0]])
    draws = [substitute_context(targets, pool, kind, seed=3, draw=k).positions[0] for k in range(600)]
    fits = [row for row, label in enumerate(pool.labels) if label >= 0 and (label == 0) == (kind == "eccs")]
    assert sorted(set(draws)) == fits
    assert min(draws.count(row) for row in fits) > 0.7 * 600 / len(fits)


@given(emotion_lists(), kinds, seeds, st.randoms(use_true_random=False))
def test_a_draw_is_a_function_of_dialogue_and_position_alone(
    emotions: list[list[int]], kind: Kind, seed: int, random: object
) -> None:
    pool = conversations("p", POOL)
    whole = substitute_context(conversations("t", emotions), pool, kind, seed=seed)
    names = list(range(len(emotions)))
    random.shuffle(names)  # type: ignore[attr-defined]
    subset = names[: len(names) // 2 + 1]
    some = Conversations.of([dialogue_of(f"t{n}", emotions[n]) for n in subset], ("text",))
    part = substitute_context(some, pool, kind, seed=seed)
    for n in subset:
        for position in range(len(emotions[n])):
            np.testing.assert_array_equal(part.context(f"t{n}", position), whole.context(f"t{n}", position))


@given(emotion_lists(), kinds, seeds)
def test_seeds_reproduce(emotions: list[list[int]], kind: Kind, seed: int) -> None:
    targets, pool = conversations("t", emotions), conversations("p", POOL)
    assert_same(
        substitute_context(targets, pool, kind, seed=seed, draw=2),
        substitute_context(targets, pool, kind, seed=seed, draw=2),
    )


def test_seed_draw_target_and_position_each_change_the_draw() -> None:
    targets, pool = conversations("t", [[0] * 40, [0] * 40]), conversations("p", [[0] * 500])
    first = substitute_context(targets, pool, "eccs", seed=0)
    for other in (substitute_context(targets, pool, "eccs", seed=s, draw=d) for s, d in ((1, 0), (0, 1))):
        assert np.mean(first.positions == other.positions) < 0.02
    assert np.mean(first.context("t0", 39) == first.context("t1", 39)) < 0.2
    assert np.mean(first.context("t0", 39)[:38] == first.context("t0", 38)) < 0.2
    assert len(np.unique(first.context("t0", 39))) > 30


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_qualify_are_equally_likely(kind: Kind) -> None:
    pool = conversations("t", [[0, 1, 2, 0, 1], *POOL, [1, 2]])
    targets = conversations("t", [[0, 1]])
    draws = [substitute_context(targets, pool, kind, seed=3, draw=k).positions[0] for k in range(3000)]
    fits = [r for r in range(5, len(pool.labels)) if (pool.labels[r] == 0) == (kind == "eccs")]
    counts = np.array([draws.count(row) for row in fits])
    assert counts.sum() == len(draws)
    expected = len(draws) / len(fits)
    # The 99.99 % quantile of chi-square with up to 9 degrees of freedom is below 34.
    assert ((counts - expected) ** 2 / expected).sum() < 34


def test_own_context_stands_for_itself() -> None:
    targets = conversations("t", [[0, 1, 2], [1], [2, 2]])
    own = own_context(targets)
    assert [own.context("t0", i).tolist() for i in range(3)] == [[], [0], [0, 1]]
    assert [own.context("t2", i).tolist() for i in range(2)] == [[], [4]]


@pytest.mark.parametrize(
    ("pool", "kind", "message"),
    [
        ([[1, 1]], "eccs", "dialogue t0.*the same emotion for label 0"),
        ([[0, 0]], "eics", "dialogue t0.*a different emotion for label 0"),
    ],
)
def test_an_emotion_without_replacement_is_named(pool: list[list[int]], kind: Kind, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        substitute_context(conversations("t", [[0, 1]]), conversations("p", pool), kind, seed=0)


def test_only_other_dialogues_count_as_replacements() -> None:
    targets = conversations("t", [[0, 1]])
    with pytest.raises(ValueError, match="the same emotion for label 0"):
        substitute_context(targets, targets, "eccs", seed=0)


def test_the_last_utterance_needs_no_replacement() -> None:
    drawn = substitute_context(conversations("t", [[1, 2]]), conversations("p", [[1]]), "eccs", seed=0)
    assert drawn.positions.tolist() == [0]


def test_impossible_requests_are_refused() -> None:
    targets, pool = conversations("t", [[0]]), conversations("p", POOL)
    with pytest.raises(ValueError, match="kind must be one of eccs, eics, is 'cut'"):
        substitute_context(targets, pool, "cut", seed=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="draw must be 0 or more"):
        substitute_context(targets, pool, "eccs", seed=0, draw=-1)
    with pytest.raises(ValueError, match=r"draw must be a whole number, is 1\.5"):
        substitute_context(targets, pool, "eccs", seed=0, draw=1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"labels must be whole numbers, is 0\.5 at utterance 0"):
        substitute_context(replace(targets, labels=np.array([0.5])), pool, "eccs", seed=0)
    with pytest.raises(ValueError, match=r"labels must be whole numbers, is 2\.5 at utterance 2"):
        substitute_context(
            targets, replace(pool, labels=pool.labels + np.eye(1, len(pool.labels), 2)[0] / 2), "eccs", seed=0
        )
    with pytest.raises(ValueError, match=r"dialogue t0: speakers must be whole numbers, is 0\.5 at utterance 1"):
        Conversations.of([replace(dialogue_of("t0", [0, 1]), speakers=np.array([0, 0.5]))], ("text",))
    with pytest.raises(KeyError, match="utterance 1 of dialogue 't0'"):
        substitute_context(targets, pool, "eccs", seed=0).context("t0", 1)


@given(emotion_lists(), kinds, seeds)
def test_the_stored_form_is_whole(emotions: list[list[int]], kind: Kind, seed: int) -> None:
    drawn = substitute_context(conversations("t", emotions), conversations("p", POOL), kind, seed=seed, draw=1)
    assert_same(Substitutions.from_table(drawn.to_table()), drawn)


def test_files_round_trip_and_damage_is_named(tmp_path: Path) -> None:
    drawn = substitute_context(conversations("t", [[0, 1, 2]]), conversations("p", POOL), "eics", seed=7)
    write_substitutions(drawn, tmp_path / "eics.arrow")
    assert_same(read_substitutions(tmp_path / "eics.arrow"), drawn)
    assert [path.name for path in tmp_path.iterdir()] == ["eics.arrow"]
    (tmp_path / "broken.arrow").write_bytes((tmp_path / "eics.arrow").read_bytes()[:100])
    with pytest.raises(ValueError, match=r"broken\.arrow: cannot be read"):
        read_substitutions(tmp_path / "broken.arrow")
    with pytest.raises(FileNotFoundError):
        read_substitutions(tmp_path / "absent.arrow")
    with pytest.raises(ValueError, match="carries no substitutions"):
        Substitutions.from_table(drawn.to_table().replace_schema_metadata(None))
    for place, column in ((1, "length"), (2, "positions")):
        floats = drawn.to_table()
        kind = pa.float64() if column == "length" else pa.large_list(pa.float32())
        floats = floats.set_column(place, column, floats[column].cast(kind))
        with pytest.raises(ValueError, match=f"{column} must hold .*int.*, holds .*(double|float)"):
            Substitutions.from_table(floats)
    cut = drawn.to_table().set_column(1, "length", pa.array([2], pa.int64()))
    with pytest.raises(ValueError, match="draw them again"):
        Substitutions.from_table(cut)


@pytest.mark.parametrize("lacking", ["dialogue_id", "length", "positions", "format_version", "kind", "pool"])
def test_files_that_lack_something_are_told(tmp_path: Path, lacking: str) -> None:
    drawn = substitute_context(conversations("t", [[0, 1, 2]]), conversations("p", POOL), "eics", seed=7)
    table = drawn.to_table()
    if lacking in table.column_names:
        table = table.drop_columns(lacking)
    else:
        ((key, facts),) = table.schema.metadata.items()
        rest = {name: fact for name, fact in json.loads(facts).items() if name != lacking}
        table = table.replace_schema_metadata({key: json.dumps(rest)})
    with pa.OSFile(str(tmp_path / "part.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(ValueError, match=r"part\.arrow: cannot be read as substitutions .*draw them again"):
        read_substitutions(tmp_path / "part.arrow")


def test_the_index_of_shards_draws_like_the_dialogues(tmp_path: Path) -> None:
    info, dialogues = generate("meld-small", dialogues=30, seed=4)
    write_shards(dialogues, tmp_path, info)
    shards = read_shards(tmp_path, modalities=["text"])

    def index(split: str) -> DialogueIndex:
        return shards.index(split)

    from_index = substitute_context(index("test"), index("train"), "eccs", seed=5)
    flat = {split: Conversations.of(shards.select(split), ["text"]) for split in ("train", "test")}
    assert_same(substitute_context(flat["test"], flat["train"], "eccs", seed=5), from_index)
    backwards = Conversations.of(reversed(list(shards.select("train"))), ["text"], index("train"))
    assert_same(substitute_context(flat["test"], backwards, "eccs", seed=5), from_index)
