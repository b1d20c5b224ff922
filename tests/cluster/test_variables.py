"""Environment variables that only Python sees."""

import os
import subprocess
import sys

import pytest

from cluster.variables import shown

CODE = "import os; print(os.environ.get('DCLF_SHOWN'), os.environ.get('DCLF_SET'))"


def test_what_is_shown_is_seen_by_python_and_by_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCLF_SET", "the user's")
    before = dict(os.environ)
    with shown({"DCLF_SHOWN": "ours", "DCLF_SET": "ours"}):
        assert (os.environ["DCLF_SHOWN"], os.environ["DCLF_SET"]) == ("ours", "the user's")
        # A child has the C library's environment.
        told = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
        assert told.stdout == "None the user's\n"
    assert dict(os.environ) == before
