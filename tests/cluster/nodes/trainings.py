"""Trainings on a cluster that says what happens: ``python -m tests.cluster.nodes.trainings ADDRESS RUNS``.

RUNS is JSON, a list of a run's name and its configuration. Every line of the output is JSON: an epoch with the nodes
its workers are on, or the run's scores.
"""

import json
import os
import sys
from dataclasses import replace
from typing import Any

from cluster.session import ray_session
from cluster.training import train_on_ray
from dclf.config import Config
from dclf.training.reports import EpochReport
from tests.cluster.nodes.two_nodes import title
from tests.tune.runner.processes import MARK, of_mark

WORKER, RAYLET = "RayTrainWorker", "raylet/raylet"


def main(address: str, runs: str) -> None:
    with ray_session(address):
        for name, config in json.loads(runs):
            outcome = train_on_ray(Config.from_dict(config), run_name=name, on_epoch=lambda report: say(report, name))  # noqa: B023 - called at once
            say_line(run=name, splits={split: each.scores for split, each in outcome.final.splits.items()})


def say(report: EpochReport, name: str) -> None:
    """Without the seconds, which differ from run to run."""
    say_line(run=name, epoch=replace(report, seconds=0.0, ended=0.0).to_dict(), nodes=nodes_of_workers())


def say_line(**content: Any) -> None:
    print(json.dumps(content), flush=True)


def nodes_of_workers() -> list[int]:
    """The node of every training worker that is alive: the process id of the raylet above it."""
    workers = (process for process in of_mark(os.environ[MARK]) if WORKER in title(process))
    return sorted(next(above.pid for above in worker.parents() if RAYLET in title(above)) for worker in workers)


if __name__ == "__main__":
    main(*sys.argv[1:])
