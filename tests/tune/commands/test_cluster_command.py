import subprocess
from pathlib import Path

import pytest

from cluster.local.state import PASSWORD, TOKEN, LocalCluster, write_private
from tests.cluster.local.support import ended_cluster
from tune.commands.cluster import shell_lines
from tune.commands.main import main


@pytest.fixture
def cluster(tmp_path: Path) -> LocalCluster:
    """In a folder with a name that a shell would take apart."""
    cluster = ended_cluster(tmp_path / "a folder; 'quoted' $HOME")
    write_private(cluster.folder / TOKEN, "t0ken\n")
    write_private(cluster.folder / PASSWORD, "pa$$ word\n")
    return cluster


def test_a_shell_ends_up_with_the_environment(cluster: LocalCluster) -> None:
    script = "\n".join([*shell_lines(cluster), "env -0"])
    done = subprocess.run(
        ["sh", "-c", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    variables = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    expected = {**cluster.environment(), "RAY_ADDRESS": cluster.ray_address}
    assert {key: variables.get(key) for key in expected} == expected


def test_no_secret_is_printed(cluster: LocalCluster) -> None:
    text = "\n".join(shell_lines(cluster))
    assert "t0ken" not in text
    assert "pa$$" not in text


def test_env_refuses_a_cluster_that_has_ended(cluster: LocalCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "env", "--folder", str(cluster.folder)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert "no longer runs as a whole" in output.err
