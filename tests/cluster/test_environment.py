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
        told = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    assert told.stdout == "ours the user's\n"
    assert dict(os.environ) == before
