"""The base models that ship. Importing this module enters them into the register of ``dclf.models.contract``."""

from dclf.models import ddin, mmgcn

__all__ = ["ddin", "mmgcn"]
