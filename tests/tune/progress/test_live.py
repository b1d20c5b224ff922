import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from dclf.config import Config, DataConfig
from dclf.training.reports import EpochReport, FinalReport
from tests.tune.commands.studies import end, run_three, start, study_folder
from tests.tune.progress.reports import Watch, epoch_report
from tune.progress.live import LivePanel
from tune.study.events import (
    ConditionScored,
    EpochEnded,
    ExtractionProgress,
    ExtractionStarted,
    PerturbationStarted,
    ReproductionStudy,
    RunFinished,
    RunStarted,
    StageEnded,
    StudyFinished,
    StudyStarted,
    TrialChanged,
    TrialEpoch,
    WorkersRestarted,
)
from tune.study.folder import StudyFolder

CONFIG = Config(data=DataConfig(shards="shards/demo"))
LONG = {"model.options.hidden": 100, "train.lr": 0.00012345, "data.modalities": ["text", "audio"], "loss.tau": 0.07}


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return study_folder(tmp_path)


def live(watch: Watch, width: int = 100, height: int = 30) -> tuple[LivePanel, Console]:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, height=height, record=True, color_system=None)
    return LivePanel("dclf sweep", console, watch), console


def frame(panel: LivePanel, console: Console) -> list[str]:
    """What the panel shows at this moment."""
    still = Console(file=io.StringIO(), width=console.width, record=True)
    still.print(panel.render())
    return still.export_text().splitlines()


def text_of(panel: LivePanel, console: Console) -> str:
    return "\n".join(frame(panel, console))


def test_the_stages_of_a_start_stay_above_the_panel(watch: Watch) -> None:
    panel, console = live(watch)
    with panel:
        panel(StageEnded("shards", 0.1))
        panel(StageEnded("Ray", 5.0))
        assert "started" not in console.export_text(clear=False)
        panel(StageEnded("first batch", 2.0))
    assert "started: shards 0.1 s, Ray 5.0 s, first batch 2.0 s\n" in console.export_text()


def test_a_run(history: list[EpochReport], watch: Watch) -> None:
    panel, console = live(watch, width=90)
    with panel:
        watch.time += 7
        assert "dclf sweep" in text_of(panel, console)
        assert "starting, 0:07" in text_of(panel, console)
        panel(RunStarted(CONFIG, ["1 worker"], "bold", "3f2a"))
        assert "waiting for the first epoch, 0:07" in text_of(panel, console)
        for report in history:
            panel(EpochEnded(report))
        text = text_of(panel, console)
    for part in (
        "mmgcn (causal) with DCLF on shards/demo",
        "epoch 3/4",
        "0:07 spent, 0:02 left",
        "total 0.500  ce 0.333  ca 0.250",
        "val WF1  60.00  best 62.50 (epoch 2)",
    ):
        assert part in text
    assert "scoring" not in text


def test_what_an_epoch_saw_on_test_is_named_as_such(history: list[EpochReport], watch: Watch) -> None:
    panel, console = live(watch)
    panel(EpochEnded(replace(history[0], peeked={"wf1": 0.7}, robust={"eics/wf1": 0.45})))
    assert "(epoch 1)  EICS 45.00  peeked test WF1 70.00" in text_of(panel, console)


def test_after_the_last_epoch_the_panel_says_what_is_going_on(watch: Watch) -> None:
    panel, console = live(watch)
    with panel:
        panel(EpochEnded(epoch_report(4, 0.5, (1, 0.5))))
        assert "scoring the test split" in text_of(panel, console)


def test_what_is_said_of_a_run_stays_above_the_panel(final: FinalReport, watch: Watch) -> None:
    panel, console = live(watch)
    with panel:
        panel(RunStarted(CONFIG, ["2 workers, [1, 4]"], "bold", "3f2a"))
        panel.note("[not markup]")
        panel(WorkersRestarted(1))
        panel(RunFinished(final))
    text = console.export_text()
    for part in ("2 workers, [1, 4]", "[not markup]", "restart 1", "72.07"):
        assert part in text


def test_failing_work_gives_the_terminal_back(watch: Watch) -> None:
    panel, console = live(watch)
    with pytest.raises(RuntimeError), panel:
        raise RuntimeError
    show_cursor = "\x1b[?25h"
    assert show_cursor in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_narrow_terminal_does_not_break_the_panel(history: list[EpochReport], watch: Watch) -> None:
    panel, console = live(watch, width=40)
    with panel:
        panel(EpochEnded(history[0]))
        assert all(len(line) <= 40 for line in frame(panel, console))


def test_a_study(folder: StudyFolder, watch: Watch) -> None:
    panel, console = live(watch)
    with panel:
        watch.time += 7
        assert "starting, 0:07" in text_of(panel, console)
        run_three(panel, folder, watch)
        lines = frame(panel, console)
    for part in (
        "study gammas · 4 trials within 1h",
        "2 of 4 trials",
        "1:07 spent, 0:30 left",
        "1 complete, 1 running, 0 pruned, 1 failed, 1 waiting",
        "best 62.50 by trial 0 (validation WF1)  gamma_ca 0.6  window 4",
        "0  complete  62.50",
        "1  failed        –  out of memory",
    ):
        assert part in "\n".join(lines)
    (row,) = [line.split() for line in lines if "2/4" in line]
    assert row[1:3] == ["2", "2/4"]
    assert row[-7:-1] == ["55.00", "58.00", "gamma_ca", "0.1", "window", "4"]


def test_a_comparison_has_no_best_variant_on_its_way(tmp_path: Path, watch: Watch) -> None:
    panel, console = live(watch)
    run_three(panel, study_folder(tmp_path, test="all", time=""), watch)
    assert "complete" in text_of(panel, console)
    assert "best" not in "\n".join(line for line in frame(panel, console) if "val WF1" not in line)


def test_a_trial_without_an_epoch_is_starting(folder: StudyFolder, watch: Watch) -> None:
    panel, console = live(watch)
    with panel:
        panel(StudyStarted(folder, [], "3f2a"))
        assert "waiting for the first trial" in text_of(panel, console)
        panel(TrialChanged(start(folder)))
        text = text_of(panel, console)
    assert "starting" in text
    assert "none yet" in text


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("height", [16, 24, 50])
@pytest.mark.parametrize("running", [1, 4, 16])
def test_the_panel_fits_every_terminal(tmp_path: Path, watch: Watch, width: int, height: int, running: int) -> None:
    folder = study_folder(tmp_path, trials=40, seeds=3)
    panel, console = live(watch, width, height)
    with panel:
        panel(StudyStarted(folder, [], "3f2a"))
        for state in ("complete", "pruned", "failed", "complete", "complete"):
            trial = end(folder, start(folder, **LONG).number, state, 0.5, reason="out of memory " * 10)
            panel(TrialChanged(trial))
        for _ in range(running):
            trial = start(folder, **LONG)
            panel(TrialChanged(trial))
            panel(TrialEpoch(trial.number, 2, epoch_report(1, 0.5, (1, 0.5), epochs=100)))
        lines = frame(panel, console)
    assert len(lines) <= height
    assert all(len(line) == width for line in lines)
    assert f"{running} running" in "\n".join(lines) or width == 40


def test_the_panel_keeps_its_height_when_trials_end(tmp_path: Path, watch: Watch) -> None:
    folder = study_folder(tmp_path, trials=40)
    panel, console = live(watch)
    with panel:
        panel(StudyStarted(folder, [], "3f2a"))
        for _ in range(8):
            panel(TrialChanged(end(folder, start(folder).number, "complete", 0.5)))
        trials = [start(folder) for _ in range(4)]
        for trial in trials:
            panel(TrialChanged(trial))
        before = len(frame(panel, console))
        for trial in trials[:3]:
            panel(TrialChanged(end(folder, trial.number, "pruned", 0.5)))
        assert len(frame(panel, console)) == before


def test_what_is_said_of_a_study_stays_above_the_panel_and_the_counts_below(folder: StudyFolder, watch: Watch) -> None:
    panel, console = live(watch)
    with panel:
        run_three(panel, folder, watch)
        panel.note("[not markup]")
        panel(StudyFinished(folder))
    text = console.export_text()
    assert "2 trials at a time, [each]" in text
    assert "[not markup]" in text
    assert text.rstrip().endswith("1 complete, 1 running, 0 pruned, 1 failed, 1 waiting; 1:00 spent")


def test_the_studies_of_a_reproduction_are_counted_each_for_itself(tmp_path: Path, watch: Watch) -> None:
    panel, console = live(watch)
    with panel:
        for name in ("one", "two"):
            panel(ReproductionStudy("Table 4", "Ablations"))
            assert "starting, 0:00" in text_of(panel, console)
            folder = study_folder(tmp_path, name)
            run_three(panel, folder, watch)
            panel(StudyFinished(folder))
    text = console.export_text()
    assert text.count("1 complete, 1 running, 0 pruned, 1 failed, 1 waiting; 1:00 spent") == 2
    assert text.index("spent\n") < text.rindex("Table 4: Ablations")


def test_an_extraction(watch: Watch) -> None:
    panel, console = live(watch)
    with panel:
        panel(ExtractionStarted("text of meld, 13708 utterances", ["2 actors with 1 CPU slot each"]))
        assert "waiting for the first rows" in text_of(panel, console)
        watch.time += 12
        panel(ExtractionProgress("text", 3200, 13708, 2000, 210.0))
        first = text_of(panel, console)
        panel(ExtractionProgress("text", 13708, 13708, 2000, 210.0))
        assert "13,708 of 13,708" in text_of(panel, console)
    for part in ("text of meld", "text: 3,200 of 13,708 (2,000 from the cache), 210/s, 0:50 left", "0:12 spent"):
        assert part in first
    assert "2 actors with 1 CPU slot each" in console.export_text()


def test_a_perturbation_test(watch: Watch) -> None:
    panel, console = live(watch)
    with panel:
        watch.time += 2
        panel(PerturbationStarted("mmgcn on the test split", ["replacements from 40 training dialogues"], 3))
        watch.time += 10
        panel(ConditionScored("raw", 0.5))
        first = text_of(panel, console)
        panel(ConditionScored("eccs, draw 1 of 1", 0.4321))
        panel(ConditionScored("eics, draw 1 of 1", 0.25))
        assert "writing the results" in text_of(panel, console)
    for part in ("mmgcn on the test split", "1/3 conditions", "0:12 spent, 0:20 left", "raw  WF1 50.00"):
        assert part in first
    assert "replacements from 40 training dialogues" in console.export_text()
