"""Dual Contrastive Learning Framework for multimodal emotion recognition in conversation."""

__version__ = "0.1.0"
