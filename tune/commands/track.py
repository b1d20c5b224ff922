"""``dclf track``: what a run could not tell its MLflow server."""

from __future__ import annotations

from collections.abc import Sequence

from tune.commands.dispatch import Command, dispatch
from tune.commands.next_steps import print_next, run_line, uri_option
from tune.commands.options import command_parser

COMMANDS = {"send": Command("send what a run kept while its server was away", "tune.commands.track:send")}
EXAMPLES = """\
examples:
  dclf track send dclf-runs/unsent/unsent-3f2a91c0/writes.jsonl
"""


def main(argv: Sequence[str]) -> int:
    """Run the named command, and return the exit code."""
    return dispatch("dclf track", "MLflow housekeeping.", COMMANDS, argv, epilog=EXAMPLES)


def send(argv: Sequence[str]) -> int:
    """Send a spool file, and return the exit code."""
    parser = command_parser("dclf track send", "Send what a run kept while its MLflow server was away.", EXAMPLES)
    parser.add_argument("file", help="the file that the run named when it ended")
    parser.add_argument("--uri", default="", help="MLflow tracking URI; the one the file names where absent")
    options = parser.parse_args(argv)
    # Imported here, so that help does not wait for MLflow.
    from tune.tracking.spool import send_spool  # noqa: PLC0415

    print(f"sent what was kept of run {send_spool(options.file, options.uri)}")
    print_next(options, run_line("runs", uri=uri_option(options.uri)))
    return 0
