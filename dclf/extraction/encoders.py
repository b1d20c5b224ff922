"""Encoders of Hugging Face: where one lies, which one it is, and how it is opened without a word.

An encoder is a folder with ``config.json``, weights and what its tokenizer or preprocessor needs, or a name on the hub,
of which those files and no others are downloaded. Code that comes with a model is never run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dclf.extraction.contract import ExtractionError, ExtractionWorkError
from dclf.extraction.packages import require

DESCRIPTION = ("*.json", "*.txt", "*.model", "*.codes")
"""Configuration, vocabulary and preprocessing: patterns of files directly in the folder."""
WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
"""Patterns of weights; of those that a folder has, transformers opens the first."""
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


@dataclass(frozen=True)
class Located:
    """An encoder on this machine.

    Attributes:
        folder: absolute.
        model: finds it again: the folder, or the name on the hub.
        revision: commit on the hub; empty for a folder of one's own.
    """

    folder: Path
    model: str
    revision: str


def locate(model: str, revision: str = "") -> Located:
    """Find an encoder: a folder, or a name on the hub, which is downloaded where the cache lacks it.

    A commit that is in the cache is taken from there without asking the hub.

    Args:
        model: folder with ``config.json``, or a name such as ``roberta-large``; a folder goes first.
        revision: branch, tag or commit of a name on the hub; its main branch where empty.

    Raises:
        ExtractionError: there is no such folder and no such model, the hub cannot be reached, or it is no encoder.
    """
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        if revision:
            raise ExtractionError(f"{folder} is a folder, which has no revision {revision}: leave the revision out")
        _check_folder(folder)
        return Located(folder.resolve(), str(folder.resolve()), "")
    if not is_hub_name(model):
        raise ExtractionError(f"there is no folder {model!r}, and a model on the hub has a name such as owner/model")
    folder = _download(model, revision)
    return Located(folder, model, folder.name)


def is_hub_name(model: str) -> bool:
    """Whether a model is to be looked for on the hub: it is no folder here, and could be a name."""
    return not Path(model).expanduser().is_dir() and _HUB_NAME.fullmatch(model) is not None


def identity(folder: Path, beside: Sequence[str] = ()) -> str:
    """A hash of all the files that decide what an encoder computes: by name and content, wherever the folder lies.

    Args:
        folder: of ``locate``.
        beside: paths in the folder of files that count as well.

    Raises:
        ExtractionError: the folder is no encoder, or cannot be read.
    """
    _check_folder(folder)
    whole = hashlib.sha256()
    try:
        for path in sorted(_files(folder, [*DESCRIPTION, _weights(folder), *beside])):
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    except OSError as error:
        raise ExtractionWorkError(f"the encoder in {folder} cannot be read: {error}") from error
    return whole.hexdigest()[:16]


def check_identity(folder: Path, expected: str, beside: Sequence[str] = ()) -> None:
    """Raise ExtractionError where the folder holds another encoder than settings were resolved with; empty is any."""
    if expected and (here := identity(folder, beside)) != expected:
        raise ExtractionError(
            f"the encoder in {folder} must be the one of identity {expected}, is {here}: its files are not those of "
            "the extraction; point to that encoder, or extract anew"
        )


def open_model(folder: Path, device: str, unused: Sequence[str] = ("pooler.",)) -> Any:
    """Open an encoder by ``transformers.AutoModel``: in float32, for evaluation, on a device, without a word.

    Args:
        folder: of ``locate``.
        device: as torch names it.
        unused: beginnings of names of weights that the caller has no use for; the folder may lack these alone.

    Raises:
        ExtractionError: transformers cannot read it, or weights are missing, which would be random numbers.
    """
    return open_part(folder, device, "", unused)[0]


def open_part(folder: Path, device: str, part: str, unused: Sequence[str] = ("pooler.",)) -> tuple[Any, frozenset[str]]:
    """Open an encoder, or one part of it; see ``open_model``.

    Args:
        folder: of ``locate``.
        device: as torch names it.
        part: key of the configuration, such as ``vision_config``; where there is none, the whole encoder is opened.
        unused: beginnings of names of weights that the folder may lack.

    Returns:
        The model, and those unused weights that it lacks; they are random numbers.

    Raises:
        ExtractionError: as ``open_model``.
    """
    require(f"the encoder {folder}", ["transformers"])
    import torch  # noqa: PLC0415 - the packages that open an encoder are slow to import
    from transformers import AutoConfig, AutoModel  # noqa: PLC0415

    with quiet_transformers():
        try:
            whole = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            model, loading = AutoModel.from_pretrained(
                folder,
                config=getattr(whole, part, whole) if part else whole,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
        except Exception as error:  # damaged weights and odd configurations raise whatever the reader of each raises
            raise ExtractionError(f"transformers cannot open the encoder in {folder}: {error}") from error
    missing = frozenset(loading["missing_keys"])
    if lacking := sorted(key for key in missing if not key.startswith(tuple(unused))):
        raise ExtractionError(
            f"the weights in {folder} must be complete, lack {len(lacking)}, such as {lacking[0]}: "
            "is it the model that its config.json describes?"
        )
    return model.eval().to(device), missing


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers from writing to the terminal: errors are raised, and all else is no news to the user."""
    from transformers.utils import logging  # noqa: PLC0415

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _download(model: str, revision: str) -> Path:
    """The folder of a model in the hub's cache, with all its files there."""
    require(f"the encoder {model}", ["huggingface_hub"])
    from huggingface_hub import snapshot_download  # noqa: PLC0415

    for weights in WEIGHTS:
        try:
            folder = snapshot_download(
                model, revision=revision or None, allow_patterns=[*DESCRIPTION, weights], ignore_patterns=["*/*"]
            )
        except Exception as error:  # the hub's client raises errors of several libraries, which share no base
            raise ExtractionWorkError(_unreachable(model, revision, error)) from error
        if _files(Path(folder), [weights]):
            return Path(folder)
    raise ExtractionError(f"{model} on the hub must have weights ({' or '.join(WEIGHTS)}): it has none")


def _unreachable(model: str, revision: str, error: Exception) -> str:
    what = f"{model} at {revision}" if revision else model
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return (
        f"{what} is no folder here, and the hub does not give it: {first}; check the name and the network, or download "
        f"it where there is one (hf download {model}) and give its folder"
    )


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ExtractionError(f"the folder of an encoder must hold config.json, {folder} does not")
    if not _weights(folder):
        raise ExtractionError(f"the folder of an encoder must hold weights ({' or '.join(WEIGHTS)}), {folder} does not")


def _weights(folder: Path) -> str:
    """The pattern of the weights that transformers opens; empty where there are none."""
    return next((pattern for pattern in WEIGHTS if _files(folder, [pattern])), "")


def _files(folder: Path, patterns: Sequence[str]) -> set[Path]:
    return {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
