"""Imports without garbage collection."""

import gc
import subprocess
import sys

import pytest

from cluster.importing import uncollected


def test_nothing_is_collected_within_the_block_and_everything_is_as_before_after_it() -> None:
    assert gc.isenabled()
    with uncollected(), uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_error_leaves_it_as_before() -> None:
    with pytest.raises(ImportError), uncollected():
        raise ImportError("no such module")
    assert gc.isenabled()


def test_who_collects_nothing_goes_on_so() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_in_a_program_of_ours_what_was_made_is_never_looked_through() -> None:
    """In a process of its own: there is no way back."""
    program = (
        "import gc\n"
        "from cluster.importing import own_process, uncollected\n"
        "with uncollected():\n"
        "    pass\n"
        "before = gc.get_freeze_count()\n"
        "own_process()\n"
        "with uncollected():\n"
        "    made = [[] for _ in range(1000)]\n"
        "print(before, gc.get_freeze_count() - before > 1000, gc.isenabled())\n"
    )
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert told.split() == ["0", "True", "True"]
