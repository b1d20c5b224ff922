"""Studies most of whose trials failed: what stderr says of them, and the exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tune.report.facts import study_command
from tune.study.folder import StudyFolder
from tune.study.progress import mostly_failed


def code_of(folders: Iterable[StudyFolder]) -> int:
    """Say on stderr of which studies more than half of the trials failed; 1 where there is any, else 0."""
    lines = [
        f"dclf: error: study {folder.definition.name}: {sentence}; see them all: {study_command('show', folder)}"
        for folder in folders
        if (sentence := mostly_failed(folder))
    ]
    if lines:
        print(*lines, sep="\n", file=sys.stderr, flush=True)
    return int(bool(lines))
