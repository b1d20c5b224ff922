"""Checkpoints: what is saved comes back, whole files only, and no code from them."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dclf.training.checkpoint import FORMAT, STATE_FILE, CheckpointError, load, save

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool)
SHAPES = ((), (0,), (1,), (3,), (2, 3), (2, 0, 3), (5, 4, 3))

tensors = st.builds(
    lambda dtype, shape, seed, turned: _tensor(dtype, shape, seed, turned=turned),
    st.sampled_from(DTYPES),
    st.sampled_from(SHAPES),
    st.integers(0, 99),
    st.booleans(),
)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | tensors
keys = st.text(max_size=5) | st.integers(0, 9)
states = st.dictionaries(
    st.text(min_size=1, max_size=5).filter(lambda key: key != "format"),
    st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def _tensor(dtype: torch.dtype, shape: tuple[int, ...], seed: int, *, turned: bool) -> torch.Tensor:
    tensor = torch.randint(0, 2 if dtype == torch.bool else 100, shape, generator=torch.Generator().manual_seed(seed))
    tensor = tensor.to(dtype)
    return tensor.transpose(0, -1) if turned and tensor.dim() > 1 else tensor


def same(one: Any, other: Any) -> bool:
    """Equal values of equal kinds, tensors with dtype and shape."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


@settings(max_examples=40)
@given(states)
def test_a_state_comes_back(tmp_path_factory: pytest.TempPathFactory, state: dict[str, Any]) -> None:
    folder = tmp_path_factory.mktemp("run")
    for _ in range(2):
        save(folder, state)
        assert same(load(folder), {"format": FORMAT, **state})


def test_what_comes_back_can_be_trained_on(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    save(tmp_path, {"model": model.state_dict(), "optimiser": optimiser.state_dict()})
    state = load(tmp_path)
    again = torch.nn.Linear(3, 2)
    again.load_state_dict(state["model"])
    other = torch.optim.Adam(again.parameters())
    other.load_state_dict(state["optimiser"])
    for trained in (model, again):
        trained.zero_grad()
        trained(torch.full((1, 3), 2.0)).square().sum().backward()
    optimiser.step()
    other.step()
    assert same(dict(again.state_dict()), dict(model.state_dict()))


def test_tensors_that_are_the_same_are_saved_once(tmp_path: Path) -> None:
    weights = torch.rand(1000, 100)
    save(tmp_path, {"model": {"w": weights}, "best": {"w": weights}})
    assert (tmp_path / STATE_FILE).stat().st_size < 1.1 * weights.nbytes
    state = load(tmp_path)
    assert torch.equal(state["best"]["w"], weights)


def test_a_file_with_another_name_is_never_written_over(tmp_path: Path) -> None:
    save(tmp_path, {"w": torch.zeros(10)})
    other = tmp_path / "other"
    other.mkdir()
    os.link(tmp_path / STATE_FILE, other / STATE_FILE)
    save(tmp_path, {"w": torch.ones(10)})
    assert load(other)["w"].tolist() == [0.0] * 10


def test_a_kill_while_saving_loses_nothing(tmp_path: Path) -> None:
    save(tmp_path, {"w": torch.zeros(10)})
    old, young = (tmp_path / f".{STATE_FILE}.{name}.part" for name in ("old", "young"))
    for unfinished in (old, young):
        unfinished.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert load(tmp_path)["w"].tolist() == [0.0] * 10
    save(tmp_path, {"w": torch.ones(10)})
    assert load(tmp_path)["w"].tolist() == [1.0] * 10
    assert {path.name for path in tmp_path.iterdir()} == {STATE_FILE, young.name}, "another process may write that one"


def test_torch_alone_opens_it(tmp_path: Path) -> None:
    save(tmp_path, {"w": torch.ones(3), "progress": {"epoch": 2}})
    state = torch.load(tmp_path / STATE_FILE, weights_only=True)
    assert same(state, {"format": FORMAT, "w": torch.ones(3), "progress": {"epoch": 2}})


def test_a_reader_meets_whole_states_only(tmp_path: Path) -> None:
    save(tmp_path, {"w": torch.zeros(500_000)})
    ended = threading.Event()

    def write() -> None:
        for number in range(1, 60):
            save(tmp_path, {"w": torch.full((500_000,), float(number))})
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    numbers = set()
    try:
        while not ended.is_set():
            values = load(tmp_path)["w"].unique().tolist()
            assert len(values) == 1
            numbers.update(values)
    finally:
        writer.join()
    assert len(numbers) > 1


def test_an_absent_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"state\.pt: must hold a run's checkpoint, is absent"):
        load(tmp_path)


@pytest.mark.parametrize("end", [0, 5, 15, 40, -40])
def test_a_broken_file_is_told(tmp_path: Path, end: int) -> None:
    save(tmp_path, {"w": torch.rand(100)})
    path = tmp_path / STATE_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:end])
    with pytest.raises(CheckpointError, match=r"state\.pt: cannot be read as a checkpoint"):
        load(tmp_path)


def test_a_checkpoint_of_the_version_before_is_told(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_bytes(b"DCLF state\n" + bytes(100))
    with pytest.raises(CheckpointError, match=r"must be checkpoint format 3, is 2; use the version of dclf that wrote"):
        load(tmp_path)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"format": FORMAT, "state": Hostile()}, tmp_path / STATE_FILE)
    with pytest.raises(CheckpointError, match=r"cannot be read as a checkpoint .*posix\.mkdir"):
        load(tmp_path)
    assert not (tmp_path / "owned").exists()


def test_another_format_is_told(tmp_path: Path) -> None:
    save(tmp_path, {"format": 7})
    with pytest.raises(
        CheckpointError, match=r"must be checkpoint format 3, is 7; use the version of dclf that wrote it"
    ):
        load(tmp_path)
