import os
from importlib.metadata import version
from pathlib import Path

import pytest

from cluster.jobs.endpoint import Endpoint, JobError, as_address, find_endpoint
from cluster.jobs.versions import mismatches, own_versions


@pytest.fixture(autouse=True)
def nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("address", ["10.0.0.5:8265", "ray://10.0.0.5:10001", "http://", "auto", "file:///etc/passwd"])
def test_only_the_url_of_a_dashboard_will_do(address: str) -> None:
    with pytest.raises(JobError, match="must be the URL of a Ray dashboard, as http://HOST:8265"):
        find_endpoint(address)


def test_an_address_holds_no_password() -> None:
    with pytest.raises(JobError, match="must not hold a user or password") as error:
        find_endpoint("http://me:hush@host:8265")
    assert "hush" not in str(error.value)


def test_without_any_address_the_remedy_is_named() -> None:
    with pytest.raises(JobError, match="`dclf cluster up` starts one"):
        find_endpoint()


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"RAY_API_SERVER_ADDRESS": "http://a:1/", "RAY_ADDRESS": "http://b:2"}, "http://a:1"),
        ({"RAY_ADDRESS": "https://b:2"}, "https://b:2"),
    ],
)
def test_the_address_may_come_from_the_environment(
    variables: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert find_endpoint().url == url
    assert find_endpoint("http://c:3").url == "http://c:3"


def test_the_token_is_found_where_ray_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("home\n", encoding="utf-8")
    (tmp_path / "named").write_text("named\n", encoding="utf-8")
    assert find_endpoint("http://a:1").token == "home"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "named"))
    assert find_endpoint("http://a:1").token == "named"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "own")
    assert find_endpoint("http://a:1").token == "own"
    assert "own" not in repr(find_endpoint("http://a:1"))


def test_a_named_token_file_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "absent")
    with pytest.raises(JobError, match="RAY_AUTH_TOKEN_PATH: must name a file"):
        find_endpoint("http://a:1")


@pytest.mark.parametrize("home", ["/dev/null/home", None])
def test_a_home_folder_without_token_is_no_mistake(home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if home:
        monkeypatch.setenv("HOME", home)
    else:
        monkeypatch.delenv("HOME")
    assert find_endpoint("http://a:1").token == ""


def test_a_named_token_file_must_be_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path))
    with pytest.raises(
        JobError, match=r"RAY_AUTH_TOKEN_PATH: must name a file with the token, cannot read .*directory"
    ):
        find_endpoint("http://a:1")


def test_the_environment_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet")
    monkeypatch.delenv("no_proxy", raising=False)
    before = dict(os.environ)
    with as_address(Endpoint("http://a:1", "token")):
        assert os.environ["RAY_API_SERVER_ADDRESS"] == "http://a:1"
        assert os.environ["NO_PROXY"] == "intranet,localhost,127.0.0.1,::1,a"
    assert dict(os.environ) == before


def test_the_installed_version_is_the_one_of_the_sources() -> None:
    assert own_versions()["dclf"] == version("dclf")


def test_versions_differ_where_they_count() -> None:
    ours = {"dclf": "1.0", "ray": "2.60.0", "python": "3.11.4"}
    assert list(mismatches({"ray": "2.60.0", "python": "3.11.9"}, ours)) == []
    assert sorted(mismatches({"ray": "2.59.0", "python": "3.12.4"}, ours)) == [
        "python 3.12.4 (here 3.11.4)",
        "ray 2.59.0 (here 2.60.0)",
    ]
