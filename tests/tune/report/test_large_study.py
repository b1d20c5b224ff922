"""Five thousand trials are listed, shown and reported in memory that does not follow their number.

``benchmarks/large_study.py`` has the seconds.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tune.study.samples import fill, new_folder

TRIALS = 5000
LIMIT_MIB = 600
CODE = """
import json, sys
from pathlib import Path
from tune.commands.main import main
code = main(sys.argv[1:])
# Of this program alone: getrusage's peak begins with that of the process it was forked from.
peak = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
print(json.dumps({"code": code, "peak_mib": peak / 1024}), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large")
    fill(new_folder(path, trials=TRIALS), TRIALS)
    return path


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", [["list"], ["show", "gammas"], ["report", "gammas"]], ids=lambda words: words[0])
def test_it_stays_small(command: list[str], storage: Path) -> None:
    arguments = [sys.executable, "-c", CODE, *command, "--storage", str(storage)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    measured = json.loads(done.stderr.splitlines()[-1])
    assert measured["code"] == 0
    assert measured["peak_mib"] < LIMIT_MIB
