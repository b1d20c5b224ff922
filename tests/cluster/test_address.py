"""The cluster that a user names."""

import pytest

from cluster.address import cluster_address


@pytest.mark.parametrize(
    ("argument", "variable", "address"),
    [("a:1", "b:2", "a:1"), (None, "b:2", "b:2"), ("", "b:2", "b:2"), (None, "", "")],
)
def test_what_is_given_goes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, argument: str | None, variable: str, address: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", variable)
    assert cluster_address(argument) == address


def test_without_either_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert cluster_address() == ""
