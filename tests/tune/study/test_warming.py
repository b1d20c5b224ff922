"""When importing for the trials begins before the driver's own."""

from pathlib import Path

import pytest

from cluster.warm import _begun
from tune.study.warming import ready_for_trials, warming


def test_it_begins_for_trials_in_their_own_process_on_a_local_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with warming(2, None):
        (made,) = _begun
        assert made.ready == ready_for_trials(2)
        assert made.ready.threads == 2
    assert _begun == []


def test_one_that_has_begun_is_kept_where_it_is_what_the_trials_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with warming(1, None):
        (early,) = _begun
        with warming(1, None):
            assert _begun == [early]
        with warming(1, None), warming(2, None):
            (made,) = _begun
            assert made.ready.threads == 2
        with warming(1, None), warming(1, None, 2):
            assert _begun == []
    assert _begun == []


@pytest.mark.parametrize("fonts", [True, False])
def test_matplotlib_is_imported_where_it_does_not_look_for_fonts_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fonts: bool
) -> None:
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if fonts:
        (tmp_path / "matplotlib").mkdir()
        (tmp_path / "matplotlib" / "fontlist-v390.json").touch()
    assert ("matplotlib.pyplot" in ready_for_trials(1).later) == fonts
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "matplotlib"))
    assert ("tune.report.files" in ready_for_trials(1).later) == fonts


@pytest.mark.parametrize(
    ("address", "variable", "workers"), [("127.0.0.1:6379", "", 0), (None, "127.0.0.1:6379", 0), (None, "", 2)]
)
def test_it_does_not_begin_where_they_run_elsewhere(
    monkeypatch: pytest.MonkeyPatch, address: str | None, variable: str, workers: int
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", variable)
    with warming(1, address, workers):
        assert _begun == []
