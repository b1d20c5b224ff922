"""Settings that libraries read from the environment."""

import os
import subprocess
import sys

import pytest

from cluster.environment import environment

CODE = "import os; print(os.environ.get('DCLF_OURS'), os.environ.get('DCLF_USERS'))"


def test_what_the_user_has_not_set_is_set_for_this_process_and_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DCLF_OURS", raising=False)
    monkeypatch.setenv("DCLF_USERS", "the user's")
    before = dict(os.environ)
    with environment({"DCLF_OURS": "ours", "DCLF_USERS": "ours"}):
        child = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    assert child.stdout == "ours the user's\n"
    assert dict(os.environ) == before


def test_what_the_user_has_set_gives_way_where_it_must_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DCLF_OURS", raising=False)
    monkeypatch.setenv("DCLF_USERS", "the user's")
    with environment({"DCLF_OURS": "ours", "DCLF_USERS": "ours"}, over=True):
        assert (os.environ["DCLF_OURS"], os.environ["DCLF_USERS"]) == ("ours", "ours")
    assert os.environ["DCLF_USERS"] == "the user's"
    assert "DCLF_OURS" not in os.environ
