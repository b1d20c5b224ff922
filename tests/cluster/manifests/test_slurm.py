"""What the Slurm script refuses before it starts anything; `dclf` itself is stood in for."""

import os
import subprocess
from pathlib import Path

import pytest

from cluster.manifests import manifest


def run(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script with these words, as a job of one node."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    (tools / "dclf").write_text("#!/bin/bash\n")
    (tools / "dclf").chmod(0o755)
    script = folder / "slurm.sh"
    script.write_text(manifest("slurm"))
    settings = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(folder),
        "DCLF_STORAGE": str(folder / "storage"),
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "SLURM_JOB_ID": str(1000 + os.getpid()),
        "SLURM_JOB_NODELIST": "node-a",
        "SLURM_CPUS_PER_TASK": "2",
        "SLURM_GPUS_ON_NODE": "0",
    }
    settings |= environment
    return subprocess.run(
        ["bash", script, *words], env=settings, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / ".ray" / "auth_token"
    path.parent.mkdir()
    path.write_text("0123456789abcdef" * 4)
    return path


def test_what_is_missing_is_told_before_anything_starts(tmp_path: Path) -> None:
    refused = run(tmp_path, "iemocap", "--name", "gammas")
    assert refused.returncode == 2
    assert "no token in" in refused.stderr
    assert "MLFLOW_TRACKING_URI" in run(tmp_path, "iemocap", MLFLOW_TRACKING_URI="").stderr


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("words", [(), ("iemocap",), ("iemocap", "--name", "../other"), ("iemocap", "--name=a b")])
def test_a_study_without_a_proper_name_is_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    refused = run(tmp_path, *words)
    assert refused.returncode == 2
    assert "slurm.sh: " in refused.stderr
