from pathlib import Path

import pytest

from tests.paper_data import write_like_paper
from tests.tune.analysis.comparison import studies
from tune.study.folder import StudyFolder


@pytest.fixture
def own_data(tmp_path: Path) -> Path:
    """Shards like the paper's IEMOCAP."""
    return write_like_paper(tmp_path / "own")


@pytest.fixture
def ablations(tmp_path: Path, own_data: Path) -> StudyFolder:
    """An ablation on the paper's data set."""
    return studies.ablation_study(tmp_path, studies.with_paper(own_data))
