import pytest


@pytest.fixture(autouse=True)
def _quick(no_disk_waits: None) -> None:
    """Reports and comparisons only read."""
