from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dclf.config import Config
from dclf.uris import sqlite_uri
from tests.tune.tracking.samples import CARD, CONFIG, epoch, final
from tune.tracking.children import KIND_TAG, STUDY_TAG, TRIAL_TAG
from tune.tracking.find import experiment_ids, find_run, find_trial, list_runs, recorded_run
from tune.tracking.run import RunTracker
from tune.tracking.store import Store, TrackingError
from tune.tracking.trouble import UnknownRunError

pytestmark = pytest.mark.usefixtures("without_figures")
Make = Callable[[str], str]


@pytest.fixture
def make(store: Store, tmp_path: Path) -> Make:
    def run(name: str) -> str:
        config = Config.from_dict({**CONFIG.to_dict(), "track": {"name": name}})
        with RunTracker(store, tmp_path) as tracker:
            tracker.start(config, CARD)
            tracker.epoch(epoch(1))
            tracker.checkpoint("s3://key:geheim@bucket/1")
            tracker.finish(final(1))
        return tracker.run_id

    return run


def test_by_id_prefix_and_name(store: Store, make: Make) -> None:
    run_id = make("first")
    for ref in (run_id, run_id[:8], "first"):
        record = find_run(store.uri, ref)
        assert (record.run_id, record.name, record.status) == (run_id, "first", "FINISHED")
    assert record.checkpoint == "s3://bucket/1"
    assert Config.from_dict(record.config).flat() == CONFIG.flat()
    assert record.artifact_uri.startswith("file:")
    assert record.metrics["test/wf1"] == 0.25
    assert recorded_run(store.uri, "first", experiment="dclf").run_id == run_id


def test_by_study_and_trial(store: Store, make: Make) -> None:
    first, second, other = (
        make(name) for name in ("trial 1, seed 0 of gammas", "trial 1, seed 1 of gammas", "trial 2")
    )
    for run_id, trial in ((first, 1), (second, 1), (other, 2)):
        for tag, value in ((STUDY_TAG, "gammas"), (TRIAL_TAG, str(trial))):
            store.client.set_tag(run_id, tag, value)
    assert find_run(store.uri, "gammas/2").run_id == other
    with pytest.raises(TrackingError, match="'gammas/1' means several runs"):
        find_run(store.uri, "gammas/1")
    for nothing in ("gammas/3", "other/2", "it's/2", "gammas/"):
        with pytest.raises(TrackingError, match="has no run with the id or name"):
            find_run(store.uri, nothing)


def test_a_whole_study_is_no_training(store: Store, make: Make) -> None:
    run_id = make("gammas")
    for tag, value in ((STUDY_TAG, "gammas"), (KIND_TAG, "sweep")):
        store.client.set_tag(run_id, tag, value)
    with pytest.raises(UnknownRunError, match=r"'gammas' must be a training, is a whole sweep; .* STUDY/TRIAL"):
        find_run(store.uri, "gammas")
    assert recorded_run(store.uri, "gammas").run_id == run_id


class SmallPages:
    """A client that gives one experiment at a time."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def search_experiments(self, **options: Any) -> Any:
        return self._client.search_experiments(max_results=1, **options)


def test_experiments_of_every_page_are_looked_at(store: Store) -> None:
    every = {entry.experiment_id for entry in store.client.search_experiments()}
    assert len(every) > 1
    assert sorted(experiment_ids(SmallPages(store.client))) == sorted(every)


def test_a_name_with_quotes(store: Store, make: Make) -> None:
    run_id = make("""it's "so" 100% \\ _x""")
    assert find_run(store.uri, """it's "so" 100% \\ _x""").run_id == run_id


def test_an_ambiguous_name_lists_the_runs(store: Store, make: Make) -> None:
    ids = [make("twice"), make("twice")]
    with pytest.raises(TrackingError, match=r"'twice' means several runs; give an id") as error:
        find_run(store.uri, "twice")
    assert all(run_id in str(error.value) for run_id in ids)
    assert str(error.value).count("UTC") == 2
    assert [record.run_id for record in list_runs(store.uri)] == ids[::-1]
    assert [record.run_id for record in list_runs(store.uri, "dclf", limit=1)] == ids[1:]


@pytest.mark.parametrize("look", [find_run, recorded_run, find_trial])
def test_looking_in_a_file_that_is_not_there_makes_none(look: Callable[[str, str], object], tmp_path: Path) -> None:
    with pytest.raises(UnknownRunError, match="has no run with the id or name 'bold'; there is no such file"):
        look(sqlite_uri(tmp_path / "runs" / "mlflow.db"), "bold")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_run_names_the_store_and_what_is_near(store: Store, make: Make) -> None:
    with pytest.raises(TrackingError, match="has no runs yet"):
        find_run(store.uri, "anything")
    run_id = make("meld-mmgcn-dclf")
    with pytest.raises(
        TrackingError, match=f"sqlite.*has no run with the id or name 'meld-mgcn-dclf'; near.*\n *{run_id}"
    ):
        find_run(store.uri, "meld-mgcn-dclf")
    with pytest.raises(TrackingError, match=f"the latest runs:\n  {run_id}  meld-mmgcn-dclf  FINISHED"):
        find_run(store.uri, "%")


def test_other_experiments_and_other_runs(store: Store) -> None:
    with pytest.raises(TrackingError, match=r"has no experiment 'x'; it has .*dclf"):
        recorded_run(store.uri, "first", experiment="x")
    run = store.client.create_run(store.experiment_id, run_name="foreign")
    with pytest.raises(TrackingError, match=f"run {run.info.run_id} .* has no readable config.yaml"):
        find_run(store.uri, "foreign")
