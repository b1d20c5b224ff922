"""How the states of an utterance's tokens become one row.

========  ====================================================================================
B, T, D   utterances of a batch, tokens of its longest, width of the encoder
own       what the folder of sentence-transformers says in its JSON files; else cls
cls       the state of the first token, as in COSMIC's rows of RoBERTa
mean      the mean over the utterance's tokens, those that begin and end a text among them
last4     the mean over the tokens of the mean of the last four layers
========  ====================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dclf.extraction.contract import ExtractionError

if TYPE_CHECKING:
    from torch import Tensor

POOLINGS = ("own", "cls", "mean", "last4")
LAYERS = 4
"""That ``last4`` takes."""
MODULES = "modules.json"
"""Where sentence-transformers says what follows the encoder, module by module."""
POOLING_FOLDER = "1_Pooling"
_FLAG = "pooling_mode_"
_FLAGS = {"cls_token": "cls", "mean_tokens": "mean"}
"""How older files of sentence-transformers name what is known here."""


@dataclass(frozen=True)
class Pooling:
    """How rows are made of states.

    Attributes:
        kind: ``cls``, ``mean`` or ``last4``.
        normalise: whether rows get a length of one.
    """

    kind: str
    normalise: bool = False

    def rows(self, states: Sequence[Tensor], mask: Tensor) -> Tensor:
        """Pool a batch.

        Args:
            states: [B, T, D] of the embeddings and of every layer; the last alone where ``kind`` is not ``last4``.
            mask: [B, T], one where there is a token and zero behind an utterance's end.

        Returns:
            [B, D], of the states' type.
        """
        if self.kind == "cls":
            rows = states[-1][:, 0]
        else:
            whole = states[-1]
            if self.kind == "last4":
                whole = sum(states[-LAYERS:-1], start=whole) / LAYERS
            weights = mask.unsqueeze(-1).to(whole.dtype)
            rows = (whole * weights).sum(1) / weights.sum(1)
        return rows / rows.norm(dim=-1, keepdim=True).clamp(min=1e-12) if self.normalise else rows


def pooling_of(kind: str, folder: Path) -> Pooling:
    """The pooling of this kind, for the encoder in a folder.

    Raises:
        ExtractionError: the folder says something that is not known here.
    """
    if kind != "own":
        return Pooling(kind)
    modules = _modules(folder)
    if not modules:
        return Pooling("cls")
    if prompt := read_json(folder / "config_sentence_transformers.json").get("default_prompt_name"):
        raise _unknown(folder, f"puts the prompt {prompt!r} before every text")
    names = [_name(module) for module in modules]
    if unknown := sorted(set(names) - {"Transformer", "Pooling", "Normalize"}):
        raise _unknown(folder, f"has the module {unknown[0]}")
    if names.count("Pooling") != 1:
        raise _unknown(folder, f"has {names.count('Pooling')} modules that pool")
    return Pooling(_pooling_mode(folder, modules[names.index("Pooling")]["path"]), "Normalize" in names)


def pooling_files(folder: Path) -> list[str]:
    """Paths in the folder of the files that say what follows the encoder, beside those directly in it."""
    return [path for path in pooling_paths(folder) if (folder / path).is_file()]


def pooling_paths(folder: Path) -> list[str]:
    """What ``pooling_files`` gives once everything is there."""
    return [f"{module['path']}/config.json" for module in _modules(folder) if module["path"]]


def write_pooling(folder: Path, pooling: Pooling, width: int, max_tokens: int, *, lower_case: bool) -> None:
    """Say in a folder how its encoder's rows are made, as sentence-transformers does, which knows no ``last4``.

    Args:
        folder: of the encoder.
        pooling: of the encoder's states.
        width: D.
        max_tokens: that the encoder is given; 0 for no limit.
        lower_case: whether texts are put into lower case first.
    """
    limits = {"max_seq_length": max_tokens or None, "do_lower_case": lower_case}
    _write_json(folder / "sentence_bert_config.json", limits)
    if pooling.kind == "last4":
        return
    names = ["Transformer", "Pooling", *(["Normalize"] if pooling.normalise else [])]
    modules = [
        {"idx": place, "name": str(place), "path": f"{place}_{name}" if place else "", "type": f"{_TYPES}.{name}"}
        for place, name in enumerate(names)
    ]
    flags = {f"{_FLAG}{flag}": kind == pooling.kind for flag, kind in _FLAGS.items()}
    _write_json(folder / MODULES, modules)
    _write_json(folder / POOLING_FOLDER / "config.json", {"word_embedding_dimension": width, **flags})


_TYPES = "sentence_transformers.models"


def read_json(path: Path) -> Mapping[str, Any]:
    """The object in a file; empty where there is no file, ExtractionError where it is none."""
    content = _content(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ExtractionError(f"{path} must hold a JSON object, holds {type(content).__name__}")
    return content


def _modules(folder: Path) -> list[dict[str, str]]:
    """What ``modules.json`` lists; empty where the folder is none of sentence-transformers."""
    content = _content(folder / MODULES)
    if content is None:
        return []
    if not isinstance(content, list) or not all(
        isinstance(module, dict) and isinstance(module.get("path"), str) and isinstance(module.get("type"), str)
        for module in content
    ):
        raise ExtractionError(f"{folder / MODULES} must list modules with path and type: it is damaged; get it anew")
    return content


def _content(path: Path) -> Any:
    """What a JSON file holds; None where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ExtractionError(f"{path} cannot be read as JSON ({error}); get it anew") from error


def _name(module: Mapping[str, str]) -> str:
    return module["type"].rpartition(".")[2]


def _pooling_mode(folder: Path, path: str) -> str:
    """``cls`` or ``mean``, as the configuration of a pooling module says in the newer or the older way."""
    values = read_json(folder / path / "config.json")
    modes = sorted(_modes(values)) or ["mean"]
    if len(modes) != 1 or modes[0] not in _FLAGS.values():
        raise _unknown(folder, f"pools by {' and '.join(modes)}")
    return modes[0]


def _modes(values: Mapping[str, Any]) -> Iterator[str]:
    if "pooling_mode" in values:
        modes = values["pooling_mode"]
        yield from [modes] if isinstance(modes, str) else modes
        return
    for flag, value in values.items():
        if flag.startswith(_FLAG) and value:
            yield _FLAGS.get(flag.removeprefix(_FLAG), flag.removeprefix(_FLAG))


def _unknown(folder: Path, what: str) -> ExtractionError:
    return ExtractionError(
        f"pooling own: {folder} {what}, and only cls and mean, with or without normalisation, are known here; "
        "choose cls, mean or last4"
    )


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
