"""The page ``docs/commands.md``: what every command's ``--help`` prints.

Renew it with ``python -m tune.commands.reference --commands > docs/commands.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO

from cluster.environment import environment
from dclf.data.importers import IMPORTERS
from tune.commands import cluster, data, main, plan, track
from tune.commands.dispatch import Command

HEAD = """\
# Command line

What `dclf COMMAND --help` prints, of every command. [configuration.md](configuration.md) has the keys that stand as
`--section.key VALUE`, and `dclf` looks for [models, importers and the like](extending.md) of other packages too.

Exit codes: 0 done, 1 failed (a study too, where more than half of its trials did), 2 wrong usage or configuration,
130 interrupted, 143 ended by SIGTERM, 129 by SIGHUP (a terminal that closes; `nohup` keeps a command from hearing of
it). `--debug` adds the traceback to an error. A command whose output nobody reads any more, as behind `| head`, goes on
to its end all the same; `dclf logs -f` alone stops following then, with 141.
"""
WIDTH = 110
"""Columns of the helps, whatever the terminal has."""
GROUPS: Mapping[str, Mapping[str, Command]] = {
    "data": data.COMMANDS,
    "plan": plan.COMMANDS,
    "cluster": cluster.GROUP,
    "track": track.COMMANDS,
}
"""Commands with commands of their own; those of ``dclf data import`` are the importers that ship."""


def commands_page() -> str:
    """``docs/commands.md``: a section per command, the groups' commands below their group."""
    lines, examples = [HEAD], {""}
    with environment({"COLUMNS": str(WIDTH)}, over=True):
        for words in _commands():
            text = help_text(words)
            _, head, end = text.partition("examples:\n")
            if head + end in examples:  # the group's, which its commands repeat
                text = text.removesuffix(head + end).rstrip()
            examples.add(head + end)
            depth = "##" if len(words) < 2 else "###"
            lines += [f"\n{depth} {' '.join(['dclf', *words])}\n", "```text", text, "```"]
    return "\n".join(lines) + "\n"


def _commands(words: Sequence[str] = ()) -> Iterator[Sequence[str]]:
    """The words of a command, ``dclf`` itself where there are none, and of those below it."""
    yield words
    for name in commands_below(words):
        yield from _commands([*words, name])


def commands_below(words: Sequence[str]) -> tuple[str, ...]:
    """Names of a command's own commands; none where it has none.

    Args:
        words: of the command; none for ``dclf``.
    """
    if not words:
        return (*main.COMMANDS,)
    if tuple(words) == ("data", "import"):
        return (*IMPORTERS.shipped,)
    return (*GROUPS.get(words[0], {}),) if len(words) == 1 else ()


def help_text(words: Sequence[str]) -> str:
    """What a command prints when it is asked for its help.

    Args:
        words: of the command, such as data and inspect.
    """
    out = StringIO()
    with redirect_stdout(out):
        main.main([*words, "--help"])
    return out.getvalue().strip()
