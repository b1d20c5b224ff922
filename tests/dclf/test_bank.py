"""The memory bank, alone and between two worker processes."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from dclf.bank import MemoryBank


def test_states_are_read_as_they_were_written() -> None:
    bank = MemoryBank(5, 3)
    states = torch.randn(2, 3)
    bank.write(torch.tensor([4, 1]), states)
    bank.turn()
    assert torch.equal(bank.read(torch.tensor([[1, 4], [4, 4]])), states[torch.tensor([[1, 0], [0, 0]])])
    assert bank.filled.tolist() == [False, True, False, False, True]
    bank.write(torch.tensor([4]), states[1:])
    assert torch.equal(bank.read(torch.tensor([4])), states[:1])
    bank.turn()
    assert torch.equal(bank.read(torch.tensor([4, 1])), states[[1, 1]])


def test_states_are_detached_and_in_float32() -> None:
    bank = MemoryBank(2, 3)
    states = torch.randn(2, 3, dtype=torch.bfloat16, requires_grad=True)
    bank.write(torch.arange(2), states)
    bank.turn()
    read = bank.read(torch.arange(2))
    assert not read.requires_grad
    assert read.dtype == torch.float32
    assert torch.equal(read, states.detach().float())
    with torch.no_grad():
        states.fill_(7.0)
    assert torch.equal(bank.read(torch.arange(2)), read)


def test_what_is_read_does_not_change_with_the_next_write() -> None:
    bank = MemoryBank(2, 1)
    bank.write(torch.arange(2), torch.ones(2, 1))
    bank.turn()
    read = bank.read(torch.arange(2))
    bank.write(torch.arange(2), torch.zeros(2, 1))
    bank.turn()
    assert torch.equal(read, torch.ones(2, 1))


def test_a_state_that_was_never_written_is_not_read() -> None:
    bank = MemoryBank(3, 2)
    bank.write(torch.tensor([0]), torch.ones(1, 2))
    bank.turn()
    bank.write(torch.tensor([1]), torch.ones(1, 2))
    with pytest.raises(RuntimeError, match="2 of 3 states were read before they were written; fill the memory bank"):
        bank.read(torch.tensor([0, 1, 2]))


def test_a_saved_bank_is_the_same_bank() -> None:
    bank, other = MemoryBank(4, 3), MemoryBank(4, 3)
    bank.write(torch.tensor([0, 2]), torch.randn(2, 3))
    bank.turn()
    other.restore(bank.state_dict())
    for same in (bank, other):
        same.write(torch.tensor([1]), torch.ones(1, 3))
        same.turn()
    assert torch.equal(other.states, bank.states)
    assert torch.equal(other.filled, bank.filled)
    assert bank.filled.tolist() == [True, True, True, False]
    assert not list(bank.parameters())


@pytest.mark.parametrize(
    ("positions", "states"),
    [
        (torch.arange(2), torch.ones(2, 4)),
        (torch.arange(2), torch.ones(3, 3)),
        (torch.zeros(1, 2, dtype=torch.int64), torch.ones(1, 3)),
    ],
)
def test_states_that_do_not_fit_are_refused(positions: Tensor, states: Tensor) -> None:
    with pytest.raises(ValueError, match="states must be"):
        MemoryBank(5, 3).write(positions, states)


def test_without_other_workers_synchronise_writes() -> None:
    bank = MemoryBank(3, 2)
    bank.synchronise(torch.tensor([2]), torch.ones(1, 2))
    bank.turn()
    assert bank.filled.tolist() == [False, False, True]


ROWS = {
    "different counts": ([0, 3, 1], [4, 2]),
    "one worker has none": ([], [5, 2, 1]),
    "nobody has any": ([], []),
    "the same utterance twice": ([0, 1], [1, 2]),
}


def states_of(rank: int, positions: list[int]) -> Tensor:
    return torch.tensor([[10.0 * rank + p, -p] for p in positions]).reshape(-1, 2)


def worker(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    banks = {}
    for name, parts in ROWS.items():
        bank = MemoryBank(6, 2)
        bank.synchronise(torch.tensor(parts[rank], dtype=torch.int64), states_of(rank, parts[rank]).requires_grad_())
        bank.turn()
        banks[name] = bank.state_dict()
    torch.save(banks, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_all_workers_hold_the_same_bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    mp.spawn(worker, args=(str(tmp_path),), nprocs=2)
    saved = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    for name, parts in ROWS.items():
        expected = MemoryBank(6, 2)
        for rank in (0, 1):
            expected.write(torch.tensor(parts[rank], dtype=torch.int64), states_of(rank, parts[rank]))
        expected.turn()
        for banks in saved:
            for key, value in expected.state_dict().items():
                assert torch.equal(banks[name][key], value), (name, key)
