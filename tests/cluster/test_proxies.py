import os
from urllib.request import proxy_bypass_environment

import pytest

from cluster.proxies import bypass_proxy_on_loopback, has_proxy, without_proxy

LOOPBACK = "localhost,127.0.0.1,::1"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("present", "upper", "lower"),
    [
        ({}, LOOPBACK, LOOPBACK),
        ({"NO_PROXY": ""}, LOOPBACK, LOOPBACK),
        ({"NO_PROXY": "a, .b"}, f"a,.b,{LOOPBACK}", f"a,.b,{LOOPBACK}"),
        ({"no_proxy": "a"}, f"a,{LOOPBACK}", f"a,{LOOPBACK}"),
        ({"NO_PROXY": "a", "no_proxy": "b"}, f"a,{LOOPBACK}", f"b,{LOOPBACK}"),
        ({"NO_PROXY": "127.0.0.1,a"}, "127.0.0.1,a,localhost,::1", "127.0.0.1,a,localhost,::1"),
        ({"NO_PROXY": "*"}, "*", "*"),
    ],
)
def test_loopback_is_added_to_what_the_user_has(
    present: dict[str, str], upper: str, lower: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in present.items():
        monkeypatch.setenv(name, value)
    assert without_proxy() == {"NO_PROXY": upper, "no_proxy": lower}


def test_further_hosts_are_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    once = without_proxy("10.0.0.5", "localhost")
    assert once["no_proxy"] == f"{LOOPBACK},10.0.0.5"
    for name, value in once.items():
        monkeypatch.setenv(name, value)
    assert without_proxy("10.0.0.5") == once


def test_nothing_changes_without_a_proxy() -> None:
    bypass_proxy_on_loopback()
    assert "no_proxy" not in os.environ
    assert not has_proxy()


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "all_proxy", "grpc_proxy"])
def test_loopback_is_reached_past_any_proxy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "intranet")
    monkeypatch.setenv("no_proxy", "intranet")
    bypass_proxy_on_loopback()
    assert all(proxy_bypass_environment(host) for host in ("127.0.0.1:5000", "localhost", "intranet"))
    assert not proxy_bypass_environment("example.com")
