"""Runs compared: of real models, trained in this process, and of runs that have nothing but their records."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dclf.data import read_shards
from dclf.inference import load_model, save_model
from dclf.training.evaluation import score_predictor
from tests.tune.perturbed_runs import RunStore
from tests.tune.tracking.samples import final
from tests.tune.tracking.trainings import Trainings
from tune.commands.main import main
from tune.config.yaml_files import ConfigError
from tune.run_comparisons import compare
from tune.tracking.run import RunTracker
from tune.tracking.store import connect
from tune.tracking.trouble import UnknownRunError

pytestmark = pytest.mark.slow  # torch, MLflow and a training
Streams = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> RunStore:
    """A trained run, ``noisy`` with the same scores and spoilt weights, and ``bare``, which has nothing."""
    some = RunStore(tmp_path_factory.mktemp("compared"), empty_store)
    with pytest.MonkeyPatch.context() as patched:
        # Nobody looks at the figures, which take longer than the trainings.
        patched.setattr("tune.tracking.records.figures", lambda _final: {})
        _, state = some.train("mmgcn", "graph")
        record_spoilt(some, state)
    experiment = some.client.get_experiment_by_name("tests")
    some.client.create_run(experiment.experiment_id, run_name="bare")
    return some


def record_spoilt(some: RunStore, state: dict[str, Any]) -> None:
    """Record a run of another seed, of which not even the scores are its own: a training would take seconds."""
    weights = state["progress"]["best_model"]
    noise = {key: torch.randn_like(value) if value.is_floating_point() else 0 for key, value in weights.items()}
    spoilt = {key: value + noise[key] for key, value in weights.items()}
    save_model(some.folder / "noisy", {**state, "progress": {**state["progress"], "best_model": spoilt}})
    config = some.config("mmgcn", "noisy")
    with RunTracker(connect(some.uri, "tests"), some.folder / "unsent") as tracker:
        tracker.start(replace(config, train=replace(config.train, seed=2)), None)
        tracker.finish(final(), some.folder / "noisy")


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Trainings:
    """A study's two trials over three seeds, and a failed run."""
    some = Trainings(tmp_path_factory.mktemp("recorded"), empty_store)
    some.add_parent("gammas")
    for seed in (1, 2, 3):
        for trial, gain in ((0, 0.0), (1, 0.01 * seed)):
            scores = {"best/val_wf1": 0.5 + 0.01 * seed + gain, "test/wf1": 0.4 + gain}
            some.add_trial("gammas", trial, scores, seed=seed, params={"loss.gamma_ca": trial})
    some.add("broken", status="FAILED")
    return some


def test_models_are_asked_as_evaluate_asks_them(runs: RunStore) -> None:
    comparison = compare(["graph", "noisy"], uri=runs.uri)
    changes, shards = comparison.changes, read_shards(runs.shards)
    assert changes is not None
    reports = [score_predictor(load_model(runs.folder / name), shards, "val") for name in ("graph", "noisy")]
    assert changes.total == reports[0].utterances
    assert [right / changes.total for right in changes.right] == pytest.approx([one.scores["wa"] for one in reports])
    own = {f"val/{name}": reports[0].scores[name] for name in ("wa", "wf1", "f1/happy", "f1/sad")}
    scores = comparison.sides[0].scores[1]
    assert {name: scores[name] for name in own} == pytest.approx(own)
    assert 0 < len(changes.utterances) <= changes.total
    assert all(len(set(one.emotions)) > 1 for one in changes.utterances)
    dialogues = list(read_shards(runs.shards, split="val"))
    rows = load_model(runs.folder / "graph").predict(dialogues)
    classes = {one.dialogue_id: row.argmax(axis=1) for one, row in zip(dialogues, rows, strict=True)}
    names = shards.info.class_names
    places = [names[classes[one.dialogue][one.place]] for one in changes.utterances]
    assert places == [one.emotions[0] for one in changes.utterances], "from 0"
    names = [f"{side.label}: {side.first.name} ({side.first.run_id[:8]})" for side in comparison.sides]
    assert repr(comparison).splitlines()[-2:] == names


def test_the_command_shows_what_differs(runs: RunStore, capsys: Streams) -> None:
    assert main(["compare", "graph", "noisy", "--uri", runs.uri, "--utterances", "2"]) == 0
    output = capsys.readouterr().out
    assert ["train.seed", "1", "2"] in [line.split() for line in output.splitlines()]
    assert "  val WF1 " in output
    assert "  test F1 " in output
    assert "utterances of val are predicted differently: " in output
    assert "more; --utterances " in output


def test_a_run_without_a_model_leaves_the_rest(runs: RunStore, capsys: Streams) -> None:
    words = ["compare", "bare", "graph", "--uri", runs.uri]
    assert main([*words, "--output", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["changes"] is None
    assert "A cannot be asked: run " in (reason := facts["not_told"][0])
    assert "has no readable config.yaml" in reason
    assert facts["differences"]["model.name"] == {"A": "–", "B": "mmgcn"}
    assert main([*words, "--utterances", "0"]) == 0
    assert "cannot be asked" not in capsys.readouterr().out


def test_other_shards_and_splits(runs: RunStore, tmp_path: Path) -> None:
    changes = compare(["graph", "noisy"], uri=runs.uri, split="test", shards=runs.shards).changes
    assert changes is not None
    assert (changes.split, changes.total) == ("test", sum(len(one) for one in read_shards(runs.shards, split="test")))
    assert len(compare(["graph", "noisy"], uri=runs.uri, shards=str(tmp_path / "no")).why) == 2


def test_trials_are_compared_over_their_seeds(records: Trainings, capsys: Streams) -> None:
    assert main(["compare", "gammas/0", "gammas/1", "--uri", records.uri]) == 0
    output = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in output.splitlines()]
    assert "loss.gamma_ca 0 1" in lines
    assert "val WF1 52.00 ± 1.00 54.00 ± 2.00 +2.00" in lines
    assert any(line.startswith("test WF1 3 +2.00 [-0.48, +4.48] 0.0742") for line in lines)
    assert "Utterances are not compared: several runs on a side" in output
    assert "train.seed" not in output


def test_json_of_seeds(records: Trainings, capsys: Streams) -> None:
    assert main(["compare", "gammas/0", "gammas/1", "--uri", records.uri, "--output", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [len(side["runs"]) for side in facts["sides"]] == [3, 3]
    test = next(fact for fact in facts["paired"] if fact["score"] == "test/wf1")
    assert (test["side"], test["against"], test["seeds"]) == ("B", "A", 3)
    assert test["difference"] == pytest.approx(0.02)
    assert test["p_holm"] == pytest.approx(0.0742, abs=1e-4)


@pytest.mark.parametrize(
    ("refs", "problems"),
    [
        (["broken"], ["must be two or more to compare, is 1"]),
        (["broken", "broken"], ["broken: must be another run, is given twice"]),
        (["broken", "gammas"], ["gammas: must be a run, is a study; name a trial of it as gammas/0"]),
    ],
)
def test_what_cannot_be_compared(records: Trainings, refs: list[str], problems: list[str], capsys: Streams) -> None:
    assert main(["compare", *refs, "--uri", records.uri]) == 2
    output = capsys.readouterr().err
    assert [problem for problem in problems if problem not in output] == []
    with pytest.raises(ConfigError):
        compare(refs, uri=records.uri)


def test_runs_that_are_not_there(records: Trainings, tmp_path: Path, capsys: Streams) -> None:
    with pytest.raises(UnknownRunError, match="study gammas has no trial 7; dclf runs --study gammas lists"):
        compare(["gammas/7", "broken"], uri=records.uri)
    with pytest.raises(UnknownRunError, match="no run with the id or name 'brokn'; near matches:"):
        compare(["brokn", "broken"], uri=records.uri)
    assert main(["compare", "a", "b", "--uri", f"sqlite:///{tmp_path}/none.db"]) == 2
    assert "must be the MLflow store of earlier runs, is absent" in capsys.readouterr().err
    assert main(["compare", "a", "b", "--uri", records.uri, "--utterances", "-1"]) == 2
    assert "--utterances: must be 0, for none, or more, is -1" in capsys.readouterr().err
