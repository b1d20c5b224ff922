"""The base models that ship. Importing this module enters them into the register of ``dclf.models.contract``."""

from dclf.models import aghmn, ddin, dialogue_rnn, mmgcn

__all__ = ["aghmn", "ddin", "dialogue_rnn", "mmgcn"]
