from pathlib import Path

import pytest

from cluster.jobs.node_check import Needs, check_nodes
from cluster.storage import StorageError


def test_a_storage_that_is_refused_leaves_no_mark_in_the_others(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    storages = {"train.storage": str(tmp_path / "good"), "sweep.storage": str(tmp_path / "file" / "below")}
    with pytest.raises(StorageError, match=r"^sweep\.storage: cannot keep checkpoints"):
        check_nodes(Needs(storages=storages, everywhere=False))
    assert list((tmp_path / "good").iterdir()) == []


def test_nothing_stays_of_the_check_of_one_node(tmp_path: Path) -> None:
    assert check_nodes(Needs(storages={"train.storage": str(tmp_path)}, everywhere=False)) == []
    assert list(tmp_path.iterdir()) == []
