"""SIGTERM as an exception."""

import signal
import sys

import pytest

from cluster.signals import Terminated, sigterm_raises


def wait_as_ray_does() -> None:
    """Ray has an exit of its own in place of what a signal's handler raises."""
    try:
        signal.raise_signal(signal.SIGTERM)
    except SystemExit:
        sys.exit(1)


def test_what_ray_makes_of_it_is_the_signals_exit_again() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated) as ended, sigterm_raises(), sigterm_raises():
        wait_as_ray_does()
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_exit_stays_what_it_is() -> None:
    with pytest.raises(SystemExit) as ended, sigterm_raises():
        sys.exit(3)
    assert ended.value.code == 3
