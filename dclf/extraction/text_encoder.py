"""An open encoder of words: its tokenizer, its model, and how rows are made of the model's states.

========  ==============================================================
B, T, D   utterances of a batch, tokens of its longest, width of the rows
========  ==============================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dclf.extraction.contract import ExtractionError, Row, Unreadable, Utterance
from dclf.extraction.encoders import open_model, quiet_transformers
from dclf.extraction.pooling import LAYERS, Pooling, pooling_of, read_json

AT_ONCE = 32
"""Utterances in one pass through the model on the CPU; more are slower there, as they leave the caches."""
_ENDLESS = 10**6
"""A tokenizer that knows no limit says a number above this."""

Tokens = Mapping[str, Sequence[int]]
"""What a tokenizer makes of one text: input_ids, and whatever else the model takes of it, equally long."""


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """Turns words into rows.

    Attributes:
        model: of transformers; in inference its weights do not change.
        tokenizer: the model's.
        pooling: of the model's states.
        max_tokens: that a text is cut to; 0 where nothing limits it.
        lower_case: whether texts are put into lower case first.
        at_once: utterances in one pass through the model; 0 for all that are given.
    """

    model: Any
    tokenizer: Any
    pooling: Pooling
    max_tokens: int
    lower_case: bool = False
    at_once: int = AT_ONCE

    @property
    def width(self) -> int:
        """D."""
        return int(self.model.config.hidden_size)

    def rows(self, utterances: Sequence[Utterance]) -> list[Row]:
        """See ``Extractor``: utterances of about as many tokens go through the model together."""
        rows: list[Row] = [Unreadable("has no words")] * len(utterances)
        filled = [place for place, utterance in enumerate(utterances) if utterance.text.strip()]
        tokens = dict(zip(filled, self.tokens([utterances[place].text for place in filled]), strict=True))
        order = sorted((place for place in filled if tokens[place]["input_ids"]), key=lambda p: _length(tokens[p]))
        step = self.at_once or len(order) or 1
        for begin in range(0, len(order), step):
            places = order[begin : begin + step]
            with torch.inference_mode():
                pooled = self.pooled([tokens[place] for place in places]).float().cpu().numpy()
            for place, row in zip(places, pooled, strict=True):
                rows[place] = row
        return rows

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of each text, cut to ``max_tokens``."""
        if not texts:
            return []
        limit = {"truncation": True, "max_length": self.max_tokens} if self.max_tokens else {}
        words = [text.lower() for text in texts] if self.lower_case else list(texts)
        columns = self.tokenizer(words, padding=False, **limit)
        return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]

    def pooled(self, tokens: Sequence[Tokens]) -> Tensor:
        """[B, D] of the model's type, on its device: one pass through the model.

        Args:
            tokens: of B texts, each with at least one.
        """
        layers = self.pooling.kind == "last4"
        batch = {key: self._padded(key, [text[key] for text in tokens]) for key in tokens[0]}
        output = self.model(**batch, output_hidden_states=layers, return_dict=True)
        states = output.hidden_states if layers else (output.last_hidden_state,)
        return self.pooling.rows(states, batch["attention_mask"])

    def _padded(self, key: str, columns: Sequence[Sequence[int]]) -> Tensor:
        """[B, T], filled up behind each text's end."""
        padding = (self.tokenizer.pad_token_id or 0) if key == "input_ids" else 0
        padded = np.full((len(columns), max(map(len, columns))), padding, dtype=np.int64)
        for row, column in zip(padded, columns, strict=True):
            row[: len(column)] = column
        return torch.from_numpy(padded).to(self.model.device)


def open_text_encoder(folder: Path, pooling: str, max_tokens: int, device: str) -> TextEncoder:
    """Open the encoder in a folder, for evaluation.

    Args:
        folder: of ``encoders.locate``.
        pooling: one of ``pooling.POOLINGS``.
        max_tokens: that a text is cut to; 0 for as many as the encoder takes.
        device: as torch names it.

    Raises:
        ExtractionError: it cannot be opened, is no encoder of words, or does not fit these settings.
    """
    how = pooling_of(pooling, folder)
    tokenizer = _open_tokenizer(folder)
    model = open_model(folder, device)
    _check_model(folder, model, tokenizer, how)
    words = _word_settings(folder)
    limit = _token_limit(model, tokenizer, words)
    if max_tokens > limit > 0:
        raise ExtractionError(f"max_tokens: the encoder in {folder} takes at most {limit} tokens, is {max_tokens}")
    return TextEncoder(
        model=model,
        tokenizer=tokenizer,
        pooling=how,
        max_tokens=max_tokens or limit,
        lower_case=bool(words.get("do_lower_case")),
        at_once=AT_ONCE if model.device.type == "cpu" else 0,
    )


def _open_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer  # noqa: PLC0415 - slow to import, and load() reports where it is missing

    with quiet_transformers():
        try:
            return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # tokenizers are read by packages whose errors share no base
            raise ExtractionError(f"transformers cannot open the tokenizer in {folder}: {error}") from error


def _check_model(folder: Path, model: Any, tokenizer: Any, pooling: Pooling) -> None:
    """Refuse a model that is no encoder of this tokenizer's words."""
    embedding = model.get_input_embeddings()
    if (
        model.config.is_encoder_decoder
        or model.main_input_name != "input_ids"
        or not isinstance(embedding, nn.Embedding)
    ):
        raise ExtractionError(
            f"the model in {folder} must be an encoder of words, such as BERT or RoBERTa, is {type(model).__name__}"
        )
    if len(tokenizer) > embedding.num_embeddings:
        raise ExtractionError(
            f"the tokenizer in {folder} has {len(tokenizer)} tokens, and the model knows {embedding.num_embeddings} of "
            "them: they must be of one model; get both anew"
        )
    if pooling.kind == "last4" and model.config.num_hidden_layers < LAYERS:
        raise ExtractionError(
            f"pooling last4 needs an encoder of at least {LAYERS} layers, that in {folder} has "
            f"{model.config.num_hidden_layers}; choose cls or mean"
        )


def _word_settings(folder: Path) -> Mapping[str, Any]:
    """What sentence-transformers keeps of texts: max_seq_length and do_lower_case; empty where there is nothing."""
    return next((read_json(path) for path in sorted(folder.glob("sentence_*_config.json"))), {})


def _token_limit(model: Any, tokenizer: Any, words: Mapping[str, Any]) -> int:
    """Tokens that the encoder takes at most: what its folder says, or has positions for; 0 where nothing limits it."""
    maximum = words.get("max_seq_length") or tokenizer.model_max_length
    positions = [
        module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
        for name, module in model.named_modules()
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding)
    ]
    limit = min([maximum, *positions])
    return int(limit) if limit < _ENDLESS else 0


def _length(tokens: Tokens) -> int:
    return len(tokens["input_ids"])
