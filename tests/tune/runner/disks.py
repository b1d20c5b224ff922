"""A small disk that a test may fill."""

import os
import subprocess
from pathlib import Path
from typing import Self

import pytest


class SmallDisk:
    """A file system in memory of so many MiB, mounted at a folder for the length of a block.

    Skips the test where mounting is not permitted.
    """

    def __init__(self, folder: Path, mib: int) -> None:
        self._folder = folder
        self._mib = mib
        self._filler = folder / "filler"

    def __enter__(self) -> Self:
        self._folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={self._mib}m", "tmpfs", str(self._folder)]
        if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a small disk needs the rights of root")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", str(self._folder)], check=True)

    def fill(self) -> None:
        """Leave no byte."""
        with self._filler.open("wb", buffering=0) as file:
            size = 1 << 20
            while size:
                try:
                    file.write(bytes(size))
                except OSError:
                    size //= 2

    def free(self) -> None:
        """Take the filling away."""
        self._filler.unlink()
