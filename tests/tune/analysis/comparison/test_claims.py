"""Whether a study may say anything of the paper is read from its shards once."""

from pathlib import Path

from dclf.paper_data import UNREADABLE
from tests.paper_data import write_like_paper
from tests.tune.analysis.comparison.studies import comparison, preset
from tune.analysis.comparison.claims import as_in_paper, other_data, unlike_paper
from tune.comparisons import ablation


def test_shards_are_read_once_and_not_while_they_cannot_be(tmp_path: Path) -> None:
    shards, away = tmp_path / "data", tmp_path / "away"
    definition = comparison(tmp_path / "studies", ablation(seeds=1), preset("iemocap", shards)).definition
    assert unlike_paper(definition) == (UNREADABLE,)
    write_like_paper(shards)
    assert as_in_paper(definition)
    shards.rename(away)
    assert other_data(definition) == "", "what was read holds"
