import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dclf.config import Config, DataConfig
from dclf.training.reports import EpochReport, FinalReport
from tests.tune.commands.studies import run_three, study_folder
from tests.tune.progress.reports import Watch, epoch_report
from tune.progress.json_lines import JsonLines
from tune.study.events import (
    ConditionScored,
    EpochEnded,
    ExtractionProgress,
    ExtractionStarted,
    PerturbationStarted,
    RunFinished,
    RunStarted,
    StudyFinished,
    WorkersRestarted,
)

CONFIG = Config(data=DataConfig(shards="shards/demo"))


def objects(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_run(history: list[EpochReport], final: FinalReport) -> None:
    stream = io.StringIO()
    with JsonLines(stream) as lines:
        lines(RunStarted(CONFIG, ["plan"], "bold", "3f2a"))
        lines(EpochEnded(history[0]))
        lines(WorkersRestarted(2))
        lines.note("text")
        lines(RunFinished(final))
    started, epoch, restarted, note, finished = objects(stream)
    assert started == {
        "event": "started",
        "run_id": "3f2a",
        "name": "bold",
        "plan": ["plan"],
        "config": json.loads(json.dumps(CONFIG.to_dict())),
    }
    assert epoch == {"event": "epoch", **history[0].to_dict()}
    assert (restarted, note) == ({"event": "restarted", "count": 2}, {"event": "note", "text": "text"})
    assert {*finished} == {"event", "class_names", "splits"}
    assert finished["event"] == "finished"
    assert finished["splits"]["test"]["confusion"] == [[3, 1], [1, 3]]


def test_a_run_that_looked_at_test_has_the_gap(history: list[EpochReport], final: FinalReport) -> None:
    stream, looked = io.StringIO(), [replace(report, peeked={"wf1": 0.7}) for report in history]
    lines = JsonLines(stream)
    lines(EpochEnded(looked[0]))
    lines(RunFinished(replace(final, history=looked)))
    epoch, finished = objects(stream)
    assert epoch["peeked"] == {"wf1": 0.7}
    assert finished["paper"]["optimism_gap"] == pytest.approx(-2.07)


def test_a_study(tmp_path: Path, watch: Watch) -> None:
    stream, folder = io.StringIO(), study_folder(tmp_path)
    with JsonLines(stream) as lines:
        run_three(lines, folder, watch)
        lines.note("text")
        lines(StudyFinished(folder))
    events = objects(stream)
    kinds = [event["event"] for event in events]
    assert kinds == ["started", *["trial"] * 4, "epoch", "trial", "epoch", "note", "finished"]
    assert {*events[0]} == {"event", "study", "run_id", "folder", "plan", "settings", "space", "trials"}
    assert events[0]["settings"]["trials"] == 4
    assert [(event["number"], event["state"]) for event in events if event["event"] == "trial"] == [
        (0, "running"),
        (1, "running"),
        (1, "failed"),
        (2, "running"),
        (0, "complete"),
    ]
    assert events[5] == {"event": "epoch", "trial": 0, "seed": 0, **epoch_report(1, 0.5, (1, 0.5)).to_dict()}
    assert events[-1] == {"event": "finished", "study": "gammas"}


def test_a_perturbation_test() -> None:
    stream = io.StringIO()
    lines = JsonLines(stream)
    lines(PerturbationStarted("mmgcn on the test split", ["40 dialogues"], 2))
    lines(ConditionScored("raw", 0.5))
    assert objects(stream) == [
        {"event": "started", "title": "mmgcn on the test split", "lines": ["40 dialogues"], "conditions": 2},
        {"event": "scored", "condition": "raw", "wf1": 0.5},
    ]


def test_an_extraction() -> None:
    stream = io.StringIO()
    lines = JsonLines(stream)
    lines(ExtractionStarted("text of meld, 20 utterances", ["1 actor"]))
    lines(ExtractionProgress("text", 12, 20, 2, 5.0))
    assert objects(stream) == [
        {"event": "started", "title": "text of meld, 20 utterances", "lines": ["1 actor"]},
        {"event": "progress", "part": "text", "done": 12, "total": 20, "cached": 2, "rate": 5.0},
    ]


@pytest.mark.parametrize(("error", "text"), [(ValueError("no shards"), "no shards"), (KeyboardInterrupt(), "Keyboard")])
def test_work_that_failed_is_told(error: BaseException, text: str) -> None:
    stream = io.StringIO()
    with pytest.raises(type(error)), JsonLines(stream):
        raise error
    (failed,) = objects(stream)
    assert failed["event"] == "failed"
    assert failed["error"].startswith(text)
