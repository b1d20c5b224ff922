import io
from dataclasses import replace
from pathlib import Path

from dclf.config import Config, DataConfig
from dclf.training.reports import EpochReport, FinalReport
from tests.tune.commands.studies import end, run_three, start, study_folder
from tests.tune.progress.reports import Watch, epoch_report
from tune.progress.lines import Lines
from tune.study.events import (
    ConditionScored,
    EpochEnded,
    ExtractionProgress,
    ExtractionStarted,
    PerturbationStarted,
    ReproductionStudy,
    RunFinished,
    RunStarted,
    StudyFinished,
    StudyStarted,
    TrialChanged,
    TrialEpoch,
    WorkersRestarted,
)
from tune.study.folder import StudyFolder

CONFIG = Config(data=DataConfig(shards="shards/demo"))


def test_a_run(history: list[EpochReport], final: FinalReport) -> None:
    stream = io.StringIO()
    with Lines(stream) as lines:
        lines(RunStarted(CONFIG, ["1 worker, 1 CPU"], "bold", "3f2a"))
        for report in history:
            lines(EpochEnded(report))
        lines(WorkersRestarted(1))
        lines.note("the server is back")
        lines(RunFinished(final))
    output = stream.getvalue().splitlines()
    assert output[:2] == ["mmgcn (causal) with DCLF on shards/demo, run bold (3f2a)", "1 worker, 1 CPU"]
    assert output[2] == (
        "epoch 1/4  total 1.500  ce 1.000  ca 0.250  val WF1 50.00  best 50.00 (epoch 1)  2.0 s  left 0:06"
    )
    assert output[4].endswith("val WF1 60.00  best 62.50 (epoch 2)  2.0 s  left 0:02")
    assert output[5:7] == [
        "a worker was lost: training goes on from the last checkpoint (restart 1)",
        "the server is back",
    ]
    assert [line.split() for line in output[7:]] == [
        ["split", "WA", "WF1", "happy", "sad"],
        ["val", "75.00", "62.50", "50.00", "50.00"],
        ["test", "75.00", "72.07", "50.00", "50.00"],
    ]


def test_what_an_epoch_saw_on_test_is_named_as_such(history: list[EpochReport]) -> None:
    stream = io.StringIO()
    Lines(stream)(EpochEnded(replace(history[0], peeked={"wf1": 0.7})))
    assert "val WF1 50.00  best 50.00 (epoch 1)  peeked test WF1 70.00  2.0 s" in stream.getvalue()


def test_scores_under_substituted_contexts_are_those_of_the_best_epoch(history: list[EpochReport]) -> None:
    stream = io.StringIO()
    robust = {"eccs/wf1": 0.6, "eics/wf1": 0.45, "shift/wf1": 0.4}
    Lines(stream)(EpochEnded(replace(history[0], robust=robust)))
    assert "best 50.00 (epoch 1: ECCS 60.00, EICS 45.00, shifts 40.00)  2.0 s" in stream.getvalue()


def test_a_study(tmp_path: Path, watch: Watch) -> None:
    stream, folder = io.StringIO(), study_folder(tmp_path)
    with Lines(stream, watch) as lines:
        run_three(lines, folder, watch)
        lines.note("the server is back")
        lines(StudyFinished(folder))
    assert stream.getvalue().splitlines() == [
        "study gammas: 4 trials within 1h by tpe and asha, mmgcn on shards/demo, run 3f2a",
        "2 trials at a time, [each]",
        "trial 1 failed  –  (out of memory)  1 of 4 trials  left 0:30  gamma_ca 0.6  window 4",
        "trial 0 complete  62.50  best 62.50 (trial 0)  2 of 4 trials  left 0:30  gamma_ca 0.6  window 4",
        "the server is back",
        "1 complete, 1 running, 0 pruned, 1 failed, 1 waiting; took 1:00",
    ]


def test_a_study_of_long_trials_says_every_minute_where_they_are(tmp_path: Path, watch: Watch) -> None:
    stream, folder = io.StringIO(), study_folder(tmp_path, seeds=2, time="")
    lines = Lines(stream, watch)
    lines(StudyStarted(folder, [], "3f2a"))
    for _ in range(6):
        lines(TrialChanged(start(folder)))
    for epoch in (1, 2, 3):
        watch.time += 30
        lines(TrialEpoch(1, 1, epoch_report(epoch, 0.5, (1, 0.5), seconds=30)))
    (line,) = stream.getvalue().splitlines()[1:]
    assert line.startswith(
        "0 of 4 trials  left 3:00  running: trial 0 starts, trial 1 seed 1 epoch 2/4 val WF1 50.00, "
    )
    assert line.endswith("trial 3 starts and 2 more")


def test_a_resumed_study_begins_with_what_is_done(tmp_path: Path, watch: Watch) -> None:
    folder = study_folder(tmp_path)
    end(folder, start(folder).number, "complete", 0.625)
    stream = io.StringIO()
    Lines(stream, watch)(StudyStarted(folder, [], "3f2a"))
    assert "so far: 1 complete, 0 running" in stream.getvalue()


def test_a_comparison_has_no_best_variant_on_its_way(tmp_path: Path, watch: Watch) -> None:
    stream = io.StringIO()
    run_three(Lines(stream, watch), study_folder(tmp_path, test="all", time=""), watch)
    assert "complete" in stream.getvalue()
    assert "best" not in stream.getvalue()


def test_a_perturbation_test() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines(PerturbationStarted("mmgcn on the test split", ["replacements from 40 training dialogues"], 2))
    lines(ConditionScored("raw", 0.5))
    lines(ConditionScored("eccs, draw 1 of 1", 0.4321))
    assert stream.getvalue().splitlines() == [
        "mmgcn on the test split",
        "replacements from 40 training dialogues",
        "1/2  raw  WF1 50.00",
        "2/2  eccs, draw 1 of 1  WF1 43.21",
    ]


def test_an_extraction_has_a_line_every_few_seconds(watch: Watch) -> None:
    stream = io.StringIO()
    lines = Lines(stream, watch)
    lines(ExtractionStarted("text of meld, 13708 utterances", ["2 actors with 1 CPU slot each"]))
    for done in (2100, 3200, 3300, 13708):
        watch.time += 3
        lines(ExtractionProgress("text", done, 13708, 2000, 0.0 if done == 2100 else 210.2))
    lines(ExtractionProgress("audio", 5, 10, 0, 0.25))
    watch.time += 5
    lines(ExtractionProgress("audio", 6, 10, 0, 0.25))
    assert stream.getvalue().splitlines() == [
        "text of meld, 13708 utterances",
        "2 actors with 1 CPU slot each",
        "text: 3,200 of 13,708 (2,000 from the cache), 210/s, 0:50 left",
        "text: 13,708 of 13,708 (2,000 from the cache), 210/s",
        "audio: 6 of 10, 0.25/s, 0:16 left",
    ]


def test_the_studies_of_a_reproduction_are_counted_each_for_itself(tmp_path: Path, watch: Watch) -> None:
    stream = io.StringIO()
    lines = Lines(stream, watch)
    folders: list[StudyFolder] = [study_folder(tmp_path, name) for name in ("one", "two")]
    for folder in folders:
        lines(ReproductionStudy("Table 4", "Ablations"))
        run_three(lines, folder, watch)
        lines(StudyFinished(folder))
    output = stream.getvalue().splitlines()
    assert output.count("1 complete, 1 running, 0 pruned, 1 failed, 1 waiting; took 1:00") == 2
    assert output[:2] == ["", "Table 4: Ablations"]
