"""Of all machines, one drives a study."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dclf.data.storage import Folder
from tune.study.claims import LAPSES_S, Claims

TAKE = """
import sys
from dclf.data.storage import Folder
from tune.study.claims import Claims
claims = Claims(Folder.of(sys.argv[1]), "the first driver")
claims.take()
assert claims.held
print("held", flush=True)
sys.stdin.read()
"""


def age(folder: Path, seconds: float) -> None:
    """As if claims had last been renewed so long ago."""
    for claim in folder.iterdir():
        os.utime(claim, (time.time() - seconds, time.time() - seconds))


def elsewhere(folder: Path) -> None:
    """As if the claims' drivers were on another machine, where nobody sees whether they live."""
    for claim in folder.iterdir():
        content = json.loads(claim.read_text())
        claim.write_text(json.dumps({**content, "process": {**content["process"], "boot": "another"}}))


def test_a_second_driver_is_told_who_works_on_the_study(tmp_path: Path) -> None:
    first, second = Claims(Folder.of(tmp_path), "the first"), Claims(Folder.of(tmp_path), "the second")
    assert first.take() == []
    assert [claim.holder for claim in second.take()] == ["the first"]
    assert (first.held, second.held) == (True, False)
    assert second.holder() == "the first"
    first.release()
    assert second.holder() == ""
    assert second.take() == []
    assert second.held


def test_of_many_that_come_at_the_same_time_at_most_one_has_the_study(tmp_path: Path) -> None:
    drivers = [Claims(Folder.of(tmp_path), str(number)) for number in range(6)]
    with ThreadPoolExecutor(len(drivers)) as pool:
        list(pool.map(Claims.take, drivers))
    assert sum(driver.held for driver in drivers) <= 1
    assert len(list(tmp_path.glob("*.json"))) == sum(driver.held for driver in drivers)


def test_a_claim_that_is_no_longer_renewed_lapses(tmp_path: Path) -> None:
    first, second = Claims(Folder.of(tmp_path), "the first"), Claims(Folder.of(tmp_path), "the second")
    first.turn += 10**6  # its clock is ahead
    first.take()
    elsewhere(tmp_path)
    age(tmp_path, LAPSES_S - 20)
    second.take()
    assert not second.held
    age(tmp_path, LAPSES_S + 1)
    assert [claim.holder for claim in second.take()] == ["the first"]
    assert second.held
    assert second.turn > first.turn
    assert not first.renew()
    assert second.renew()


def test_a_driver_that_was_killed_on_this_machine_holds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKE, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        second = Claims(Folder.of(tmp_path), "the second")
        assert [claim.holder for claim in second.take()] == ["the first driver"]
        first.kill()
    assert [claim.holder for claim in second.take()] == ["the first driver"]
    assert second.held
