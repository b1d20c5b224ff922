import pytest

from benchmarks.streaming_memory import measure
from cluster.resources import ClusterResources
from cluster.session import OBJECT_STORE_BYTES
from dclf.config import DataConfig

MIB = 2**20


@pytest.mark.ray
@pytest.mark.slow
def test_memory_does_not_grow_with_the_data(local_ray: ClusterResources) -> None:
    size = 384 * MIB
    measured = measure(size, DataConfig(cache_mb=16, shuffle_mb=16))
    assert measured.streamed * MIB > 1.9 * size
    assert measured.rise["RssAnon"] * MIB < size / 4
    assert measured.rise["RssShmem"] * MIB < OBJECT_STORE_BYTES
