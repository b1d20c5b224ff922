import pytest

from tune.tracking.pages import page_of
from tune.tracking.reopening import create_run
from tune.tracking.store import Store, connect
from tune.tracking.trouble import TrackingError, UnknownRunError
from tune.tracking.view import view_tags

TABLE = "/#/experiments/{}/runs?workflowType=machine_learning&viewStateShareKey=dclf"


def test_the_table_is_that_of_the_latest_run_unless_one_is_named(store: Store) -> None:
    assert page_of(store.uri) == TABLE.format(store.experiment_id)
    other = connect(store.uri, "other")
    create_run(other, "a run", {})
    assert page_of(store.uri) == TABLE.format(other.experiment_id)
    assert page_of(store.uri, experiment="dclf") == TABLE.format(store.experiment_id)
    with pytest.raises(TrackingError, match="no experiment 'mine'"):
        page_of(store.uri, experiment="mine")


def test_a_run_has_its_page_by_name_and_by_the_beginning_of_its_id(store: Store) -> None:
    run = create_run(store, "gammas", {})
    page = f"/#/experiments/{store.experiment_id}/runs/{run.run_id}?workflowType=machine_learning"
    assert page_of(store.uri, "gammas") == page_of(store.uri, run.run_id[:8]) == page
    with pytest.raises(UnknownRunError, match="no run with the id or name 'gama'"):
        page_of(store.uri, "gama")


def test_an_experiment_of_an_earlier_version_gets_the_view(store: Store) -> None:
    experiment_id = store.client.create_experiment("earlier")
    create_run(Store(uri=store.uri, client=store.client, experiment="earlier", experiment_id=experiment_id), "a", {})
    assert page_of(store.uri) == TABLE.format(experiment_id)
    assert store.client.get_experiment(experiment_id).tags.items() >= view_tags().items()
