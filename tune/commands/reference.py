"""The configuration described from its dataclasses: annotated YAML, and the page ``docs/configuration.md``.

Renew the page with ``python -m tune.commands.reference > docs/configuration.md``, and that of the command line
(``tune.commands.command_page``) with ``python -m tune.commands.reference --commands > docs/commands.md``.
"""

from __future__ import annotations

import math
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, get_type_hints

import yaml
from docstring_parser import parse

from dclf.config import Config
from dclf.models import BASE_MODELS
from tune.config.settings import config_types, describe
from tune.config.sweep_settings import SweepSettings

HEAD = """\
# Configuration

A configuration is a YAML file with the sections below, or the name of a preset (`dclf train --help` lists them).
Every key can be overridden on the command line, `--loss.gamma_ca 0.6`, and in Python,
`tune.load_config("meld", {"data.shards": "shards/meld", "loss.gamma_ca": 0.6})`. `dclf train meld --print-config`
prints a preset with all its values, a file to start from. The top-level key `extends` names a preset or another
file, relative to this one, whose values hold where the file has none.

On a command line dashes and underscores are the same in options and keys: `--print_config` is `--print-config`,
`--train.batch-size` is `--train.batch_size`. Files are in UTF-8; YAML's anchors and merge keys (`<<`) work in every
mapping.

Unknown keys, wrong types and impossible values are reported together, each with its file and line, before any work
starts.
"""


def field_docs() -> dict[str, str]:
    """Dotted key -> its line in the docstring of its dataclass; sections and ``published`` without a dot."""
    docs = _attributes(Config)
    for section, kind in get_type_hints(Config).items():
        docs |= {f"{section}.{name}": text for name, text in _attributes(kind).items()}
    return docs


def _attributes(kind: type[Any]) -> dict[str, str]:
    described = parse(kind.__doc__ or "").params
    return {param.arg_name: " ".join((param.description or "").split()) for param in described}


def annotated_yaml(config: Config) -> str:
    """The whole configuration as YAML with each key's meaning above it."""
    docs, lines = field_docs(), []
    for section, content in config.to_dict().items():
        if section in config_types():
            lines += [f"# {docs[section]}", yaml.safe_dump({section: content}, sort_keys=False, width=110)]
            continue
        lines.append(f"{section}:")
        for name, value in content.items():
            lines += [f"  # {docs[f'{section}.{name}']}", f"  {name}: {flow(value)}"]
        lines.append("")
    return "\n".join(lines)


def annotated_sweep(settings: SweepSettings) -> str:
    """The ``sweep`` section as YAML with each key's meaning above it, the space a line per key."""
    docs, lines = _attributes(SweepSettings), ["sweep:"]
    for name, value in settings.to_dict().items():
        lines.append(f"  # {docs[name]}")
        if name == "space" and value:
            lines += ["  space:", *(f"    {key}: {flow(domain)}" for key, domain in value.items())]
        else:
            lines.append(f"  {name}: {flow(value)}")
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """A value on one line, as YAML reads it back."""
    plain = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(plain, default_flow_style=True, width=math.inf).removesuffix("...\n").rstrip()


def configuration_page() -> str:
    """``docs/configuration.md``: every key, its type, default and meaning, the base models' options included."""
    docs, defaults, lines, section = field_docs(), Config().to_dict(), [HEAD], ""
    for key, kind in config_types().items():
        parent, _, name = key.partition(".")
        if parent != section:
            section = parent
            lines += _table_head(section, docs[section])
        lines.append(_row(key, kind, defaults[parent][name] if name else defaults[parent], docs[key]))
    for model in BASE_MODELS.shipped:
        lines += _options_table(model)
    lines += _sweep_table()
    return "\n".join(lines) + "\n"


def _options_table(model: str) -> list[str]:
    """The rows of a base model's own options."""
    # Imported here, so that the help of `dclf train`, which shares field_docs, needs no torch.
    from dclf.models.contract import base_model_class  # noqa: PLC0415

    kind = base_model_class(model).Config
    docs, defaults = _attributes(kind), asdict(kind())
    rows = [_row(name, hint, defaults[name], docs[name]) for name, hint in get_type_hints(kind).items()]
    return [
        *_table_head(f"model.options of {model}", "under `model.options`, or as `--model.options.KEY VALUE`."),
        *rows,
    ]


def _sweep_table() -> list[str]:
    """The rows of the section that sweeps read beside a run's configuration."""
    docs, defaults = _attributes(SweepSettings), asdict(SweepSettings())
    text = "how `dclf sweep` searches, see [sweeps.md](sweeps.md); `dclf train` passes over it."
    hints = get_type_hints(SweepSettings)
    return [
        *_table_head("sweep", text),
        *(_row(f"sweep.{name}", hint, defaults[name], docs[name]) for name, hint in hints.items()),
    ]


def _table_head(title: str, text: str) -> list[str]:
    sentence = text[0].upper() + text[1:]
    return [f"\n## {title}\n", f"{sentence}\n", "| key | type | default | meaning |", "|---|---|---|---|"]


def _row(key: str, kind: Any, default: Any, text: str) -> str:
    cell = "empty" if default in ("", {}, ()) else f"`{flow(default)}`"
    return f"| `{key}` | {describe(kind)} | {cell} | {text.replace('``', '`')} |"


def main(argv: Sequence[str]) -> None:
    """Print one of the two pages."""
    parser = ArgumentParser("python -m tune.commands.reference", description="Print docs/configuration.md.")
    parser.add_argument("--commands", action="store_true", help="print docs/commands.md instead")
    if not parser.parse_args(argv).commands:
        sys.stdout.write(configuration_page())
        return
    # Imported here: the help of `dclf train`, which shares field_docs, needs no other command.
    from tune.commands.command_page import commands_page  # noqa: PLC0415

    sys.stdout.write(commands_page())


if __name__ == "__main__":
    main(sys.argv[1:])
