"""The best answers on generated shards: what they need, where they are kept, and which shards are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from dclf.data import (
    BayesReport,
    DataError,
    bayes_shards,
    feature_card,
    generate,
    read_shards,
    write_bayes,
    write_shards,
)
from dclf.data.bayes import read_bayes
from dclf.data.manifest import read_manifest
from tests.dclf.data.support import make_dialogues, make_info
from tests.dclf.sparse import made_sparse


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    info, dialogues = generate("iemocap-shifted-small", seed=0)
    folder = tmp_path_factory.mktemp("data") / "set"
    write_shards(dialogues, folder, info)
    return folder


@pytest.fixture(scope="module")
def report(shifted: Path) -> BayesReport:
    return bayes_shards(shifted, limit=60)


def test_knowing_the_shares_of_test_and_hearing_words_are_worth_something(report: BayesReport) -> None:
    all_known, wrong_shares, no_words, neither = report.scores
    assert report.utterances == 206
    assert all_known.accuracy == pytest.approx(report.expected_accuracy, abs=0.08)
    for less in (wrong_shares, no_words, neither):
        assert less.wf1 < all_known.wf1 - 0.02
        assert less.shift_wf1 is not None
        assert all_known.shift_wf1 is not None
        assert less.shift_wf1 < all_known.shift_wf1 - 0.05


def test_it_is_kept_beside_the_shards_and_on_the_card(report: BayesReport, shifted: Path, tmp_path: Path) -> None:
    assert "`dclf data bayes` says" in feature_card(shifted).to_markdown()
    write_bayes(shifted, report)
    sha256 = read_manifest(shifted).sha256
    assert read_bayes(shifted, sha256) == report == BayesReport.from_dict(report.to_dict())
    card = feature_card(shifted)
    assert card.bayes == report
    assert "| all is known | " in card.to_markdown()
    assert read_bayes(shifted, "another") is None
    write_shards(make_dialogues(), tmp_path / "own", make_info())
    assert "Best possible" not in feature_card(tmp_path / "own").to_markdown()


def test_writing_shards_again_removes_it(report: BayesReport, tmp_path: Path) -> None:
    for seed in (0, 1):
        info, dialogues = generate("iemocap-small", 6, seed)
        write_shards(dialogues, tmp_path / "set", info, overwrite=True)
        assert not (tmp_path / "set" / "bayes.json").exists()
        write_bayes(tmp_path / "set", report)


def test_what_is_not_planted_is_not_asked_for(tmp_path: Path) -> None:
    info, dialogues = generate("iemocap-small", 6, test_keep=0.3)
    write_shards(dialogues, tmp_path / "set", info)
    report = bayes_shards(tmp_path / "set", modalities=["audio"], limit=20)
    assert [score.listener for score in report.scores] == ["all is known", "train's shares taken for test's"]
    assert report.modalities == ("audio",)


def test_shards_whose_truth_is_not_known_are_refused(tmp_path: Path) -> None:
    write_shards(make_dialogues(), tmp_path / "own", make_info())
    with pytest.raises(DataError, match="must be of 'dclf data generate'"):
        bayes_shards(tmp_path / "own")
    info, dialogues = generate("iemocap-small", 12)
    write_shards(made_sparse(dialogues), tmp_path / "sparse", info)
    with pytest.raises(DataError, match="lacks labels or features"):
        bayes_shards(tmp_path / "sparse")
    planted = {**dict(info.provenance["planted"]), "keep": 0.9}  # type: ignore[call-overload]
    older = make_info(
        **{name: getattr(info, name) for name in ("dataset", "class_names", "widths", "speaker_count")},
        provenance={**info.provenance, "planted": planted},
    )
    write_shards(generate("iemocap-small", 12)[1], tmp_path / "older", older)
    assert read_shards(tmp_path / "older").info.provenance["planted"] == planted
    with pytest.raises(DataError, match="another version"):
        bayes_shards(tmp_path / "older")
