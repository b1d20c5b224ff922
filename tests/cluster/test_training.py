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
from cluster.storage import StorageError
from cluster.training import Terminated, TrainingOutcome, train_on_ray
from dclf.config import Config
from dclf.data.reader import ShardSet
from dclf.objective import NonFiniteLossError
from dclf.training.reports import EpochReport
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
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "RayTrainWorker" in " ".join(process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def metrics(outcome: TrainingOutcome) -> list[object]:
    """All that a run measured, without how long it took."""
    history = [replace(report, seconds=0.0, ended=0.0).to_dict() for report in outcome.final.history]
    return [*history, {name: split.scores for name, split in outcome.final.splits.items()}]


@pytest.fixture(scope="module")
def undisturbed(shards: ShardSet, tmp_path_factory: pytest.TempPathFactory) -> TrainingOutcome:
    """Five epochs on two workers."""
    config = small_config(shards, tmp_path_factory.mktemp("undisturbed"))
    return train_on_ray(replace(config, train=replace(config.train, workers=(1, 2), epochs=5)), run_name="undisturbed")


def test_two_workers_take_the_steps_of_one(config: Config, changed: Change, shards: ShardSet, tmp_path: Path) -> None:
    # One step sees every dialogue, however they are shared, and nothing is drawn: only the order of summation differs.
    plain = replace(
        config,
        model=replace(config.model, options={**config.model.options, "dropout": 0.0}),
        loss=replace(config.loss, ablate="base"),
    )
    plain = changed(plain, batch_size=2 * len(shards.index("train")), storage=f"local://{tmp_path}/store")
    heard: list[EpochReport] = []
    one = train_on_ray(plain, run_name="one", on_epoch=heard.append)
    two = train_on_ray(changed(plain, workers=2), run_name="two")
    assert heard == one.final.history
    assert [report.epoch for report in heard] == [1, 2, 3]
    for left, right in zip(one.final.history, two.final.history, strict=True):
        assert right.losses == pytest.approx(left.losses, rel=1e-4)
        assert right.validation == pytest.approx(left.validation, abs=0.02)
    assert {name: split.utterances for name, split in two.final.splits.items()} == {
        name: int(shards.index(name).lengths.sum()) for name in ("val", "test")
    }
    resumed = train_on_ray(changed(plain, epochs=5), run_name="resumed", resume_from=one.checkpoint)
    assert resumed.final.history[:3] == one.final.history
    assert [report.epoch for report in resumed.final.history] == [1, 2, 3, 4, 5]


def test_a_killed_worker_is_replaced_and_changes_nothing(
    config: Config, changed: Change, undisturbed: TrainingOutcome
) -> None:

    def kill_one(report: EpochReport) -> None:
        if report.epoch == 2 and not restarts:
            workers_of_this_test()[-1].kill()

    restarts: list[int] = []
    run = changed(config, workers=2, epochs=5, max_failures=1)
    killed = train_on_ray(run, run_name="killed", on_epoch=kill_one, on_restart=restarts.append)
    assert restarts == [1]
    assert (killed.restarts, undisturbed.restarts) == (1, 0)
    assert metrics(killed) == metrics(undisturbed)
    kept = sorted(path.name for path in Path(killed.checkpoint).parent.glob("checkpoint_2*"))
    assert len(kept) == 2
    assert kept[-1] == Path(killed.checkpoint).name


def test_looking_at_test_changes_nothing_of_what_two_workers_do(
    config: Config, changed: Change, undisturbed: TrainingOutcome
) -> None:
    heard: list[EpochReport] = []
    looking = changed(config, workers=2, epochs=5, protocol="paper")
    paper = train_on_ray(looking, run_name="paper", on_epoch=heard.append)
    assert heard == paper.final.history
    looked = [report.peeked["wf1"] for report in heard]
    blind = replace(paper, final=replace(paper.final, history=[replace(report, peeked={}) for report in heard]))
    assert metrics(blind) == metrics(undisturbed)
    found = paper.final.optimism
    assert found is not None
    assert (found.epoch, found.scores["wf1"]) == (looked.index(max(looked)) + 1, max(looked))
    assert found.sealed_wf1 == looked[heard[-1].best_epoch - 1]
    assert undisturbed.final.optimism is None


def test_an_error_of_the_run_itself_is_raised_as_it_was_and_not_tried_again(config: Config, changed: Change) -> None:
    restarts: list[int] = []
    with pytest.raises(NonFiniteLossError, match="epoch 1"):
        train_on_ray(changed(config, lr=1e30, max_failures=3), run_name="broken", on_restart=restarts.append)
    assert restarts == []
    wait_until(lambda: workers_of_this_test() == [], 30)


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_an_interrupt_ends_the_workers(
    config: Config, changed: Change, number: signal.Signals, expected: type[BaseException]
) -> None:
    before = signal.getsignal(number)

    def interrupt(report: EpochReport) -> None:
        # From another thread, so that it comes while the driver waits for the next epoch; and once.
        if report.epoch == 1:
            threading.Timer(0.2, os.kill, (os.getpid(), number)).start()

    with pytest.raises(expected):
        train_on_ray(changed(config, epochs=10_000), run_name="interrupted", on_epoch=interrupt)
    wait_until(lambda: workers_of_this_test() == [], 30)
    assert signal.getsignal(number) is before


def test_nothing_starts_that_does_not_fit_or_cannot_be_kept(
    config: Config, changed: Change, local_ray: ClusterResources, tmp_path: Path
) -> None:
    with pytest.raises(PlanError, match="CPU slots"):
        train_on_ray(changed(config, workers=local_ray.cpus), run_name="wide")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot keep checkpoints"):
        train_on_ray(changed(config, storage=str(tmp_path / "file")), run_name="unkept")
