from pathlib import Path

import pytest

from cluster import ray_token
from cluster.ray_token import home_token, local_token


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_token, "_generated", [])
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)


def keep_token(home: Path, text: str) -> None:
    (home / ".ray").mkdir(exist_ok=True)
    (home / ".ray" / "auth_token").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("home", ["", "/dev/null/home", None])
def test_a_home_that_keeps_nothing_has_no_token(home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if home is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", home)
    assert home_token() == ""


def test_a_process_has_one_token_as_long_as_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    first = local_token()
    assert len(first["RAY_AUTH_TOKEN"]) == 64
    keep_token(tmp_path, "another's\n")
    assert local_token() == first


def test_what_the_user_has_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    keep_token(tmp_path, "  \n")
    assert local_token() != {}
    monkeypatch.setattr(ray_token, "_generated", [])
    keep_token(tmp_path, "mine\n")
    assert home_token() == "mine"
    assert local_token() == {}
    monkeypatch.setenv("HOME", "/dev/null/home")
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        with monkeypatch.context() as context:
            context.setenv(name, "x")
            assert local_token() == {}
