"""Options that several commands share, and how results are printed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from jsonargparse import ArgumentParser, DefaultHelpFormatter


class HelpFormatter(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Types and defaults beside each option; descriptions and examples as they are written."""


def command_parser(prog: str, description: str, epilog: str = "") -> ArgumentParser:
    """An empty parser for one command."""
    return ArgumentParser(prog=prog, description=description, epilog=epilog, formatter_class=HelpFormatter)


def add_output_option(parser: ArgumentParser) -> None:
    """Add ``--output text|json``."""
    parser.add_argument(
        "--output", choices=("text", "json"), default="text", help="how the result is printed on stdout"
    )


def print_json(result: Mapping[str, Any]) -> None:
    """Print a result as one line of JSON."""
    print(json.dumps(result, default=str), flush=True)
