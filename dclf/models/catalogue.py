"""Enters the base models that ship into the register of ``dclf.models.contract``."""

from importlib import import_module

from dclf.models import SHIPPED

for _name in SHIPPED:
    import_module(f"dclf.models.{_name}")
