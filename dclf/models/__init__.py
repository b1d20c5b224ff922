"""Base models behind one contract, and the DCLF framework that any of them can wear."""

from dclf.extensions import ExtensionPoint

BASE_MODELS = ExtensionPoint(
    "dclf.base_models",
    "base model",
    {
        "aghmn": "dclf.models.aghmn:AGHMN",
        "dag_erc": "dclf.models.dag_erc:DAGERC",
        "cfn_esa": "dclf.models.cfn_esa:CFNESA",
        "ddin": "dclf.models.ddin:DDIN",
        "dialogue_gcn": "dclf.models.dialogue_gcn:DialogueGCN",
        "dialogue_rnn": "dclf.models.dialogue_rnn:DialogueRNN",
        "mm_dfn": "dclf.models.mm_dfn:MMDFN",
        "graphsmile": "dclf.models.graphsmile:GraphSmile",
        "m3net": "dclf.models.m3net:M3Net",
        "mmgcn": "dclf.models.mmgcn:MMGCN",
        "sdt": "dclf.models.sdt:SDT",
    },
)
"""The base models, known without importing torch."""
