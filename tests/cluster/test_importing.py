"""Imports without garbage collection."""

import gc

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
