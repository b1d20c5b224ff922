from collections.abc import Iterator

import pytest

from cluster.local.start import up
from cluster.local.state import LocalCluster
from cluster.local.stop import down
from tests.cluster.local.support import small


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Two nodes and a server for all tests of this folder that leave it as it was."""
    folder = tmp_path_factory.mktemp("local") / "cluster"
    try:
        yield up(small(), folder)
    finally:
        down(folder)
