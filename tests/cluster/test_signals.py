import pickle
import signal
import sys
from collections.abc import Iterator

import pytest

from cluster.signals import Terminated, raise_if_asked, termination_raises


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_signal_raises_and_the_handler_is_put_back(number: signal.Signals, code: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Terminated) as raised, termination_raises(), termination_raises():
        signal.raise_signal(number)
    assert (raised.value.code, str(raised.value)) == (code, number.name)
    assert signal.getsignal(number) is before


def end_twice(number: signal.Signals, ended: list[bool]) -> None:
    """Get the signal, and again while an inner ``with`` has been left and its work is closed."""
    with termination_raises():
        try:
            with termination_raises():
                signal.raise_signal(number)
        finally:
            signal.raise_signal(number)
            ended.append(True)


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGHUP, [True]), (signal.SIGTERM, [])])
def test_a_second_hangup_does_not_cut_short_the_ending_but_a_second_sigterm_does(
    number: signal.Signals, expected: list[bool]
) -> None:
    ended: list[bool] = []
    with pytest.raises(Terminated):
        end_twice(number, ended)
    assert ended == expected


def test_it_survives_the_way_between_processes() -> None:
    ended = pickle.loads(pickle.dumps(Terminated(signal.SIGHUP)))
    assert (ended.code, str(ended)) == (129, "SIGHUP")


def test_under_nohup_it_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with termination_raises():
        signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def wait_as_ray_does() -> None:
    """Ray has an exit of its own in place of what a signal's handler raises."""
    try:
        signal.raise_signal(signal.SIGTERM)
    except SystemExit:
        sys.exit(1)


def test_what_ray_makes_of_it_is_the_signals_exit_again() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated) as ended, termination_raises(), termination_raises():
        wait_as_ray_does()
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_exit_stays_what_it_is() -> None:
    with pytest.raises(SystemExit) as ended, termination_raises():
        sys.exit(3)
    assert ended.value.code == 3


def lose_one() -> None:
    """Get the signal where Python drops what its handler raises."""

    class Ends:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGHUP)

    Ends()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_python_has_lost_is_raised_later() -> None:
    with termination_raises():
        raise_if_asked()
        lose_one()
        with pytest.raises(Terminated) as ended:
            raise_if_asked()
    assert str(ended.value) == "SIGHUP"
    raise_if_asked()
