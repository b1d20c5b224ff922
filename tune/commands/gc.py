"""``dclf gc``: delete checkpoints that nobody needs any more."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dclf.prose import quantity, size_text
from tune.commands.next_steps import print_next
from tune.commands.options import add_output_option, add_storage_option, command_parser, print_json
from tune.config.yaml_files import ConfigError

if TYPE_CHECKING:
    from tune.runner.tidy_all import Cleaning

DESCRIPTION = """\
Delete the checkpoints of pruned and failed trials and of complete ones outside the best --keep, and what a killed Ray
left. Several objectives keep their whole Pareto front. Checkpoints that dclf resume goes on from stay, and so do the
epochs of all trials.
"""
EXAMPLES = """\
examples:
  dclf gc gammas --dry-run
  dclf gc gammas --keep 1
  dclf gc gammas --storage /scratch/studies --output json
"""


def main(argv: Sequence[str]) -> int:
    """Clean up as the command line says, and return the exit code."""
    parser = command_parser("dclf gc", DESCRIPTION, EXAMPLES)
    parser.add_argument("name", help="of the study; dclf list knows them")
    parser.add_argument("--keep", type=int, help="how many of the best trials keep theirs; the study's sweep.keep else")
    parser.add_argument("--dry-run", action="store_true", help="say what would be deleted, and delete nothing")
    add_storage_option(parser)
    add_output_option(parser)
    options = parser.parse_args(argv)
    if options.keep is not None and options.keep < 1:
        raise ConfigError([f"--keep: must be at least 1, is {options.keep}"])
    cleaning = _clean(options.storage, options.name, options.keep, dry_run=options.dry_run)
    if options.output == "json":
        content = {"keep": cleaning.keep, "checkpoints": cleaning.checkpoints, "bytes": cleaning.freed}
        print_json({"study": options.name, "dry_run": options.dry_run, **content})
    else:
        print(_text(cleaning, dry_run=options.dry_run))
        words = ["dclf", "gc", *(word for word in argv if word != "--dry-run")]
        print_next(options, shlex.join(words) if options.dry_run and cleaning.checkpoints else "dclf list")
    return 0


def _clean(storage: str, name: str, keep: int | None, *, dry_run: bool) -> Cleaning:
    # Imported here, so that help does not wait.
    from tune.runner.tidy_all import clean, survey_waste  # noqa: PLC0415
    from tune.study.folder import StudyFolder  # noqa: PLC0415

    folder = StudyFolder.open(storage, name)
    keep = folder.definition.sweep.keep if keep is None else keep
    if dry_run:
        return survey_waste(folder, keep)
    with folder.locked():
        # Read again: a driver may have ended a trial just before the lock was ours.
        return clean(StudyFolder.open(storage, name), keep)


def _text(cleaning: Cleaning, *, dry_run: bool) -> str:
    verb = "would free" if dry_run else "freed"
    remainder = "the best trial keeps its" if cleaning.keep == 1 else f"the best {cleaning.keep} trials keep theirs"
    return f"{verb} {size_text(cleaning.freed)}: {quantity(cleaning.checkpoints, 'checkpoint')}; {remainder}"
