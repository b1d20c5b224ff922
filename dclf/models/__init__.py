"""Base models behind one contract, and the DCLF framework that any of them can wear."""

from dclf.models import ddin, mmgcn

__all__ = ["ddin", "mmgcn"]
