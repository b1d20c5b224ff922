"""Encoders of words that are small enough for any test: random weights, and a word a token."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, RobertaConfig, RobertaModel

from dclf.extraction.encoders import quiet_transformers

WORDS = ("oh", "no", "yes", "well", "what", "a", "day", "I", "like", "hate", "it", "you", "know", "!", "?", ".")
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
PAD = SPECIAL.index("<pad>")
POSITIONS = 20
WIDTH = 12


def write_encoder(folder: Path, kind: str = "roberta", *, layers: int = 5, seed: int = 0, dropout: float = 0.1) -> Path:
    """Write a ``bert``, whose tokens begin at position 0, or a ``roberta``, whose begin behind the padding's."""
    sizes = {
        "vocab_size": len(SPECIAL) + len(WORDS),
        "hidden_size": WIDTH,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": POSITIONS,
        "pad_token_id": PAD,
        "hidden_dropout_prob": dropout,
        # Large weights, so that what is around a token matters.
        "initializer_range": 0.5,
    }
    torch.manual_seed(seed)
    model = BertModel(BertConfig(**sizes)) if kind == "bert" else RobertaModel(RobertaConfig(**sizes))
    with quiet_transformers():
        model.save_pretrained(folder)
        tokenizer().save_pretrained(folder)
    return folder


def tokenizer() -> PreTrainedTokenizerFast:
    """Words and marks, between <s> and </s>."""
    words = Tokenizer(WordLevel({word: number for number, word in enumerate(SPECIAL + WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    names = {"cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=words, **names)
