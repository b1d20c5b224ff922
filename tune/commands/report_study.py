"""``dclf report``: the report of a study as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from dclf.data.storage import absolute
from tune.commands.next_steps import after_study, print_next
from tune.commands.options import add_output_option, add_storage_option, command_parser, print_json
from tune.config.local_files import output_problem
from tune.config.yaml_files import ConfigError

if TYPE_CHECKING:
    from tune.commands.job_words import JobCommand
    from tune.report.files import ReportFiles
    from tune.study.folder import StudyFolder

EXAMPLES = """\
examples:
  dclf report gammas
  dclf report gammas --out paper/gammas
  dclf report gammas --output json

The HTML file holds everything and needs no other file; docs/reports.md says what is in a report.
"""


def main(argv: Sequence[str]) -> int:
    """Write the report as the command line says, and return the exit code."""
    return read(argv).run()


def read(argv: Sequence[str]) -> ReportRequest:
    """Return what the command line asks for; SystemExit where an option is wrong."""
    return ReportRequest(argv, build_parser().parse_args(argv))


@dataclass(frozen=True)
class ReportRequest:
    """A study whose report is written.

    Attributes:
        arguments: of the command.
        options: its options.
    """

    arguments: Sequence[str]
    options: Namespace

    def run(self) -> int:
        """Write it and print where it is, and return the exit code."""
        options = self.options
        # Imported here, so that help does not wait for Optuna, pandas and matplotlib, nor a mistyped name.
        from tune.study.folder import StudyFolder  # noqa: PLC0415

        folder = StudyFolder.open(options.storage, options.name)
        files = _write(folder, options.out)
        if options.output == "json":
            print_json(_plain(files))
        else:
            _print(files)
            print_next(options, *after_study(folder, "" if files.config is None else str(files.config)))
        return 0

    def job(self, _study: str) -> JobCommand:
        """See ``tune.commands.request.Request``."""
        from cluster.jobs.node_check import Needs  # noqa: PLC0415 - it brings Ray
        from tune.commands.job_words import JobCommand, with_values  # noqa: PLC0415

        options = self.options
        places = {"storage": absolute(options.storage)} | ({"out": absolute(options.out)} if options.out else {})
        needs = Needs(storages=places, everywhere=False)
        return JobCommand(("report", *with_values(self.arguments, places)), options.name, needs, tracks=False)


def build_parser() -> ArgumentParser:
    """Return a parser with the options of the command."""
    parser = command_parser(
        "dclf report",
        "Write the report of a study: HTML, Markdown, tables as CSV and LaTeX, figures as SVG and PNG, the best "
        "configuration.",
        EXAMPLES,
    )
    parser.add_argument("name", help="name of the study; dclf list knows them")
    parser.add_argument("--out", default="", help="folder for the files; report in the study's folder where absent")
    add_storage_option(parser)
    add_output_option(parser)
    return parser


def _write(folder: StudyFolder, out: str) -> ReportFiles:
    if out and (problem := output_problem("--out", out)):
        raise ConfigError([problem])
    from tune.report.files import write_report  # noqa: PLC0415
    from tune.runner.optuna_study import load_study  # noqa: PLC0415

    files = write_report(folder, load_study(folder), Path(out) if out else None)
    folder.share_files()
    return files


def _plain(files: ReportFiles) -> dict[str, Any]:
    return {
        "folder": str(files.folder),
        "html": str(files.html),
        "markdown": str(files.markdown),
        "config": None if files.config is None else str(files.config),
        "tables": {name: str(path) for name, path in files.tables.items()},
        "figures": {name: str(path) for name, path in files.figures.items()},
        "pictures": {name: str(path) for name, path in files.pictures.items()},
        "missing": files.missing,
    }


def _print(files: ReportFiles) -> None:
    print(f"report    {files.html}")
    print(f"markdown  {files.markdown}")
    for path in (*files.tables.values(), *files.figures.values(), *files.pictures.values()):
        print(f"          {path}")
    for name, reason in files.missing.items():
        print(f"          no figure {name}: {reason}")
    if files.config is not None:
        print(f"best      {files.config}")
