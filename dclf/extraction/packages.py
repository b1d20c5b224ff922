"""The packages of the extra ``extract``: which of them are there."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from dclf.extraction.contract import ExtractionError

_DISTRIBUTIONS = {"av": "av", "cv2": "opencv-python-headless"}
"""Modules whose packages are called otherwise than the module, or are better known by another name."""


def distributions(modules: Sequence[str]) -> tuple[str, ...]:
    """The packages that bring these modules, by the names that pip knows."""
    return tuple(_DISTRIBUTIONS.get(module, module) for module in modules)


def missing_packages(who: str, modules: Sequence[str]) -> list[str]:
    """A problem for every module that Python does not find; none of them is imported.

    Args:
        who: the extractor, as the message names it, such as ``--audio is10``.
        modules: names of top-level modules.
    """
    return [
        f"{who} needs the package {_DISTRIBUTIONS.get(module, module)}: pip install 'dclf[extract]'"
        for module in modules
        if find_spec(module) is None
    ]


def require(who: str, modules: Sequence[str]) -> None:
    """Raise ExtractionError where a module is missing; see ``missing_packages``."""
    if problems := missing_packages(who, modules):
        raise ExtractionError("\n".join(problems))
