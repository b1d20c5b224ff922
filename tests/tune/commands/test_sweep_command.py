import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster import trial_plan
from tests.tune.commands.studies import Sweeps, end, start, study_folder, sweeps_double
from tune.commands.main import main
from tune.commands.sweep_options import ALIASES, HELP
from tune.report.facts import study_command
from tune.search.read import load_sweep, sweep_types
from tune.study.events import Listener
from tune.study.folder import StudyFolder

Streams = pytest.CaptureFixture[str]
SWEEP = ["sweep", "iemocap", "--data.shards", "shards"]


@pytest.fixture
def sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweeps:
    monkeypatch.setattr(trial_plan, "machine_cpus", lambda: 4)
    monkeypatch.setattr(trial_plan, "machine_gpus", lambda: 0)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return sweeps_double(tmp_path, monkeypatch)


def test_the_last_line_is_the_best_validation_wf1(sweeps: Sweeps, capsys: Streams) -> None:
    assert main([*SWEEP, "--name", "gammas", "--log", "plain"]) == 0
    output = capsys.readouterr()
    assert output.out.splitlines() == [
        "study       gammas (1 complete, 1 pruned)",
        "tracked at  sqlite:///x, run 3f2a",
        f"report      {sweeps.storage / 'gammas' / 'report' / 'index.html'}",
        "best trial  0",
        "            gamma_ca 0.6",
        "            window 4",
        "best validation WF1 62.50",
    ]
    assert "study gammas: 4 trials" in output.err
    assert sweeps.swept[0][2] == {"name": "gammas", "verbose": False, "address": None}


def test_short_options_are_keys_of_the_sweep_section(sweeps: Sweeps) -> None:
    short = ["--trials", "9", "--time=2h", "--sampler", "gp", "--scheduler", "none", "--concurrency", "auto"]
    assert (
        main([*SWEEP, *short, "--seeds-per-trial", "3", "--storage", "studies", "--sweep.stop_at", "0.9", "--quiet"])
        == 0
    )
    config, settings, _ = sweeps.swept[0]
    values = {"trials": 9, "time": "2h", "sampler": "gp", "scheduler": "none", "concurrency": 0, "seeds": 3}
    overrides = {f"sweep.{key}": value for key, value in {**values, "storage": "studies", "stop_at": 0.9}.items()}
    assert (config, settings) == load_sweep("iemocap", {"data.shards": "shards", **overrides})


@pytest.mark.parametrize("option", ALIASES)
def test_every_short_option_is_a_key_and_explained(option: str) -> None:
    assert ALIASES[option] in sweep_types()
    assert HELP[option]


def test_json_is_the_last_line(sweeps: Sweeps, capsys: Streams) -> None:
    assert main([*SWEEP, "--name", "gammas", "--quiet", "--output", "json"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    result = json.loads(output.out)
    assert result["best"] == {
        "trial": 0,
        "values": {"wf1": 0.625},
        "params": {"loss.gamma_ca": 0.6, "loss.window": 4},
        "test": {},
        "base_test": {},
    }
    assert result["trials"] == {"complete": 1, "pruned": 1}
    assert (result["study"], result["run_id"]) == ("gammas", "3f2a")


def test_winner_and_base_configuration_are_told_on_test(sweeps: Sweeps, capsys: Streams) -> None:
    def scored_on_test(folder: StudyFolder, _listener: Listener) -> None:
        base = {"loss.gamma_ca": 0.8, "loss.window": 10}
        for params, validation, test in ((base, 0.5, 0.55), ({}, 0.625, 0.6)):
            number = start(folder, **params).number
            end(folder, number, "complete", validation)
            folder.ledger.test(number, 0, {"wf1": test})

    sweeps.behaviour = scored_on_test
    for name, form in (("shown", "text"), ("read", "json")):
        assert main([*SWEEP, "--name", name, "--quiet", "--output", form]) == 0
    *_, on_test, on_validation, result = capsys.readouterr().out.splitlines()
    assert on_test.split() == ["test", "WF1", "60.00", "(base", "configuration", "55.00)"]
    assert on_validation == "best validation WF1 62.50"
    best = json.loads(result)["best"]
    assert (best["test"], best["base_test"]) == ({"wf1": 0.6}, {"wf1": 0.55})


def test_json_lines_end_with_the_result(sweeps: Sweeps, capsys: Streams) -> None:
    assert main([*SWEEP, "--log", "jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("event") for line in lines] == ["started", "finished", None]


def test_several_objectives_are_all_printed_the_first_one_last(sweeps: Sweeps, capsys: Streams) -> None:
    def two_objectives(folder: StudyFolder, _listener: Listener) -> None:
        end(folder, start(folder).number, "complete", 0.625, 0.5)

    sweeps.behaviour = two_objectives
    study_folder(sweeps.storage, "pair", objectives={"wf1": "maximize", "f1/sad": "maximize"})
    assert main(["resume", "pair", "--storage", str(sweeps.storage), "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "best validation F1 of sad 50.00",
        "best validation WF1 62.50",
    ]


def test_a_study_without_a_complete_trial_failed(sweeps: Sweeps, capsys: Streams) -> None:
    def fail(folder: StudyFolder, _listener: Listener) -> None:
        end(folder, start(folder).number, "failed", reason="out of memory")

    sweeps.behaviour = fail
    assert main([*SWEEP, "--quiet"]) == 1
    assert "no trial is complete" in capsys.readouterr().out.splitlines()[-1]


def failing(*failed: str) -> Callable[[StudyFolder, Listener], None]:
    """A study with two complete trials, and others that failed for these reasons."""

    def behave(folder: StudyFolder, _listener: Listener) -> None:
        for value in (0.5, 0.625):
            end(folder, start(folder).number, "complete", value)
        for reason in failed:
            end(folder, start(folder).number, "failed", reason=reason)

    return behave


COMMANDS = {
    "sweep": SWEEP,
    "ablate": ["ablate", "iemocap", "--data.shards", "shards"],
    "grid": ["grid", "iemocap", "--data.shards", "shards", "--loss.window", "2,4"],
    "study": ["study", "iemocap/table4", "--data.shards", "shards"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_study_most_of_whose_trials_failed_failed(sweeps: Sweeps, capsys: Streams, words: list[str]) -> None:
    losses = [f"NonFiniteLossError: loss nan after {batch} batches" for batch in (3, 8)]
    sweeps.behaviour = failing("OSError: disk full", *losses)
    assert main([*words, "--name", "gammas", "--quiet", "--output", "json"]) == 1
    output = capsys.readouterr()
    assert json.loads(output.out)["best"]["values"]["wf1"] == 0.625, "the result is told all the same"
    assert output.err == (
        f"dclf: error: study gammas: 3 of 5 trials failed, 2 of them as this one: {losses[0]}; "
        f"see them all: dclf show gammas --storage {sweeps.storage}\n"
    )


def test_a_resumed_study_counts_the_trials_that_failed_before(sweeps: Sweeps, capsys: Streams) -> None:
    folder = study_folder(sweeps.storage)
    for _ in range(3):
        end(folder, start(folder).number, "failed", reason="out of memory (9 GB)")
    sweeps.behaviour = failing()
    assert main(["resume", "gammas", "--storage", str(sweeps.storage), "--quiet"]) == 1
    assert "3 of 5 trials failed, all of them as this one: out of memory (9 GB); see" in capsys.readouterr().err


def test_half_of_the_trials_is_not_most(sweeps: Sweeps, capsys: Streams) -> None:
    sweeps.behaviour = failing("OSError: disk full", "OSError: disk full")
    assert main([*SWEEP, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("log", ["plain", "live", "quiet", "jsonl"])
@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143), (OSError("gone"), 1)])
def test_a_study_cut_short_says_how_to_go_on(
    sweeps: Sweeps, capsys: Streams, log: str, error: BaseException, code: int
) -> None:
    def cut(_folder: StudyFolder, _listener: Listener) -> None:
        raise error

    sweeps.behaviour = cut
    assert main([*SWEEP, "--name", "gammas", "--log", log]) == code
    message = f"dclf: cut short; go on with: dclf resume gammas --storage {sweeps.storage}\n"
    assert message in capsys.readouterr().err


def test_an_interrupt_before_the_study_has_nothing_to_resume(
    sweeps: Sweeps, capsys: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_args: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["tune.sweeps"], "sweep", interrupted)
    assert main([*SWEEP, "--quiet"]) == 130
    assert "resume" not in capsys.readouterr().err


def test_the_usual_storage_need_not_be_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert study_command("resume", study_folder(Path("dclf-runs/studies"))) == "dclf resume gammas"
    assert study_command("resume", study_folder(tmp_path / "my studies")) == (
        f"dclf resume gammas --storage '{tmp_path}/my studies'"
    )


def test_all_mistakes_come_at_once(sweeps: Sweeps, tmp_path: Path, capsys: Streams) -> None:
    study_folder(tmp_path, "gammas")
    file = tmp_path / "mine.yaml"
    file.write_text("sweep:\n  trails: 5\n  seeds: 0\nloss:\n  gama_ca: 1\n", encoding="utf-8")
    words = ["--trial", "5", "--time", "soon", "--train.lr", "--concurrency", "many", "--sweep.sampler", "x"]
    assert main(["sweep", str(file), "--name", "gammas", "--storage", str(tmp_path), *words]) == 2
    output = capsys.readouterr()
    for part in (
        f"{file}:2: sweep.trails: unknown key; did you mean sweep.trials?",
        f"{file}:3: sweep.seeds: must be at least 1, is 0",
        f"{file}:5: loss.gama_ca: unknown key",
        "--trial: unknown option; did you mean --trials?",
        "sweep.time: must be a duration",
        "train.lr: must have a value",
        "sweep.concurrency: must be a whole number, is 'many'",
        "sweep.sampler: must be one of tpe,",
        "data.shards: must name a folder",
        f"--name: study 'gammas' exists already in {tmp_path}; go on with it (dclf resume gammas)",
    ):
        assert part in output.err
    assert all(line.startswith("dclf: error: ") for line in output.err.splitlines())
    assert not sweeps.swept


def test_a_setting_given_both_ways_is_given_twice(sweeps: Sweeps, capsys: Streams) -> None:
    assert main([*SWEEP, "--trials", "5", "--sweep.trials", "6"]) == 2
    assert "sweep.trials: must be given once" in capsys.readouterr().err


def test_an_impossible_name_is_refused(sweeps: Sweeps, capsys: Streams) -> None:
    assert main([*SWEEP, "--name", "../mine"]) == 2
    assert "--name: a study's name must be" in capsys.readouterr().err


def test_an_impossible_layout_is_refused_before_ray(sweeps: Sweeps, capsys: Streams) -> None:
    assert main([*SWEEP, "--gpus-per-trial", "0.5"]) == 2
    assert "needs a GPU, there is none; set sweep.gpus_per_trial to 0" in capsys.readouterr().err
    beginning = time.process_time()  # from here on without the import of torch
    assert main([*SWEEP, "--concurrency", "5"]) == 2
    assert time.process_time() - beginning < 2
    assert "set sweep.concurrency to 4" in capsys.readouterr().err
    assert not sweeps.swept


def test_a_cluster_s_layout_is_left_to_the_cluster(sweeps: Sweeps) -> None:
    assert main([*SWEEP, "--concurrency", "5", "--address", "10.0.0.5:6379", "--quiet"]) == 0
    assert sweeps.swept[0][2]["address"] == "10.0.0.5:6379"


def test_print_config_reads_back_and_needs_no_shards(tmp_path: Path, capsys: Streams) -> None:
    changes = ["--trials", "7", "--sweep.warm_start", "a,b", "--loss.ablate", "no_ica"]
    assert main(["sweep", "meld", "--print_config", *changes]) == 0
    file = tmp_path / "printed.yaml"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    config, settings = load_sweep(file, {"data.shards": "x"})
    overrides = {"sweep.trials": 7, "sweep.warm_start": ["a", "b"], "loss.ablate": "no_ica"}
    preset, without_space = load_sweep("meld", {"data.shards": "x", **overrides})
    assert config == preset
    assert "loss.gamma_ca" in settings.space
    assert {**settings.to_dict(), "space": {}} == without_space.to_dict()


def test_resume_takes_a_larger_budget(sweeps: Sweeps, capsys: Streams) -> None:
    study_folder(sweeps.storage)
    assert main(["resume", "gammas", "--storage", str(sweeps.storage), "--trials", "9", "--time", "3h", "--quiet"]) == 0
    ((name, options),) = sweeps.resumed
    assert name == "gammas"
    assert (options["trials"], options["time"], options["address"]) == (9, "3h", None)
    assert capsys.readouterr().out.splitlines()[-1] == "best validation WF1 62.50"


def test_an_unknown_study_is_refused_with_those_there_are(sweeps: Sweeps, capsys: Streams) -> None:
    study_folder(sweeps.storage)
    assert main(["resume", "gamas", "--storage", str(sweeps.storage)]) == 2
    assert "no study 'gamas'" in capsys.readouterr().err
    assert main(["resume", "gammas", "--storage", str(sweeps.storage), "--trials", "-1", "--time", "soon"]) == 2
    output = capsys.readouterr().err
    assert "--trials: must be 0 or more, is -1" in output
    assert "--time: must be a duration" in output
    assert not sweeps.resumed


def test_mistakes_wait_for_neither_ray_nor_mlflow() -> None:
    code = (
        "import sys; from tune.commands.main import main\n"
        "codes = [main(words) for words in (['sweep', '--help'], ['plan', 'sweep', '--help'], ['resume', '--help'],"
        " ['sweep', 'iemocap', '--trails', '3'], ['resume', 'nowhere'],"
        " ['sweep', 'iemocap', '--data.shards', 'x', '--concurrency', '1000'])]\n"
        "print(codes, [m for m in ('ray', 'mlflow', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[0, 0, 0, 2, 2, 2] []"
    assert "Traceback" not in done.stderr
