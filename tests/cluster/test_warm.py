"""Workers of a local Ray that are copies of a process which has imported what they need."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cluster import warm_worker
from cluster.warm import Ready, WarmProcess, _begun, begun, end_begun, warm_process
from tests.tune.study.processes import gone
from tests.tune.tracking.server import wait_until

SCRIPT = """
import json, os, random, sys
place = sys.argv[1]
said = [sys.argv, os.getppid(), os.getpgrp() == os.getpid(), sorted({"colorsys", "wave"} & set(sys.modules))]
text = json.dumps([*said, os.environ.get("OWN"), os.getcwd(), random.random()])
open(place + ".unfinished", "w").write(text)
os.rename(place + ".unfinished", place)
print("said by the copy")
"""
ON_RAY = """
import json, os, signal, sys, time
import psutil, ray
from cluster.warm import Ready
from cluster.session import ray_session

class Actor:
    def knows(self):
        parent = " ".join(psutil.Process().parent().cmdline())
        return os.getpid(), "cluster.warm" in parent, "colorsys" in sys.modules, os.environ["OMP_NUM_THREADS"]

os.environ.pop("OMP_NUM_THREADS", None)
with ray_session(num_cpus=4, ready=Ready(first=("colorsys",), modules=("ray",), threads=3)):
    kinds = ({}, {}, {"runtime_env": {"env_vars": {"A": "1"}}})
    actors = [ray.remote(num_cpus=1, **kind)(Actor).remote() for kind in kinds]
    said = ray.get([actor.knows.remote() for actor in actors])
    os.kill(said[0][0], signal.SIGKILL)
    said += ray.get([ray.remote(num_cpus=1)(Actor).remote().knows.remote(), actors[1].knows.remote()])
    pids = [p.pid for p in psutil.Process().children(recursive=True)]
print(json.dumps([said, pids]))
"""


@pytest.fixture
def warm() -> Iterator[WarmProcess]:
    with closing(WarmProcess(Ready(first=("colorsys",), modules=("wave", "no_such_module"), threads=1))) as made:
        yield made


def worker(warm: WarmProcess, folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run as a raylet does what becomes a worker."""
    (folder / "default_worker.py").write_text(SCRIPT)
    command = [sys.executable, "/ray/setup_worker.py", str(folder / "default_worker.py"), str(folder / "said"), *words]
    return subprocess.run(
        [sys.executable, "-I", "-S", warm_worker.__file__, warm.address, *command],
        check=False,
        cwd=folder,
        env={"RAY_RAYLET_PID": "7", "RAY_JOB_ID": "01000000", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_worker_is_a_copy_with_the_words_files_folder_and_environment_of_its_own(
    warm: WarmProcess, tmp_path: Path
) -> None:
    warm.prepare(raylet=7)
    numbers = set()
    for own in ("1", "2"):
        done = worker(warm, tmp_path, "--a=1", "--language=PYTHON", OWN=own)
        assert (done.returncode, done.stderr) == (0, "")
        wait_until((tmp_path / "said").exists, 20)
        words, parent, leads, modules, variable, folder, number = json.loads((tmp_path / "said").read_text())
        assert words == [str(tmp_path / "default_worker.py"), str(tmp_path / "said"), "--a=1"]
        assert parent == warm._process.pid
        assert leads, "Ray ends a worker with its process group"
        assert modules == ["colorsys", "wave"]
        assert (variable, folder) == (own, str(tmp_path))
        assert done.stdout in ("said by the copy\n", ""), "the copy may write after the worker's first process ended"
        numbers.add(number)
        (tmp_path / "said").unlink()
    assert len(numbers) == 2, "copies draw different numbers"


@pytest.mark.parametrize("environment", [{"RAY_RAYLET_PID": "8"}, {"RAY_JOB_ID": "02000000"}])
def test_a_worker_in_whose_environment_ray_would_read_something_else_is_no_copy(
    warm: WarmProcess, tmp_path: Path, environment: dict[str, str]
) -> None:
    warm.prepare(raylet=7)
    done = worker(warm, tmp_path, **environment)
    # As always: that there is no such setup_worker.py is not ours to mend.
    assert done.returncode == 2
    assert "/ray/setup_worker.py" in done.stderr


def test_a_worker_with_an_environment_of_its_own_is_no_copy(warm: WarmProcess, tmp_path: Path) -> None:
    done = worker(warm, tmp_path, "--serialized-runtime-env-context={}")
    assert "/ray/setup_worker.py" in done.stderr


def test_without_a_warm_process_workers_start_as_always(warm: WarmProcess, tmp_path: Path) -> None:
    warm.close()
    done = worker(warm, tmp_path)
    assert "/ray/setup_worker.py" in done.stderr
    assert not Path(warm.address).exists()


def test_who_goes_away_in_the_middle_of_a_request_ends_nothing(warm: WarmProcess, tmp_path: Path) -> None:
    for text in (b"", b'{"scr'):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(warm.address)
            connection.sendall(text)
    assert worker(warm, tmp_path).returncode == 0
    wait_until((tmp_path / "said").exists, 20)


def test_one_that_has_begun_is_given_to_the_first_who_needs_the_same() -> None:
    ready, other = (Ready(first=(name,), modules=(), threads=1) for name in ("colorsys", "wave"))
    with begun(ready):
        with closing(warm_process(other)) as different, closing(warm_process(ready)) as first:
            assert different.ready == other
            assert first.ready == ready
            with closing(warm_process(ready)) as second:
                assert second.address != first.address
        assert first._process.returncode is not None
    with begun(ready):
        (unused,) = _begun
        end_begun()
        assert unused._process.returncode is not None
    with begun(ready):
        (unused,) = _begun
    assert unused._process.returncode is not None
    assert not Path(unused.address).exists()
    assert _begun == []


def test_it_ends_with_the_process_that_has_started_it() -> None:
    code = (
        "import os, signal; from cluster.warm import Ready, WarmProcess\n"
        "made = WarmProcess(Ready(first=('colorsys',), modules=(), threads=1))\n"
        "print(made._process.pid, made.address, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    started, address = done.stdout.split()
    wait_until(lambda: gone(int(started)), 20)
    assert not Path(address).parent.exists()


@pytest.mark.ray
def test_actors_of_a_local_ray_are_copies_and_die_one_by_one() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-c", ON_RAY], check=False, capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    (first, second, own, later, same), pids = json.loads(done.stdout.splitlines()[-1])
    for actor in (first, second, later):
        assert actor[1:] == [True, True, "3"]
    assert own[1:3] == [False, False], "an actor with an environment has a process of its own"
    assert len({first[0], second[0], later[0]}) == 3
    assert same == second, "the death of one is none of the other's"
    # Ray's agent and what is beside it look once a second whether their parents are there.
    wait_until(lambda: all(map(gone, pids)), 10)
