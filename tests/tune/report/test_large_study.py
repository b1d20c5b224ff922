"""Five thousand trials: listing, showing and reporting stay quick, and memory does not follow the number of trials."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tune.study.samples import fill, new_folder

TRIALS = 5000
LIMIT_S = 10.0
LIMIT_MIB = 600
CODE = """
import json, sys, time
from pathlib import Path
from tune.commands.main import main
code = main(sys.argv[1:])
# Of this program alone: getrusage's peak begins with that of the process it was forked from.
peak = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
print(json.dumps({"code": code, "cpu_s": time.process_time(), "peak_mib": peak / 1024}), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _file: None)
        fill(new_folder(path, trials=TRIALS), TRIALS)
    return path


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", [["list"], ["show", "gammas"], ["report", "gammas"]], ids=lambda words: words[0])
def test_it_stays_quick(command: list[str], storage: Path) -> None:
    begun = time.monotonic()
    arguments = [sys.executable, "-c", CODE, *command, "--storage", str(storage)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    wall = time.monotonic() - begun
    measured = json.loads(done.stderr.splitlines()[-1])
    print(f"{command[0]}: {wall:.1f} s, processor {measured['cpu_s']:.1f} s, peak {measured['peak_mib']:.0f} MiB")
    # Processor time: what the command costs, whoever else uses the machine.
    assert measured["cpu_s"] < LIMIT_S
    assert measured["peak_mib"] < LIMIT_MIB
