"""Saving and loading the state of a run: model, best model, optimiser, RNG, memory bank, early stopping, history.

The file is ``torch.save``'s and holds tensors and plain containers only: ``torch.load(path, weights_only=True)`` opens
it, here and anywhere else, without running code from it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dclf.errors import UserError
from dclf.whole_files import whole

if TYPE_CHECKING:
    from torch import Tensor, nn

STATE_FILE = "state.pt"
FORMAT = 3
LEFTOVER_S = 3600.0
"""An unfinished file that was not written to for so many seconds is taken for abandoned."""
_FORMAT_2 = b"DCLF state\n"
"""What a file of format 2 begins with, which torch cannot read."""


class CheckpointError(UserError, OSError):
    """A checkpoint cannot be read; the message says which and what to do."""


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write a run's state into a folder, complete and on disk or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    import torch  # noqa: PLC0415 - who only asks for a checkpoint's place need not wait for it

    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / STATE_FILE) as unfinished, unfinished.open("wb") as file:
        torch.save({"format": FORMAT, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    for leftover in folder.glob(f".{STATE_FILE}.*.part"):
        # Of a kill; a younger one may be another process's, which writes it now.
        with suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > LEFTOVER_S:
                leftover.unlink()


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
        if is_format_2(folder):
            raise _other_format(path, 2) from None
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: cannot be read as a checkpoint ({reason}); use an earlier one") from error
    if state.get("format") != FORMAT:
        raise _other_format(path, state.get("format"))
    return state


def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a model the weights of a checkpoint.

    Raises:
        CheckpointError: they are those of a model with other layers.
    """
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if own != shapes:
        other = sorted(name for name in own.keys() | shapes.keys() if own.get(name) != shapes.get(name))
        names = ", ".join(other[:3]) + (f" and {len(other) - 3} more" if len(other) > 3 else "")
        raise CheckpointError(
            f"a checkpoint must hold the weights of the configured model, differs in {names}: an earlier version of "
            "the base model wrote it; use the version of dclf that did, or train anew"
        )
    model.load_state_dict(weights)


def is_format_2(folder: Path) -> bool:
    """Whether a folder holds a checkpoint that the version before wrote, which ``load`` refuses."""
    try:
        with (folder / STATE_FILE).open("rb") as file:
            return file.read(len(_FORMAT_2)) == _FORMAT_2
    except FileNotFoundError:
        return False


def _other_format(path: Path, number: Any) -> CheckpointError:
    return CheckpointError(
        f"{path}: must be checkpoint format {FORMAT}, is {number!r}; use the version of dclf that wrote it"
    )
