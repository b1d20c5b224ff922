"""What a run remembers of the code that made it."""

import subprocess
from pathlib import Path

from tune.tracking.facts import git_state


def git(folder: Path, *words: str) -> str:
    own = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", "-C", str(folder), *own, *words], capture_output=True, text=True, check=True).stdout


def test_the_state_of_a_checkout(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("a = 1\n")
    git(tmp_path, "init", "--quiet")
    assert git_state(tmp_path) == ("", False), "without a commit"
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    (tmp_path / "beside.txt").write_text("not of the checkout")
    commit = git(tmp_path, "rev-parse", "HEAD").strip()
    assert git_state(tmp_path) == (commit, False)
    (tmp_path / "code.py").write_text("a = 2\n")
    assert git_state(tmp_path) == (commit, True)
    assert git_state(tmp_path / "nowhere") == ("", False)
