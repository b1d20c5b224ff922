"""Names and tags that a user gives to runs: which of them MLflow takes, and which are ours.

The rules are MLflow's for a tracking server on any of its databases, written out here because MLflow takes two seconds
to import; a test holds them against MLflow itself.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

LONGEST_EXPERIMENT = 250
"""Bytes: MLflow's column has 256 characters, and a folder of the artifacts has the name."""
LONGEST_NAME = 250
"""Characters of a run's name, and of a tag's."""
LONGEST_TAG = 8000
OWN_TAGS = ("seed", "host", "command")
OWN_PREFIXES = ("dclf.", "mlflow.", "version.", "hardware.")
_TAG = re.compile(r"[/\w.\- :]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UNWRITABLE = re.compile(r"[\x00\ud800-\udfff]")


def label_problems(experiment: str, name: str, tags: Mapping[str, str]) -> Iterator[str]:
    """What MLflow would refuse, each as ``track.KEY: what must hold, what came instead``.

    Args:
        experiment: its name.
        name: of the run; empty for one that is made up.
        tags: of the run.
    """
    if not experiment.strip():
        yield f"track.experiment: must be the name of an experiment, is {experiment!r}"
    elif (size := len(experiment.encode(errors="replace"))) > LONGEST_EXPERIMENT:
        yield f"track.experiment: must have at most {LONGEST_EXPERIMENT} bytes, has {size}: {quoted_value(experiment)}"
    if name and not name.strip():
        yield f"track.name: must be a name, or empty for one that is made up, is {name!r}"
    elif len(name) > LONGEST_NAME:
        yield f"track.name: must have at most {LONGEST_NAME} characters, has {len(name)}: {quoted_value(name)}"
    for key, text in (("experiment", experiment), ("name", name)):
        if _CONTROL.search(text):
            yield f"track.{key}: must be one line without control characters, is {quoted_value(text)}"
    for tag, value in tags.items():
        yield from _tag_problems(tag, value)


def _tag_problems(tag: str, value: str) -> Iterator[str]:
    plain = tag and tag.isprintable() and ": " not in tag and len(tag) <= LONGEST_NAME
    key = f"track.tags.{tag if plain else quoted_value(tag)}"
    if not _TAG.fullmatch(tag):
        yield f"{key}: a tag's name must have letters, digits, and the characters _ - . : / and space only"
    elif posixpath.normpath(tag) != tag or tag.startswith(("..", "/")) or tag == ".":
        yield f"{key}: a tag's name must not look like a path with . or .. or a slash too many"
    elif len(tag) > LONGEST_NAME:
        yield f"{key}: a tag's name must have at most {LONGEST_NAME} characters, has {len(tag)}"
    elif is_own_tag(tag):
        own = ", ".join([*OWN_TAGS, *(f"{prefix}*" for prefix in OWN_PREFIXES)])
        yield f"{key}: must have another name; {own} are what dclf and MLflow say of every run"
    if len(value) > LONGEST_TAG:
        yield f"{key}: must have at most {LONGEST_TAG} characters, has {len(value)}"
    if _UNWRITABLE.search(value):
        yield f"{key}: must be text that UTF-8 can hold, without NUL characters, is {quoted_value(value)}"


def is_own_tag(tag: str) -> bool:
    """Whether it is one that dclf or MLflow sets."""
    return tag in OWN_TAGS or tag.startswith(OWN_PREFIXES)


def quoted_value(value: object, longest: int = 60) -> str:
    """A value for a message, cut short where it is long."""
    text = repr(value)
    return text if len(text) <= longest else f"{text[:longest]}…"
