"""Base models behind one contract, and the DCLF framework that any of them can wear."""

from dclf.extensions import ExtensionPoint

BASE_MODELS = ExtensionPoint(
    "dclf.base_models",
    "base model",
    {
        "aghmn": "dclf.models.aghmn:AGHMN",
        "ddin": "dclf.models.ddin:DDIN",
        "dialogue_rnn": "dclf.models.dialogue_rnn:DialogueRNN",
        "graphcfc": "dclf.models.graphcfc:GraphCFC",
        "graphmft": "dclf.models.graphmft:GraphMFT",
        "mmgcn": "dclf.models.mmgcn:MMGCN",
    },
)
"""The base models, known without importing torch."""
