"""Tells options of a command from overrides of the configuration on one command line, and all that is wrong there."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from dclf.errors import UserError
from dclf.prose import suggestion
from tune.config.typed_values import advice, config_types
from tune.config.yaml_files import ConfigError

ELSEWHERE = {
    "--print-config": "dclf train and dclf sweep print the configuration that they would use",
    "--dry-run": "dclf plan says what a sweep, an ablation, a grid or a study file would run",
}
"""Option of some commands -> what to do where a command does not have it."""
_WHOLE = "published"
"""The one key of the configuration without a section."""


def split_overrides(
    argv: Sequence[str], flags: Collection[str], valued: Collection[str], short: Collection[str] = ()
) -> tuple[list[str], dict[str, str], list[str]]:
    """Take ``--section.key VALUE`` and ``--section.key=VALUE`` out of a command line.

    Every option with a dot is an override: a mistyped key is then reported with all other mistakes of the
    configuration. One without that the command does not have is reported with them, too.

    Args:
        argv: the command's arguments.
        flags: the command's own options without a value.
        valued: those with a value.
        short: further options that the command takes, for advice on a mistyped one.

    Returns:
        The remaining arguments; dotted key -> text; and what is wrong: unknown options, overrides that lack a value or
        come twice.
    """
    rest: list[str] = []
    overrides: dict[str, str] = {}
    problems: list[str] = []
    words = deque(argv)
    while words:
        word = words.popleft()
        option, equals, value = word.partition("=")
        if not word.startswith("--") or option in flags:
            rest.append(word)
            continue
        if option in valued:
            rest += [word] if equals or not words else [word, words.popleft()]
            continue
        if option in ELSEWHERE:
            problems.append(f"{option}: unknown option; {ELSEWHERE[option]}")
            continue
        key, text = option[2:], value if equals else _next_value(words)
        if "." not in key and key != _WHOLE:
            problems.append(_unknown(option, [*flags, *valued, *short]))
        elif text is None:
            problems.append(f"{key}: must have a value, as in {option} VALUE")
        elif key in overrides:
            problems.append(f"{key}: must be given once, is given as {overrides[key]!r} and {text!r}")
        else:
            overrides[key] = text
    return rest, overrides, problems


@contextmanager
def told_with(mistakes: Sequence[str]) -> Iterator[None]:
    """Raise what the block refuses together with the mistakes on the command line, if there are any.

    Raises:
        ConfigError: with every mistake at once.
    """
    try:
        yield
    except UserError as error:
        if not mistakes:
            raise
        problems = error.problems if isinstance(error, ConfigError) else [str(error)]
        raise ConfigError(dict.fromkeys([*mistakes, *problems])) from error
    if mistakes:
        raise ConfigError(mistakes)


def _next_value(words: deque[str]) -> str | None:
    """The next word unless it is an option, which then stays for its turn."""
    return None if not words or words[0].startswith("--") else words.popleft()


def _unknown(option: str, own: Collection[str]) -> str:
    """Return the problem with an option that the command does not have, and the one that may be meant."""
    hint = suggestion(option, own) or advice(option[2:].replace("-", "_"), config_types())
    return f"{option}: unknown option{hint}"
