"""How soon a submitted sweep speaks, on a warm local cluster.

    python benchmarks/first_log_line.py [--jobs 5]

A cluster of one node is started, and one sweep after the other submitted to it. The first line of a job's log says that
it has started; the first of the sweep itself, that its MLflow run is open and what it will do. Both are counted from
the start of `dclf submit`, its imports included.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from matmul_rate import matmul_rate

BAR_S = 10.0
MARKS = ("the job has started", "study ")
DCLF = Path(sys.executable).with_name("dclf")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=5)
    jobs = parser.parse_args().jobs
    print(f"1024-cubed product: {matmul_rate():.0f} GFLOP/s, load {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory(prefix="dclf-first-line-") as folder:
        run(folder, "data", "generate", "shards", "--preset", "iemocap-small")
        run(folder, "cluster", "up", "--nodes", "1", "--cpus", "3")
        try:
            print("| job | first line, s | the sweep's first line, s | bar s |\n|---|---|---|---|")
            for job in range(1, jobs + 1):
                first, sweep = submit(folder, f"s{job}")
                print(f"| {job} | {first:.1f} | {sweep:.1f} | {BAR_S:g} |")
        finally:
            run(folder, "cluster", "down")


def run(folder: str, *words: str) -> None:
    subprocess.run([DCLF, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def submit(folder: str, name: str) -> list[float]:
    """Seconds until the lines with the marks came."""
    sweep = ["sweep", "iemocap", "--data.shards", f"{folder}/shards", "--trials", "2", "--train.epochs", "2"]
    command = [str(DCLF), "submit", "--", *sweep, "--name", name]
    start, came = time.perf_counter(), {}
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            for mark in MARKS:
                if line.removeprefix("dclf: ").startswith(mark):
                    came.setdefault(mark, time.perf_counter() - start)
    assert process.returncode == 0, f"job {name} failed"
    return [came[mark] for mark in MARKS]


if __name__ == "__main__":
    main()
