"""A user's folder in which the installed command works, with a trained run."""

import subprocess
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from dclf.uris import sqlite_uri
from tests.tune.runner.processes import Processes
from tune.study.folder import StudyFolder

DCLF = str(Path(sys.executable).with_name("dclf"))
LIMIT_S = 300.0
"""For one command; the slowest takes some twenty seconds on a quiet machine."""
GONE_S = 60.0
"""Until the processes that a command started have ended too."""
TRAIN = "--train.epochs 1 --train.patience 15 --train.batch_size 8 --train.device cpu"
"""One epoch; the rest is as in the study file of the paper's Table 3, whose trainings so serve other commands too."""
SMALL = f"--data.shards shards {TRAIN}"
CONFIGURED = f"iemocap {SMALL}"


class Project:
    """A folder in which commands are run.

    Args:
        folder: the same; it is made, with shards in it.

    Attributes:
        processes: marks what is started.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes = Processes()
        folder.mkdir()
        done = self.run("data generate shards --preset iemocap-small --dialogues 12")
        assert done.returncode == 0, done.stderr

    def run(
        self,
        words: str | list[str],
        shell: str = "",
        variables: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """A command to its end, and that of all that it started.

        Args:
            words: after ``dclf``.
            shell: what follows the command in a shell, such as ``| head -n 1``; the exit code is the command's.
            variables: further ones of the command's environment.
            folder: where it works; the project's where None.
        """
        words = words.split() if isinstance(words, str) else words
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f'"$@" {shell}', "bash", DCLF, *words],
            cwd=folder or self.folder,
            env={**self.processes.environment, **(variables or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        self.processes.wait_until_gone(GONE_S)
        return done

    @cached_property
    def trained(self) -> subprocess.CompletedProcess[str]:
        """A run that nobody watches: both streams of the command are closed.

        Its shards and checkpoints are named from the root on, as a script would.
        """
        places = ["--data.shards", str(self.folder / "shards"), "--train.storage", str(self._checkpoints)]
        return self.run(["train", "iemocap", *places, *TRAIN.split()], ">&- 2>&-")

    @property
    def run_id(self) -> str:
        """Of the finished run."""
        assert self.trained.returncode == 0
        (folder,) = self._checkpoints.iterdir()
        return folder.name

    def study(self, name: str) -> StudyFolder:
        """One of those that commands have begun."""
        return StudyFolder.open(self.folder / "dclf-runs" / "studies", name)

    @property
    def uri(self) -> str:
        """Of the MLflow store."""
        return sqlite_uri(self.folder / "dclf-runs" / "mlflow.db")

    @property
    def _checkpoints(self) -> Path:
        return self.folder / "dclf-runs" / "checkpoints"
