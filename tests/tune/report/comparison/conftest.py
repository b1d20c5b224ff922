from pathlib import Path

import pytest

from tests.tune.report.comparison import studies
from tune.study.folder import StudyFolder


@pytest.fixture
def own_data(shards: Path, tmp_path: Path) -> Path:
    """Shards that call themselves the paper's data set."""
    return studies.renamed_shards(shards, tmp_path / "own", "iemocap")


@pytest.fixture
def ablations(tmp_path: Path, own_data: Path) -> StudyFolder:
    """An ablation on the paper's data set."""
    return studies.ablation_study(tmp_path, studies.with_paper(own_data))
