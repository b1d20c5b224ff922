"""Our rules for names and tags, held against MLflow's behaviour on a real store."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclf.labels import LONGEST_EXPERIMENT, LONGEST_NAME, LONGEST_TAG, is_own_tag, label_problems
from tests.tune.tracking.samples import CONFIG
from tune.runner import child_writes
from tune.study.ledger import TrialRecord
from tune.tracking import children
from tune.tracking.ending import DRIVER_TAG, STATUS_TAG
from tune.tracking.facts import surroundings
from tune.tracking.manners import manners
from tune.tracking.run import CHECKPOINT_TAG
from tune.tracking.store import Store, connect
from tune.tracking.writes import Sender, text_values

pytestmark = pytest.mark.mlflow
NAMES = st.text(st.sampled_from("ab1é. /-_:?=#\n\t"), max_size=6)


@pytest.fixture(scope="module")
def store(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return connect(f"sqlite:///{shutil.copy(empty_store, tmp_path_factory.mktemp('labels') / 'mlflow.db')}", "dclf")


@pytest.fixture(scope="module")
def run_id(store: Store) -> str:
    return str(store.client.create_run(store.experiment_id).info.run_id)


def is_taken(store: Store, run_id: str, tag: str, value: str = "x") -> bool:
    """Whether MLflow takes the tag as it is."""
    try:
        for write in text_values("tags", {tag: value}):
            Sender(store.client, run_id, store.experiment_id)(write)
    except Exception:  # noqa: BLE001 - MLflow raises what its backends raise
        return False
    return bool(store.client.get_run(run_id).data.tags.get(tag) == value)


@settings(max_examples=60, deadline=None)
@given(name=NAMES)
def test_tag_names_are_refused_where_mlflow_refuses_them(store: Store, run_id: str, name: str) -> None:
    refusal = bool(list(label_problems("dclf", "", {name: "x"})))
    # A line's end at the end of a name slips through MLflow's rule, and makes a mess of its pages.
    assert refusal == (not is_taken(store, run_id, name) or name.endswith("\n"))


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("x" * LONGEST_NAME, "x"),
        ("x" * (LONGEST_NAME + 1), "x"),
        ("long", "y" * LONGEST_TAG),
        ("too long", "y" * (LONGEST_TAG + 1)),
        ("empty", ""),
        ("lines", "two\nlines"),
        ("umlaut", "für 日本"),
        ("no text", "\udce4"),
    ],
)
def test_tags_at_their_limits(store: Store, run_id: str, tag: str, value: str) -> None:
    assert is_taken(store, run_id, tag, value) == (not list(label_problems("dclf", "", {tag: value})))


@pytest.mark.parametrize("name", ["", "x" * 3000, "x" * 501, "x" * LONGEST_EXPERIMENT, "ü/two words?"])
def test_experiments_that_mlflow_refuses_are_refused(store: Store, name: str) -> None:
    with manners() as mlflow:
        try:
            success = bool(store.client.create_experiment(name))
        except mlflow.exceptions.MlflowException:
            success = False
    assert success == (not list(label_problems(name, "", {})))


def test_a_run_has_no_tag_of_ours_that_a_user_may_set() -> None:
    trial = TrialRecord(number=0, params={}, origin="search")
    tags = [
        name
        for write in child_writes.start_writes(trial, 0, CONFIG, {})
        if write.kind == "tags"
        for name in write.body["values"]
    ]
    study = [children.PARENT_TAG, children.STUDY_TAG, children.KIND_TAG, children.TRIAL_TAG, children.SEED_TAG]
    own = [*surroundings(), *tags, *study, children.STATE_TAG, child_writes.REUSED_TAG]
    own += [CHECKPOINT_TAG, DRIVER_TAG, STATUS_TAG, "mlflow.note.content", "mlflow.runName"]
    assert [tag for tag in own if not is_own_tag(tag)] == []
