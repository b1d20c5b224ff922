"""One cluster of two real nodes with its MLflow server, which none of these tests ends."""

import json
import shlex
import stat
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import grpc
import pytest

from cluster.local.endpoints import fetch_json, status_of
from cluster.local.nodes import has_agent, known_nodes
from cluster.local.processes import marked
from cluster.local.start import up
from cluster.local.state import ADMIN, LocalCluster, load_cluster
from cluster.local.status import status_of_cluster
from tests.cluster.local.support import joining, listening, small
from tests.proxies import behind_proxy
from tune.commands.main import main

pytestmark = [pytest.mark.ray, pytest.mark.mlflow, pytest.mark.slow]
Streams = pytest.CaptureFixture[str]

DOORS = (
    "NodeInfoGcsService/GetAllNodeInfo",
    "NodeManagerService/GetNodeStats",
    "ObjectManagerService/Push",
    "RayletDriver/ClusterInfo",
    "ReporterService/GetTraceback",
)
"""A method of each of Ray's gRPC servers: control store, node, its objects, remote clients, a node's agent."""

SHELL = """
import os, ray, requests
print(requests.get(os.environ["MLFLOW_TRACKING_URI"] + "/health", timeout=10).text)
print(ray.init().address_info["gcs_address"], ray.cluster_resources()["CPU"] >= 4)
"""
JOIN = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False)
print("cpus", ray.cluster_resources()["CPU"])
"""


def call(port: int, method: str, token: str = "") -> grpc.StatusCode:
    """What a server says to an empty request."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            metadata = [("authorization", f"Bearer {token}")] if token else []
            channel.unary_unary(f"/ray.rpc.{method}")(b"", timeout=10, metadata=metadata)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


REFUSALS = (
    {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED},
    {HTTPStatus.UNAUTHORIZED},
    {HTTPStatus.FORBIDDEN},
)


def speak(port: int, token: str) -> set[object]:
    """What a server says to gRPC and, where that is not its language, to HTTP."""
    answers: set[object] = {call(port, method, token) for method in DOORS}
    if answers != {grpc.StatusCode.UNAVAILABLE}:
        return answers
    request = Request(f"http://127.0.0.1:{port}/", headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urlopen(request, timeout=10) as answer:
            return {HTTPStatus(answer.status)}
    except HTTPError as error:
        with error:
            return {HTTPStatus(error.code)}


def test_the_nodes_are_real_and_known(cluster: LocalCluster) -> None:
    status = status_of_cluster(cluster)
    assert [(node.name, node.state, node.cpus) for node in status.nodes] == [
        ("head", "alive", 2),
        ("node-1", "alive", 2),
    ]
    assert status.whole
    assert len({node.pid for node in status.nodes}) == 2


def test_every_node_takes_jobs(cluster: LocalCluster) -> None:
    nodes = known_nodes(cluster)
    assert all(has_agent(cluster, nodes[name]) for name in ("head", "node-1"))
    assert not has_agent(cluster, {"node_id": "f" * 56})


def test_everything_listens_on_loopback_alone(cluster: LocalCluster) -> None:
    listeners = {(address.removeprefix("::ffff:"), port) for _process, address, port in listening(cluster.mark)}
    assert {address for address, _port in listeners} == {"127.0.0.1"}
    assert {cluster.ray_port, cluster.dashboard_port, cluster.mlflow_port} <= {port for _address, port in listeners}


@pytest.mark.parametrize("token", ["", "f" * 64], ids=["no token", "a wrong token"])
def test_every_port_refuses_strangers(cluster: LocalCluster, token: str) -> None:
    web = {cluster.dashboard_port, cluster.mlflow_port}
    ports = {port for _process, _address, port in listening(cluster.mark)} - web
    open_ports = {port: answers for port in ports if (answers := speak(port, token)) not in REFUSALS}
    assert open_ports == {}
    assert len(ports) >= 10  # control store, client server, and of each node raylet, objects and the agents


def test_the_control_store_lets_the_token_in(cluster: LocalCluster) -> None:
    assert call(cluster.ray_port, DOORS[0], cluster.token) == grpc.StatusCode.OK


@pytest.mark.parametrize("path", ["/api/jobs/", "/api/v0/nodes", "/nodes?view=summary", "/api/cluster_status", "/logs"])
def test_dashboard_and_jobs_refuse_strangers(cluster: LocalCluster, path: str) -> None:
    assert status_of(cluster.jobs_address + path) == HTTPStatus.UNAUTHORIZED
    with pytest.raises(OSError, match="403"):
        fetch_json(cluster.jobs_address + path, bearer="f" * 64)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/2.0/mlflow/experiments/get?experiment_id=0",
        "/ajax-api/2.0/mlflow/experiments/get?experiment_id=0",
        "/api/2.0/mlflow-artifacts/artifacts",
        "/graphql",
        "/version",
    ],
)
def test_mlflow_refuses_strangers(cluster: LocalCluster, path: str) -> None:
    assert status_of(cluster.mlflow_uri + path) == HTTPStatus.UNAUTHORIZED
    with pytest.raises(OSError, match="401"):
        fetch_json(cluster.mlflow_uri + path, user=ADMIN, password="password1234")


def test_mlflow_is_healthy_and_lets_its_user_in(cluster: LocalCluster) -> None:
    with urlopen(f"{cluster.mlflow_uri}/health", timeout=10) as answer:
        assert answer.read() == b"OK"
    url = f"{cluster.mlflow_uri}/api/2.0/mlflow/experiments/get?experiment_id=0"
    reply = fetch_json(url, user=ADMIN, password=cluster.mlflow_password)
    assert reply["experiment"]["artifact_location"].startswith("mlflow-artifacts:/")


def test_no_secret_is_in_a_command_line(cluster: LocalCluster) -> None:
    lines = [word for process in marked(cluster.mark) for word in process.cmdline()]
    assert len(lines) > 50
    assert not [word for word in lines if cluster.token in word or cluster.mlflow_password in word]


def test_a_shell_with_the_clusters_environment_works_on_it(cluster: LocalCluster) -> None:
    dclf = str(Path(sys.executable).with_name("dclf"))
    words = shlex.join([dclf, "cluster", "env", "--folder", str(cluster.folder)])
    join = shlex.join([sys.executable, "-c", SHELL])
    shell = ["sh", "-c", f'eval "$({words})" && {join}']
    done = subprocess.run(shell, check=False, env=behind_proxy(), capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["OK", cluster.ray_address, "True"], done.stderr


def test_ray_s_sockets_and_logs_are_their_owner_s_alone(cluster: LocalCluster) -> None:
    assert stat.S_IMODE(Path(cluster.sockets).stat().st_mode) == 0o700
    assert (cluster.ray_folder / "session_latest" / "logs").is_dir()


def test_a_driver_with_another_token_stays_outside(cluster: LocalCluster) -> None:
    # Ray would try for 20 s.
    environment = joining(cluster) | {"RAY_AUTH_TOKEN": "f" * 64, "RAY_NUM_REDIS_GET_RETRIES": "2"}
    command = [sys.executable, "-c", JOIN, cluster.ray_address]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "InvalidAuthToken" in done.stderr
    assert "cpus" not in done.stdout


def test_a_second_up_finds_the_first(cluster: LocalCluster, capsys: Streams) -> None:
    assert up(small(nodes=5), cluster.folder) == load_cluster(cluster.folder)
    assert main(["cluster", "up", "--folder", str(cluster.folder)]) == 0
    output = capsys.readouterr()
    assert "a local cluster is up already, since" in output.err
    assert cluster.jobs_address in output.out


def test_status_prints_addresses_and_nodes(cluster: LocalCluster, capsys: Streams) -> None:
    assert main(["cluster", "status", "--folder", str(cluster.folder)]) == 0
    out = capsys.readouterr().out
    for words in (cluster.ray_address, cluster.jobs_address, cluster.mlflow_uri, "head       2 CPUs, alive", "node-1"):
        assert words in out
    assert cluster.token not in out
    assert cluster.mlflow_password not in out


def test_status_as_json(cluster: LocalCluster, capsys: Streams) -> None:
    assert main(["cluster", "status", "--folder", str(cluster.folder), "--output", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["addresses"]["jobs"] == cluster.jobs_address
    assert [node["state"] for node in facts["nodes"]] == ["alive", "alive"]
    assert facts["mlflow"] is True


def test_ui_says_where_the_server_is(cluster: LocalCluster, capsys: Streams) -> None:
    folder = str(cluster.folder)
    assert main(["ui", "--cluster", "--folder", folder]) == 0
    assert main(["ui", "--address", cluster.jobs_address, "--folder", folder]) == 0
    assert main(["ui", "--address", cluster.mlflow_uri]) == 0
    output = capsys.readouterr().out
    assert output.count(f"MLflow UI: {cluster.mlflow_uri}/#/") == 3
    assert output.count("password in") == 2


def test_ui_refuses_an_address_that_is_not_mlflows(cluster: LocalCluster, tmp_path: Path, capsys: Streams) -> None:
    assert main(["ui", "--address", cluster.jobs_address, "--folder", str(tmp_path)]) == 1
    assert "must be the address of an MLflow server" in capsys.readouterr().err
