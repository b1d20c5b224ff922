"""What one study has trained, another does not train again."""

from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dclf.config import Config, DataConfig, LossConfig, ModelConfig, TrackConfig, TrainConfig
from tests.tune.runner.sessions import EPOCHS, SPACE, Driver, definition, report, score
from tune.search.space import Space
from tune.study.folder import StudyFolder
from tune.study.history import read_history, write_history
from tune.study.reuse import REUSED_NOTE, FinishedTrainings, take_over, training_hash, trial_hash

VERSIONS = {package: metadata.version(package) for package in ("dclf", "torch")}
SHARDS = "1" * 64
POINTS = ({"loss.gamma_ca": 0.25}, {"loss.gamma_ca": 0.5}, {"loss.gamma_ca": 0.75})


class Recorder:
    """Remembers what was said of trainings that were taken over."""

    def __init__(self) -> None:
        self.reused_from: dict[tuple[int, int], str] = {}
        self.test: set[tuple[int, int]] = set()

    def reused(self, number: int, seed: int, study: str, run_id: str) -> None:
        self.reused_from[number, seed] = f"{study} {run_id}"

    def tested(self, number: int, seed: int) -> None:
        self.test.add((number, seed))

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_args, **_options: None


def comparison(storage: Path, name: str, points: tuple[dict[str, Any], ...] = POINTS, **changed: Any) -> StudyFolder:
    """A study that trains some points of a space with two seeds each."""
    settings = {"sampler": "listed", "start_points": points, "trials": len(points), "seeds": 2, "test": "all"}
    study_definition = definition(name, **{**settings, **changed.pop("settings", {})})
    return StudyFolder.create(
        storage, replace(study_definition, **{"shards_sha256": SHARDS, "versions": VERSIONS, **changed})
    )


def train(folder: StudyFolder, *, tested: bool = True, weights: bool = True) -> Driver:
    """Run a study, and leave what its trainings leave."""
    driver = Driver(folder, recorder=Recorder())
    driver.work()
    for number, seed in driver.trained:
        values = [score(folder.ledger.trials[number].params, seed, epoch) for epoch in range(1, EPOCHS + 1)]
        write_history(folder.checkpoint(number, seed), [report(epoch, values) for epoch in range(1, EPOCHS + 1)])
        if weights:
            (folder.checkpoint(number, seed) / "state.pt").write_bytes(b"weights")
        if tested:
            folder.ledger.test(number, seed, {"wf1": seed / 10}, [[seed, 0], [1, 2]])
    return driver


def test_a_second_study_trains_what_the_first_has_not(tmp_path: Path) -> None:
    train(comparison(tmp_path, "first"))
    more = ({"loss.gamma_ca": 0.5}, {"loss.gamma_ca": 1.0})
    second = comparison(tmp_path, "second", more, settings={"seeds": 3})
    driver = train(second)
    assert driver.ran == [0, 1, 1, 1], "the third seed of the first trial is new"
    assert sorted(driver.trained) == [(0, 5), (1, 3), (1, 4), (1, 5)]
    assert set(driver.recorder.reused_from) == {(0, 3), (0, 4)}
    trial = second.ledger.trials[0]
    assert trial.values == pytest.approx((score(trial.params, 4, EPOCHS),)), "the mean of three seeds"
    assert driver.recorder.test == {(0, 3), (0, 4)}
    assert second.ledger.tested[0, 3] == {"wf1": 0.3}, "test is scored once per finished configuration"
    assert second.ledger.test_confusion[0, 3] == [[3, 0], [1, 2]]
    notes = [note for note in second.ledger.notes if note["kind"] == REUSED_NOTE]
    assert [(note["seed"], note["study"], note["trial"]) for note in notes] == [(3, "first", 1), (4, "first", 1)]


def test_a_study_that_is_all_there_runs_nothing(tmp_path: Path) -> None:
    train(comparison(tmp_path, "first"))
    second = comparison(tmp_path, "second")
    driver = train(second)
    assert driver.ran == []
    assert [trial.state for trial in second.ledger.trials.values()] == ["complete"] * len(POINTS)
    for number in second.ledger.trials:
        assert (second.checkpoint(number, 3) / "state.pt").read_bytes() == b"weights"
        assert len(read_history(second.checkpoint(number, 3))) == EPOCHS


def test_a_driver_that_was_killed_while_it_took_over_does_so_again(tmp_path: Path) -> None:
    train(comparison(tmp_path, "first"))
    second = comparison(tmp_path, "second")
    killed = Driver(second, recorder=Recorder())
    trial = killed.session._next()
    assert trial is not None
    (second.checkpoint(trial.number, 3).with_name("s3.part")).mkdir(parents=True)
    after = Driver(StudyFolder.open(tmp_path, "second"), recorder=Recorder())
    after.work()
    assert after.ran == []
    assert len(after.folder.ledger.trials) == len(POINTS)
    assert not list((second.path / "trials").glob("*/*.part"))


def test_a_search_takes_nothing_over(tmp_path: Path) -> None:
    train(comparison(tmp_path, "first"))
    assert train(comparison(tmp_path, "search", settings={"test": "best"})).ran == [0, 1, 2]


@pytest.mark.parametrize(
    ("changed", "first"),
    [
        ({"shards_sha256": "2" * 64}, {}),
        ({"versions": {**VERSIONS, "torch": "1.0"}}, {}),
        ({"versions": {}}, {}),
        ({"settings": {"workers_per_trial": 2}}, {}),
        ({}, {"tested": False, "weights": False}),
        ({"plan": {"evaluations": ["perturbation"]}}, {"weights": False}),
    ],
)
def test_what_may_differ_or_is_gone_is_trained_again(
    tmp_path: Path, changed: dict[str, Any], first: dict[str, bool]
) -> None:
    plan = changed.pop("plan", {})
    train(comparison(tmp_path, "first", **changed), **first)
    assert train(comparison(tmp_path, "second", plan=plan)).ran == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("first", [{"tested": False}, {"weights": False}])
def test_a_model_or_its_test_scores_will_do(tmp_path: Path, first: dict[str, bool]) -> None:
    train(comparison(tmp_path, "first"), **first)
    assert train(comparison(tmp_path, "second")).ran == []


def test_damaged_studies_have_nothing_to_offer(tmp_path: Path) -> None:
    folder = comparison(tmp_path, "first")
    train(folder)
    (folder.path / "study.yaml").write_text("[")
    assert train(comparison(tmp_path, "second")).ran == [0, 0, 1, 1, 2, 2]


def test_a_training_that_vanishes_meanwhile_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(comparison(tmp_path, "first"))

    def take_nothing(*_args: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("tune.runner.session.take_over", take_nothing)
    assert train(comparison(tmp_path, "second")).ran == [0, 0, 1, 1, 2, 2]


def test_files_are_copied_where_the_disk_has_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = comparison(tmp_path, "first")
    train(folder)
    training = FinishedTrainings(tmp_path, SHARDS, models=True).find(
        trial_hash(folder.definition, folder.ledger.trials[0].params, 3)
    )
    assert training is not None
    assert (training.study, training.number, training.seed) == ("first", 0, 3)

    def no_links(*_args: object) -> None:
        raise OSError("links are not supported")

    monkeypatch.setattr("os.link", no_links)
    history = take_over(training, tmp_path / "other" / "s3")
    assert history == training.history
    assert (tmp_path / "other" / "s3" / "state.pt").stat().st_nlink == 1


def test_the_hash_tells_trainings_apart_and_nothing_else() -> None:
    config = Config(data=DataConfig(shards="a"), loss=LossConfig(gamma_ca=1.0), train=TrainConfig(seed=1))
    own = training_hash(config, 0)
    elsewhere = replace(
        config,
        data=DataConfig(shards="s3://b"),
        train=TrainConfig(seed=1, storage="c", device="cpu", max_failures=9, placement="spread"),
        track=TrackConfig(name="d", tags={"e": "f"}),
        published={"g": 1},
    )
    assert training_hash(elsewhere, 0) == own
    assert training_hash(replace(config, loss=LossConfig(gamma_ca=1)), 0) == own
    listed = replace(config, data=DataConfig(modalities=["text", "audio", "visual"]))  # type: ignore[arg-type]
    assert training_hash(listed, 0) == own
    for other in (
        replace(config, train=TrainConfig(seed=2)),
        replace(config, train=TrainConfig(seed=1, epochs=61)),
        replace(config, model=ModelConfig(options={"layers": 2})),
        replace(config, data=DataConfig(modalities=("text",))),
    ):
        assert training_hash(other, 0) != own
    assert training_hash(config, 2) != own


@given(gamma=st.floats(0, 1), window=st.integers(2, 20), seed=st.integers(0, 99))
def test_a_trial_and_a_base_configuration_of_the_same_values_are_one_training(
    gamma: float, window: int, seed: int
) -> None:
    params = {"loss.gamma_ca": gamma, "loss.window": window}
    study = definition()
    base = study.base
    same = replace(study, config=replace(base, loss=replace(base.loss, gamma_ca=gamma, window=window)).to_dict())
    assert trial_hash(study, params, seed) == trial_hash(same, {}, seed)
    assert Space.of(SPACE).domains.keys() == params.keys()
