"""The Slurm script with stand-ins for Slurm's own commands, which run here what they would run on a node."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cluster.manifests import manifest

HOSTNAME = "echo 127.0.0.1\n"
SCONTROL = "printf 'node-a\\nnode-b\\n'\n"
SRUN = """
while [[ $1 == -* ]]; do [[ $1 == -w ]] && { node=$2; shift; }; shift; done
words=("$@")
if [[ $node == node-b ]]; then  # here both nodes are one machine, whose ports they share
    for i in "${!words[@]}"; do
        [[ ${words[i]} =~ ^(--.*-port=)([0-9]+)$ ]] && words[i]=${BASH_REMATCH[1]}$((BASH_REMATCH[2] + 10))
    done
fi
exec "${words[@]}"
"""
RAY = f"""
export RAY_prestart_worker_first_driver=0  # without workers and a dashboard that nobody here needs
[[ $1 == start && $2 == --head ]] && set -- "$@" --include-dashboard=false
exec "{sys.executable}" -P -m cluster.local.ray_node "$@"
"""
DCLF = f"""
echo "dclf $*"
exec "{sys.executable}" - <<'END'
import time, ray
ray.init(log_to_driver=False)
end = time.monotonic() + 60
while ray.cluster_resources()["CPU"] < 4 and time.monotonic() < end: time.sleep(0.1)
print("cpus", ray.cluster_resources()["CPU"])
END
"""


def run(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script with these words, as a job of two nodes."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    stand_ins = {"hostname": HOSTNAME, "scontrol": SCONTROL, "srun": SRUN, "ray": RAY, "dclf": DCLF}
    for name, text in stand_ins.items():
        (tools / name).write_text(f"#!/bin/bash\n{text}")
        (tools / name).chmod(0o755)
    script = folder / "slurm.sh"
    script.write_text(manifest("slurm"))
    settings = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(folder),
        "DCLF_STORAGE": str(folder / "storage"),
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "SLURM_JOB_ID": str(1000 + os.getpid()),
        "SLURM_JOB_NODELIST": "node-[a-b]",
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
    result = run(tmp_path, "iemocap", "--name", "gammas")
    assert result.returncode == 2
    assert "no token in" in result.stderr
    assert "MLFLOW_TRACKING_URI" in run(tmp_path, "iemocap", MLFLOW_TRACKING_URI="").stderr


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("words", [(), ("iemocap",), ("iemocap", "--name", "../other"), ("iemocap", "--name=a b")])
def test_a_study_without_a_proper_name_is_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    result = run(tmp_path, *words)
    assert result.returncode == 2
    assert "slurm.sh: " in result.stderr


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.usefixtures("token")
def test_a_study_runs_on_all_nodes_and_a_begun_one_is_resumed(tmp_path: Path) -> None:
    studies = tmp_path / "storage" / "studies"
    (studies / "gammas").mkdir(parents=True)
    (studies / "gammas" / "study.yaml").touch()
    done = run(tmp_path, "iemocap", "--name=gammas")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"dclf resume gammas --storage {studies}" in done.stdout
    assert "cpus 4.0" in done.stdout
    sockets = f"/tmp/ray-{1000 + os.getpid()}"
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert not [line for line in lines if sockets in line]
    shutil.rmtree(sockets)
