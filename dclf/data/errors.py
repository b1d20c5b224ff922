"""What can be wrong with data, shards and the files they come from."""

from __future__ import annotations

from collections.abc import Sequence

from dclf.errors import UsageError, UserError
from dclf.prose import quantity

LISTED = 20
"""How many problems an error message lists before it only counts them."""


class DataError(UserError, ValueError):
    """Data that break a rule of the shard format; carries every problem found, not just the first.

    Attributes:
        problems: one sentence each, naming the dialogue.
    """

    def __init__(self, problems: Sequence[str], heading: str = "the data are not valid") -> None:
        self.problems = tuple(problems)
        self.heading = heading
        super().__init__(self._message())

    def _message(self) -> str:
        count = len(self.problems)
        lines = [f"{self.heading}: {quantity(count, 'problem')}"]
        lines += [f"  - {problem}" for problem in self.problems[:LISTED]]
        if count > LISTED:
            lines.append(f"  - and {count - LISTED} more, {count} in total")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[type[DataError], tuple[tuple[str, ...], str]]:
        return type(self), (self.problems, self.heading)


class ShardError(UserError, ValueError):
    """A shard set that is unfinished, damaged or of another format."""


class MissingModalityError(UserError, ValueError):
    """A modality was asked for that the shards do not carry."""


class ShardsUnavailableError(UserError, OSError):
    """Shards whose store does not answer, or lets nobody in."""


def unreadable(error: Exception, file: str, remedy: str, *, remote: bool) -> ShardError | ShardsUnavailableError:
    """The error for a file of shards that cannot be read: a store that fails is no fault of the shards."""
    message = f"{file} cannot be read ({error})"
    if remote and isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        return ShardsUnavailableError(message)
    return ShardError(f"{message}; {remedy}")


class OutputFolderError(UserError, OSError):
    """The folder or URI to write to is full, read-only, unreachable or already in use."""


class OutputTakenError(UsageError, OutputFolderError):
    """The place to write to has something else in it; another place, or leave to overwrite, is needed."""


class UnsafePickleError(UserError, ValueError):
    """A pickle names something other than NumPy arrays and plain containers; nothing of it was run."""


class SourceError(UserError, ValueError):
    """A file to import is missing, damaged or laid out differently than its importer expects."""
