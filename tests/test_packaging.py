"""The package as others install it: built from a checkout that is in use, and beside a folder of its name."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("cluster", "dclf", "tune")
DIRT = ("dclf-runs/code.py", "dclf-demo/shards/manifest.json", "tune-old/__init__.py", "build/lib/dclf/removed.py")
"""What runs, demonstrations and builds of earlier days leave in a checkout."""
BESIDE = """
from pathlib import Path
import dclf
from tune.config.settings import load_config
print(load_config("iemocap", {"data.shards": "shards"}).loss.window, Path(dclf.__file__).resolve())
"""


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | variables
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "dclf-runs"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    for name in DIRT:
        (folder / name).parent.mkdir(parents=True)
        (folder / name).touch()
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with what the environment holds, so that nothing is fetched."""
    out = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index")
    run(*pip, "-w", out, checkout, cwd=out)
    (path,) = out.glob("dclf-*.whl")
    return path


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked by pip into a folder of its own."""
    folder = tmp_path_factory.mktemp("elsewhere")
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", folder, wheel, cwd=folder)
    return folder


def test_a_wheel_of_a_dirty_checkout_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and "dclf-runs" not in path.parts
    }


def test_a_source_distribution_holds_the_packages_and_what_builds_them(checkout: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=checkout)
    (path,) = tmp_path.glob("dclf-*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    beside = {name for name in names if name.partition("/")[0] not in PACKAGES}
    assert beside == {"PKG-INFO", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore"}
    assert names - beside == {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and "dclf-runs" not in path.parts
    }


@pytest.mark.slow
def test_an_installed_wheel_runs_the_command(elsewhere: Path) -> None:
    output = run(elsewhere / "bin" / "dclf", "--help", cwd=elsewhere, PYTHONPATH=str(elsewhere))
    assert "dclf data generate" in output


@pytest.mark.slow
def test_an_installed_wheel_makes_the_demonstrations_data(elsewhere: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "demo.py", tmp_path)
    step = "import demo, dclf; demo.generate_data(); print(dclf.__file__)"
    output = run(sys.executable, "-c", step, cwd=tmp_path, PYTHONPATH=str(elsewhere))
    assert (tmp_path / "dclf-demo" / "shards" / "manifest.json").exists()
    assert output.splitlines()[-1] == str(elsewhere / "dclf" / "__init__.py")


def test_a_checkout_called_dclf_beside_a_script_is_not_taken_for_the_package(tmp_path: Path) -> None:
    (tmp_path / "dclf").symlink_to(ROOT)
    script = tmp_path / "script.py"
    script.write_text(BESIDE, encoding="utf-8")
    assert run(sys.executable, script, cwd=tmp_path).split() == ["10", str(ROOT / "dclf" / "__init__.py")]
