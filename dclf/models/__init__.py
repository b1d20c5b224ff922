"""Base models behind one contract, and the DCLF framework that any of them can wear."""

SHIPPED = ("aghmn", "ddin", "dialogue_rnn", "mmgcn")
"""The base models that ship, each registered under its module's name; known without importing torch."""
