"""Lines of progress where Python is interactive, silence where a program calls."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dclf.config import Config, DataConfig
from tests.tune.commands.conftest import epoch_report
from tests.tune.study.samples import add_trial, base_params, new_folder
from tune.interactive import perturbation_view, run_view, study_view

Shown = pytest.CaptureFixture[str]


@pytest.fixture
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an interactive interpreter, IPython and notebooks."""
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)


@pytest.mark.usefixtures("prompt")
def test_a_run_tells_of_its_epochs(capsys: Shown) -> None:
    view = run_view()
    view.started(Config(data=DataConfig(shards="shards")), ["1 worker"], "bold", "3f2a")
    view.epoch(epoch_report(2, 0.6, (1, 0.625)))
    view.restarted(1)
    view.note("the server is back")
    assert capsys.readouterr().out.splitlines() == [
        "mmgcn on shards, run bold (3f2a)",
        "1 worker",
        "epoch 2/4  loss 0.750  val WF1 60.00  best 62.50 (epoch 1)",
        "a worker was lost: training goes on from the last epoch (restart 1)",
        "the server is back",
    ]


@pytest.mark.usefixtures("prompt", "no_disk_waits")
def test_a_study_tells_of_its_trials(tmp_path: Path, capsys: Shown) -> None:
    folder, view = new_folder(tmp_path), study_view()
    view.started(folder, ["one at a time"], "3f2a")
    view.trial(add_trial(folder, {"loss.window": 3}, [[0.5]]))
    view.trial(add_trial(folder, {"loss.window": 4}, state="failed", reason="lost"))
    view.trial(add_trial(folder, base_params(), state="waiting"))
    view.note("mended")
    view.finished(folder)
    assert capsys.readouterr().out.splitlines() == [
        "study gammas, run 3f2a",
        "one at a time",
        "trial 0 complete  wf1 50.00  window 3",
        "trial 1 failed  (lost)  window 4",
        "mended",
        "study gammas: 2 of 50 trials",
    ]


@pytest.mark.usefixtures("prompt")
def test_a_perturbation_test_tells_of_its_conditions(capsys: Shown) -> None:
    view = perturbation_view()
    view.started("mmgcn on test", ["replacements"], 2)
    view.scored("raw", 0.6)
    view.scored("eics, draw 1 of 1", 0.5)
    assert capsys.readouterr().out.splitlines() == [
        "mmgcn on test",
        "replacements",
        "1/2  raw  WF1 60.00",
        "2/2  eics, draw 1 of 1  WF1 50.00",
    ]


def test_a_program_is_told_nothing(tmp_path: Path, capsys: Shown) -> None:
    run_view().epoch(epoch_report(2, 0.6, (1, 0.625)))
    study_view().started(new_folder(tmp_path), ["plan"], "3f2a")
    perturbation_view().scored("raw", 0.6)
    assert capsys.readouterr() == ("", "")
