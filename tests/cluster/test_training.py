"""Real runs on a real local Ray; each costs about ten seconds of starting processes."""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cluster.plan import PlanError
from cluster.resources import ClusterResources
from cluster.storage import StorageError, latest_checkpoint, load_checkpoint
from cluster.training import Terminated, TrainingOutcome, train_on_ray
from dclf.config import Config
from dclf.data.reader import ShardSet
from dclf.training.local import LocalSource
from dclf.training.loop import train
from dclf.training.reports import ROBUST_SCORES, EpochReport
from tests.cluster.conftest import small_config
from tests.tune.tracking.server import wait_until

# Ray warns of deprecations of its own.
pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(900),  # three starts of Ray Train on a busy machine
    pytest.mark.usefixtures("local_ray"),
]
Change = Callable[..., Config]


def workers_of_this_test() -> list[psutil.Process]:
    """The Train workers below this process; others may run Ray on this machine too."""
    workers = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "RayTrainWorker" in " ".join(process.cmdline()):
                workers.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return workers


def metrics(outcome: TrainingOutcome) -> list[object]:
    """All that a run measured, without how long it took."""
    history = [replace(report, seconds=0.0, ended=0.0, machine={}).to_dict() for report in outcome.final.history]
    return [*history, {name: split.scores for name, split in outcome.final.splits.items()}]


@pytest.fixture(scope="module")
def undisturbed(shards: ShardSet, tmp_path_factory: pytest.TempPathFactory) -> TrainingOutcome:
    """Five epochs on two workers."""
    config = small_config(shards, tmp_path_factory.mktemp("undisturbed"))
    config = replace(config, train=replace(config.train, workers=(1, 2), epochs=5))
    heard: list[EpochReport] = []
    outcome = train_on_ray(config, run_name="undisturbed", on_epoch=heard.append)
    assert heard == outcome.final.history
    return outcome


def test_two_workers_take_the_steps_of_one_and_end_with_a_queue_s_time(
    config: Config, changed: Change, shards: ShardSet, tmp_path: Path
) -> None:
    # One step sees every dialogue, however they are shared, and nothing is drawn: only the order of summation differs.
    # The curriculum's first epochs see a part of them, of which either worker has its share.
    plain = replace(
        config,
        model=replace(config.model, options={**config.model.options, "dropout": 0.0}),
        loss=replace(config.loss, ablate="base"),
    )
    storage = f"local://{tmp_path}/store"
    plain = changed(plain, batch_size=2 * len(shards.index("train")), storage=storage, curriculum=3)
    heard: list[EpochReport] = []

    def terminate(report: EpochReport) -> None:
        # From another thread, so that it comes while the driver waits for the next epoch; and once.
        heard.append(report)
        if report.epoch == 3:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated):
        train_on_ray(changed(plain, workers=2, epochs=10_000), run_name="two", on_epoch=terminate)
    wait_until(lambda: workers_of_this_test() == [], 30)
    assert signal.getsignal(signal.SIGTERM) is before
    # One worker goes on from what two have trained.
    checkpoint = latest_checkpoint(storage, "two")
    assert checkpoint is not None
    state = load_checkpoint(checkpoint)
    epochs = len(state["progress"]["history"]) + 2
    alone = changed(plain, epochs=epochs)
    source = LocalSource(shards, plain.data.modalities)
    resumed = train(alone, source, shards, state=state)
    assert resumed.history[: len(heard)] == heard
    one = train(alone, source, shards)
    assert [report.epoch for report in resumed.history] == list(range(1, epochs + 1))
    for left, right in zip(one.history, resumed.history, strict=True):
        assert right.losses == pytest.approx(left.losses, rel=1e-4)
        assert right.validation == pytest.approx(left.validation, abs=0.02)


def test_neither_a_killed_worker_nor_scores_that_choose_nothing_change_what_two_workers_do(
    config: Config, changed: Change, undisturbed: TrainingOutcome, shards: ShardSet
) -> None:
    assert {name: split.utterances for name, split in undisturbed.final.splits.items()} == {
        name: int(shards.index(name).lengths.sum()) for name in ("val", "test")
    }

    def kill_one(report: EpochReport) -> None:
        if report.epoch == 2 and not restarts:
            workers_of_this_test()[-1].kill()

    restarts: list[int] = []
    run = changed(config, workers=2, epochs=5, max_failures=1, protocol="paper", perturb_every=2)
    killed = train_on_ray(run, run_name="killed", on_epoch=kill_one, on_restart=restarts.append)
    assert restarts == [1]
    history = killed.final.history
    blind = [replace(report, peeked={}, robust={}) for report in history]
    assert metrics(replace(killed, final=replace(killed.final, history=blind))) == metrics(undisturbed)
    assert [report.robust.keys() == set(ROBUST_SCORES) for report in history] == [False, True, False, True, True]
    checkpoints = sorted(path.name for path in Path(killed.checkpoint).parent.glob("checkpoint_2*"))
    assert len(checkpoints) == 2
    assert checkpoints[-1] == Path(killed.checkpoint).name
    looked = [report.peeked["wf1"] for report in history]
    optimism = killed.final.optimism
    assert optimism is not None
    assert (optimism.epoch, optimism.scores["wf1"]) == (looked.index(max(looked)) + 1, max(looked))
    assert optimism.sealed_wf1 == looked[history[-1].best_epoch - 1]
    assert undisturbed.final.optimism is None


def test_nothing_starts_that_does_not_fit_or_cannot_be_kept(
    config: Config, changed: Change, local_ray: ClusterResources, tmp_path: Path
) -> None:
    with pytest.raises(PlanError, match="CPU slots"):
        train_on_ray(changed(config, workers=local_ray.cpus), run_name="wide")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot keep checkpoints"):
        train_on_ray(changed(config, storage=str(tmp_path / "file")), run_name="unkept")
