import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ray.runtime_env import RuntimeEnv

from cluster.jobs.endpoint import JobError
from cluster.jobs.install import FOLDER, PACKAGES, Installation, installation, own_requirements
from cluster.jobs.packing import pack

ROOT = Path(__file__).parents[3]
CONSTRAINTS = ROOT / "constraints.txt"


@pytest.fixture
def install() -> Installation:
    return installation(CONSTRAINTS)


def test_the_projects_constraints_pin_what_it_needs(install: Installation) -> None:
    assert "torch==2.13.0" in install.constraints.splitlines()
    assert any(line.startswith("ray[") for line in install.requirements)
    assert not any("pytest" in line or "psycopg" in line for line in install.requirements)
    assert install.sources == tuple(ROOT / name for name in PACKAGES)


def test_extras_stay_out() -> None:
    lines = ["torch==2.13.0", 'psycopg>=3; extra == "postgres"', 'tomli; python_version < "3.11"']
    assert own_requirements(lines) == ("torch==2.13.0", 'tomli; python_version < "3.11"')


def test_ray_takes_the_environment(install: Installation) -> None:
    environment = RuntimeEnv(**{**install.runtime_environment(), "py_modules": ["gcs://sent.zip"]})
    assert environment.pip_config()["packages"][0] == f"-c {FOLDER}/{install.file}"
    assert environment["config"]["setup_timeout_seconds"] == 1800


def test_the_constraints_lie_in_the_package(install: Installation, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    packed = pack(tmp_path / "folder", tmp_path / "job.zip", beside={install.file: install.constraints})
    with zipfile.ZipFile(packed.path) as archive:
        assert archive.read(install.file).decode() == install.constraints


def test_other_constraints_are_another_environment(install: Installation) -> None:
    other = Installation(install.requirements, f"{install.constraints}\n", install.sources)
    assert other.runtime_environment()["pip"] != install.runtime_environment()["pip"]


@pytest.mark.slow
def test_pip_reads_it_and_finds_nothing_to_do_where_all_is_there(install: Installation, tmp_path: Path) -> None:
    (tmp_path / install.file).write_text(install.constraints, encoding="utf-8")
    lines = install.runtime_environment()["pip"]["packages"]
    (tmp_path / "requirements.txt").write_text("\n".join(lines), encoding="utf-8")
    words = ["install", "--no-index", "--dry-run", "--disable-pip-version-check", "-r", "requirements.txt"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words],
        cwd=tmp_path,
        env={"RAY_RUNTIME_ENV_CREATE_WORKING_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Would install" not in done.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "must name the constraints file of the project, cannot read"),
        ("numpy==2.0\n", "must pin every package that dclf needs, as NAME==VERSION, has no .*torch"),
        ("torch>=2\n# ray==2.60.0\n", "has no .*ray.*torch"),
    ],
)
def test_constraints_that_leave_packages_open_are_refused(text: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "constraints.txt"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(JobError, match=f"--install: .*{message}"):
        installation(file)
