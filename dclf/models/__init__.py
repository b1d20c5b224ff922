"""Base models behind one contract, and the DCLF framework that any of them can wear."""

from dclf.extensions import ExtensionPoint

BASE_MODELS = ExtensionPoint(
    "dclf.base_models",
    "base model",
    {
        "aghmn": "dclf.models.aghmn:AGHMN",
        "cfn_esa": "dclf.models.cfn_esa:CFNESA",
        "dag_erc": "dclf.models.dag_erc:DAGERC",
        "ddin": "dclf.models.ddin:DDIN",
        "dialogue_gcn": "dclf.models.dialogue_gcn:DialogueGCN",
        "dialogue_rnn": "dclf.models.dialogue_rnn:DialogueRNN",
        "graphcfc": "dclf.models.graphcfc:GraphCFC",
        "graphmft": "dclf.models.graphmft:GraphMFT",
        "graphsmile": "dclf.models.graphsmile:GraphSmile",
        "m3net": "dclf.models.m3net:M3Net",
        "mm_dfn": "dclf.models.mm_dfn:MMDFN",
        "mmgcn": "dclf.models.mmgcn:MMGCN",
        "sdt": "dclf.models.sdt:SDT",
    },
)
"""The base models, known without importing torch."""
