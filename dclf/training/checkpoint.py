"""Saving and loading the state of a run: model, best model, optimiser, RNG, memory bank, early stopping, history.

The file holds tensors and plain containers only, so that it is loaded without running code from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

STATE_FILE = "state.pt"
FORMAT = 1


class CheckpointError(OSError):
    """A checkpoint cannot be read; the message says which and what to do."""


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write a run's state into a folder, complete or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    import torch  # noqa: PLC0415 - who only asks for a checkpoint's place need not wait for it

    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{STATE_FILE}.part"
    checksums = torch.serialization.get_crc32_options()
    # torch.load does not look at them, and they take a quarter of the time.
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"format": FORMAT, **state}, unfinished)
    finally:
        torch.serialization.set_crc32_options(checksums)
    unfinished.replace(folder / STATE_FILE)


def load(folder: Path) -> dict[str, Any]:
    """Read what ``save`` wrote, onto the CPU.

    Raises:
        CheckpointError: the file is absent, broken, or of another format.
    """
    import torch  # noqa: PLC0415

    path = folder / STATE_FILE
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: must hold a run's checkpoint, is absent; check the run's id") from None
    except Exception as error:
        raise CheckpointError(f"{path}: cannot be read as a checkpoint ({error}); use an earlier one") from error
    if state.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: must be checkpoint format {FORMAT}, is {state.get('format')!r}; use the version that wrote it"
        )
    return state
