"""A finished run as a browser shows it."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.requirements import chromium
from tests.tune.tracking.samples import CARD, CONFIG, epoch, final
from tests.tune.tracking.server import Server
from tune.tracking.pages import page_of
from tune.tracking.run import RunTracker
from tune.tracking.store import connect


class Browser:
    """Headless Chromium with a profile of its own."""

    def __init__(self, folder: Path) -> None:
        self._command = [chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"]

    def show(self, address: str) -> str:
        """The page's elements after thirty seconds of its own time, in which it has loaded what it needs."""
        options = ["--window-size=1400,1600", "--virtual-time-budget=30000", "--timeout=90000", "--dump-dom"]
        result = subprocess.run(
            [*self._command, *options, address], capture_output=True, text=True, timeout=120, check=True
        )
        return result.stdout


@pytest.mark.browser
@pytest.mark.mlflow
@pytest.mark.slow
def test_the_run_page_shows_metrics_and_figures(server: Server, tmp_path: Path) -> None:
    store = connect(server.uri, "seen")
    with RunTracker(store, tmp_path / "unsent") as tracker:
        tracker.start(CONFIG, CARD)
        for number in (1, 2, 3):
            tracker.epoch(epoch(number))
        tracker.finish(final())
    browser = Browser(tmp_path / "profile")
    page = f"{server.uri}/#/experiments/{store.experiment_id}/runs/{tracker.run_id}"
    overview = browser.show(page)
    for text in ("tiny-mmgcn-dclf", "Finished", "test/wf1", "loss/ce", "data.shards", "dclf.status"):
        assert text in overview
    figure = browser.show(f"{page}/artifacts/figures/confusion_test.png")
    assert re.search(r'<img alt="figures/confusion_test.png" src="blob:', figure)
    # MLflow keeps chosen columns in the profile: none are chosen in a new one.
    table = Browser(tmp_path / "fresh").show(f"{server.uri}{page_of(server.uri, experiment='seen')}")
    for text in ("tiny-mmgcn-dclf", "best/val_wf1", "test/wf1"):
        assert text in table
    assert f"{final().history[-1].best_wf1:g}" in table
