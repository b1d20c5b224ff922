"""How tests share two processes: those that start a cluster, a server or a browser never run at the same time."""

import signal

import pytest
from hypothesis import settings

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would every process that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A shared machine says nothing of an example's own time; a test that hangs meets pytest's limit.
settings.register_profile("dclf", deadline=None)
settings.load_profile("dclf")

HEAVY = ("ray", "mlflow", "browser")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group heavy tests together, and every other test with those of its file, whose fixtures it shares."""
    for item in items:
        heavy = any(item.get_closest_marker(marker) for marker in HEAVY)
        item.add_marker(pytest.mark.xdist_group("heavy" if heavy else item.path.stem))
