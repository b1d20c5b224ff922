"""The reports' texts; what a user named is escaped when it is put in."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def environment(*, html: bool) -> Environment:
    """Where the templates are found, the same every time; those of HTML escape everything."""
    return Environment(
        loader=PackageLoader("tune.report"),
        autoescape=html,  # noqa: S701 - Markdown has escapes of its own
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
