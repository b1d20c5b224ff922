"""What a command line asks for. It is read once, and then run here or sent to a cluster as a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tune.commands.sweep_options import CommandLine, require_local_room
from tune.commands.sweep_results import run_command_line

if TYPE_CHECKING:
    from tune.commands.job_words import JobCommand


class Request(Protocol):
    """A command line without mistakes; every command that can be a job has a function ``read`` that returns one."""

    def run(self) -> int:
        """Do what it asks for, and return the exit code."""

    def job(self, study: str) -> JobCommand:
        """Return what ``dclf submit`` sends to do it as a job.

        Args:
            study: name for a study that the command line leaves unnamed.

        Raises:
            StudyError: it goes on with a study that is not there.
        """


@dataclass(frozen=True)
class StudyRequest:
    """A new study.

    Attributes:
        command: its name.
        arguments: of the command.
        command_line: what they say.
        files: configuration files that they name.
        study: what ``tune.sweeps.sweep`` shall know beside configuration and settings.
    """

    command: str
    arguments: Sequence[str]
    command_line: CommandLine
    files: tuple[Path, ...] = ()
    study: Mapping[str, Any] = field(default_factory=dict)

    def run(self) -> int:
        """Run it and print what it came to, and return the exit code.

        Raises:
            TrialPlanError: this machine has no room for it.
        """
        require_local_room(self.command_line)
        return run_command_line(self.command_line, **self.study)

    def job(self, study: str) -> JobCommand:
        """See ``Request``."""
        from tune.commands.job_words import study_job  # noqa: PLC0415 - it brings Ray

        return study_job(self.command, self.arguments, self.command_line, study, self.files)


def config_files(config: str | None) -> tuple[Path, ...]:
    """The configuration file that a command line names; none for a preset."""
    return (Path(config),) if config and Path(config).is_file() else ()
