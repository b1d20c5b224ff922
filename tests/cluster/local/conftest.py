import pytest

from cluster.local.state import LocalCluster


@pytest.fixture(scope="package")
def cluster(shared_cluster: LocalCluster) -> LocalCluster:
    """A cluster for all tests of this folder that leave it as it was."""
    return shared_cluster
