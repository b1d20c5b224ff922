"""``dclf perturb`` on a real run: table, JSON, mistakes, progress and interrupts."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dclf.data import generate, write_shards
from tests.tune.analysis.perturbation.studies import new_study, trained_study
from tests.tune.commands.studies import sweeps_double
from tests.tune.perturbed_runs import RunStore
from tune.commands.main import main
from tune.commands.perturb_options import read_corruptions

pytestmark = pytest.mark.slow  # torch, MLflow and a training, ten seconds in all

Streams = pytest.CaptureFixture[str]
CODE = "import sys; from tune.commands.main import main; sys.exit(main())"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> RunStore:
    run_store = RunStore(tmp_path_factory.mktemp("perturb-command"), empty_store)
    run_store.train("mmgcn", "graph")
    return run_store


def words(runs: RunStore, *more: str, run: str = "graph") -> list[str]:
    return ["perturb", run, "--uri", runs.uri, "--out", str(runs.folder / "perturbations"), *more]


def test_the_table_has_the_papers_form(runs: RunStore, capsys: Streams) -> None:
    corrupt = ["--corrupt", "text:noise,audio:missing:50"]
    assert main(words(runs, "--draws", "2", *corrupt, "--log", "plain")) == 0
    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert lines[0].startswith("WF1 (%) of run graph on the test split of generated-iemocap-small (")
    assert lines[0].endswith("raw and substituted contexts (2 draws with seed 0)")
    assert lines[1] == "  One seed: ± is the deviation over draws and says nothing of training seeds."
    assert lines[2].split() == ["model", "variant", "seeds", "raw", "ECCS", "EICS"]
    assert re.split(" {2,}", lines[3].strip())[:3] == ["mmgcn", "base model", "1"]
    assert lines[3].count("±") == 2
    assert lines[5].endswith("raw and damaged modalities (masks of seed 0)")
    assert re.split(" {2,}", lines[6].strip()) == [
        "model",
        "variant",
        "utterances hit",
        "raw",
        "text, noise",
        "audio, missing",
    ]
    hit = [re.split(" {2,}", line.strip())[2] for line in lines[7:16]]
    assert hit == [f"{10 * tenth} %" for tenth in range(1, 10)]
    assert [line.endswith("–") for line in lines[7:16]] == [share != "50 %" for share in hit]
    assert any(line.startswith("Generated dialogues (generated-iemocap-small)") for line in lines)
    place = next(line.split()[1] for line in lines if line.startswith("results"))
    assert {file.name for file in Path(place).iterdir()} == {
        "test.json", "results.arrow", "summary.json", "scores.csv", "table.md", "table.tex", "recorded.json",
        "perturbation.html", "contexts.svg", "contexts.png", "damage.svg", "damage.png",
    }  # fmt: skip
    assert "eics, draw 2 of 2  WF1 " in output.err
    assert len([line for line in output.err.splitlines() if "  WF1 " in line]) == 1 + 2 * 2 + 9 + 1


def test_latex_has_no_sign_that_it_lacks(runs: RunStore, capsys: Streams) -> None:
    assert main(words(runs, "--draws", "1", "--quiet", "--output", "json")) == 0
    folder = Path(json.loads(capsys.readouterr().out)["results"]).parent
    text = (folder / "table.tex").read_text(encoding="utf-8")
    assert r"\downarrow$" in text or r"\uparrow$" in text
    assert text.isascii()


def test_json_and_the_summary_file_agree(runs: RunStore, capsys: Streams) -> None:
    arguments = words(runs, "--draws", "2", "--kinds", "eics", "--seed", "3", "--output", "json", "--quiet")
    assert main(arguments) == 0
    output = capsys.readouterr()
    assert output.err == ""
    result = json.loads(output.out)
    summary = json.loads(Path(result["results"]).with_name("summary.json").read_text())
    assert {**summary, **{name: result[name] for name in ("page", "results", "substitutions", "data")}} == result
    assert result["data"]["sentence"].startswith("Generated dialogues (generated-iemocap-small)")
    assert Path(result["page"]).exists()
    (score,) = result["conditions"]
    assert (score["kind"], score["draws"], len(score["wf1_by_draw"]), result["seed"]) == ("eics", 2, 2, 3)
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out) == result


def test_json_lines_hold_every_event_and_the_result(runs: RunStore, capsys: Streams) -> None:
    assert main(words(runs, "--draws", "1", "--kinds", "eccs", "--log", "jsonl")) == 0
    lines: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("event") for line in lines] == ["started", "scored", "scored", None]
    assert lines[0]["conditions"] == 2
    assert lines[2]["condition"] == "eccs, draw 1 of 1"
    assert lines[2]["wf1"] == lines[3]["conditions"][0]["wf1"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--kinds", "eccs,eiks"], "--kinds: must be some of eccs, eics, 'eiks' is none"),
        (["--kinds", "none"], "--kinds: must be some of eccs, eics where no modality is corrupted, are none"),
        (["--split", "train"], "invalid choice: 'train'"),
        (["--draws", "0"], "--draws: must be 1 or more, is 0"),
        (["--seed", "-1"], "--seed: must be 0 or more, is -1"),
        (["--corrupt", "smell:noise"], "the modality must be one of text, audio, visual, is 'smell'"),
        (["--corrupt", "text"], "the damage must be one of missing, noise, is absent; write MODALITY:missing"),
        (["--corrupt", "text:lost"], "the damage must be one of missing, noise, is lost"),
        (["--corrupt", "text:noise:0"], "the percent must be a whole number from 1 to 100, is 0"),
        (["--corrupt", "text:noise:5:5"], "must have two or three parts, has 4"),
        (["--corrupt", "text:noise,text:noise:50"], "--corrupt: must be named once each"),
        (["--corrupt", "visual:noise"], "must damage what run graph reads (text, audio), name visual"),
        (["--out", "s3://bucket/there"], "--out: must be a folder on this machine, is s3://bucket/there"),
    ],
)
def test_wrong_usage_is_code_2(runs: RunStore, capsys: Streams, more: list[str], message: str) -> None:
    assert main(words(runs, *more)) == 2
    assert message in capsys.readouterr().err


def test_mistakes_come_together(runs: RunStore, capsys: Streams) -> None:
    assert main(words(runs, "--kinds", "x", "--draws", "0", "--corrupt", "text:x,smell:noise")) == 2
    assert capsys.readouterr().err.count("dclf: error: ") == 4


def test_an_unknown_run_is_code_2_and_the_near_ones_are_named(runs: RunStore, capsys: Streams) -> None:
    assert main(words(runs, run="grap")) == 2
    output = capsys.readouterr().err
    assert "has no run with the id or name 'grap'; near matches:" in output
    assert "graph  FINISHED" in output
    assert main(["evaluate", "grap", "--uri", runs.uri]) == 2


def test_shards_that_are_not_there_are_code_2(runs: RunStore, capsys: Streams) -> None:
    assert main(words(runs, "--shards", "nowhere")) == 2
    assert "dclf: error: nowhere" in capsys.readouterr().err


def test_shards_that_do_not_fit_the_model_are_told_with_what_is_wrong(
    runs: RunStore, tmp_path: Path, capsys: Streams
) -> None:
    info, dialogues = generate("meld-small", dialogues=24)
    write_shards(dialogues, tmp_path / "meld", info)
    assert main(words(runs, "--draws", "1", "--kinds", "eccs", "--shards", str(tmp_path / "meld"))) == 1
    output = capsys.readouterr().err
    assert "dclf: error: run graph: DataError: the shards do not fit the model" in output
    assert "classes must be happy, sad" in output


def test_a_list_of_damages() -> None:
    corruptions, problems = read_corruptions(" text:noise , audio:missing:5", seed=7)
    assert problems == []
    assert [c.share for c in corruptions if c.damage == "noise"] == pytest.approx([n / 10 for n in range(1, 10)])
    assert [(c.modalities, c.share, c.seed) for c in corruptions if c.damage == "missing"] == [(("audio",), 0.05, 7)]
    assert read_corruptions("none", seed=0) == ([], [])


@pytest.fixture(scope="module")
def storage(runs: RunStore) -> Path:
    """A folder of studies with a trained one, parts, and two that have names of other things."""
    trained = trained_study(runs)
    for name in ("graph", "iemocap"):
        new_study(trained.path.parent, name, dict(trained.definition.config), trained.definition.sweep)
    return trained.path.parent


@pytest.fixture
def study_words(runs: RunStore, storage: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options with which names are looked up in this store and storage."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", runs.uri)
    return ["--storage", str(storage), "--out", str(runs.folder / "perturbations"), "--draws", "1"]


def test_a_study_is_tested_training_by_training(study_words: list[str], capsys: Streams) -> None:
    words = ["perturb", "parts", *study_words, "--at-a-time", "1", "--corrupt", "text:missing:50"]
    assert main([*words, "--log", "plain"]) == 0
    output = capsys.readouterr()
    assert "4 of 4 trained models to score" in output.err
    assert "16/16  trial 1, seed 2: text, missing, 50 %  WF1 " in output.err
    lines = output.out.splitlines()
    assert lines[0].startswith("WF1 (%) of study parts on the test split of generated-iemocap-small (")
    assert lines[0].endswith("raw and substituted contexts (1 draw with seed 0)")
    head = next(place for place, line in enumerate(lines) if line.split()[:2] == ["model", "variant"])
    note = " ".join(line.strip() for line in lines[1:head])
    assert note.startswith("Reference: base model. Differences in EICS drops in points, over shared seeds.")
    rows = lines[head + 1 : head + 3]
    assert [line.split("  ")[1:3] for line in rows] == [["mmgcn", "DCLF"], ["mmgcn", "base model"]]
    assert lines[head + 4].endswith(" utterances), raw and damaged modalities (masks of seed 0)")
    assert any(re.match(r"mmgcn: .* EICS .* two seeds, so nothing can be tested", line) for line in lines)
    assert any(line.startswith("Generated dialogues (generated-iemocap-small)") for line in lines)
    assert [line.split()[0] for line in lines[-3:]] == ["results", "substitutions", "report"]
    assert lines[-1] == f"report         written with these tables by: dclf report parts --storage {study_words[1]}"
    assert main([*words, "--output", "json"]) == 0
    again = capsys.readouterr()
    assert again.err == "", "nothing is scored, nothing is shown"
    result = json.loads(again.out)["perturbations"]
    assert [(one["trial"], one["training_seed"]) for one in result["trainings"]] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert {one["name"] for one in result["trainings"][0]["conditions"]} == {"eccs", "eics", "text-missing-50"}
    assert result["sentences"][0] in lines


def test_a_name_that_means_two_things_is_refused_until_one_is_chosen(
    runs: RunStore, study_words: list[str], capsys: Streams
) -> None:
    assert main(["perturb", "graph", *study_words]) == 2
    output = capsys.readouterr().err
    assert "'graph' names several things, a study and a run; say which one with --as study or --as run" in output
    assert main(["perturb", "graph", "--as", "run", *study_words, "--quiet"]) == 0
    assert capsys.readouterr().out.startswith("WF1 (%) of run graph on the test split")
    assert main(["perturb", "graph", "--as", "study", *study_words]) == 2
    assert "study 'graph' has no complete training yet; finish it: dclf resume graph" in capsys.readouterr().err
    assert main(["perturb", "iemocap", *study_words]) == 2
    assert "'iemocap' names several things, a config and a study" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["parts", "--models", "ddin"], "--models: is for a config, 'parts' is a study; leave it out"),
        (["parts", "--uri", "sqlite:///x"], "--uri: is for a run, 'parts' is a study"),
        (["elsewhere", "--at-a-time", "2"], "--at-a-time: is for a study or config, 'elsewhere' is a run"),
        (["parts", "--train.epochs", "3"], "--train.epochs: is for a CONFIG that is trained first, 'parts' is"),
        (["parts", "--drawss", "3"], "--drawss: unknown option; did you mean --draws?"),
        (["parts", "--gpus-per-model", "2"], "--gpus-per-model: must be 0, or 0.01 to 1 of a card, is 2"),
        (["parts", "--at-a-time", "-2"], "--at-a-time: must be 0 or more, is -2"),
        (["meld", "--data.shards", "x", "--at-a-time", "-2"], "--at-a-time: must be 0 or more, is -2"),
        (["meld", "--data.shards", "x", "--gpus-per-model", "3"], "--gpus-per-model: must be 0, or 0.01 to 1"),
        (
            ["meld", "--data.shards", "x", "--data.modalities", "text,audio", "--corrupt", "text:noise,visual:missing"],
            "--corrupt: must damage what the configuration reads (text, audio), name visual",
        ),
        (["nowhere", "--as", "study"], "no study 'nowhere' in"),
        (["part"], "nor is it a study in"),
        (["mled"], "\nnor a preset; did you mean meld?"),
        (["mled", "--loss.window", "3"], "'mled' is taken for a run; did you mean meld?"),
        (["meld", "--models", "mmgnc", "--data.shards", "x"], "mmgnc"),
        (["meld", "--name", "parts", "--data.shards", "x"], "--name: study 'parts' exists already"),
        (["meld", "--seeds", "0", "--loss.windw", "2", "--data.shards", "x"], "loss.windw"),
        (["nowhere.yaml"], "must be a YAML file or a preset"),
    ],
)
def test_mistakes_with_studies_are_code_2(
    study_words: list[str], capsys: Streams, words: list[str], message: str
) -> None:
    assert main(["perturb", *words, *study_words]) == 2
    assert message in capsys.readouterr().err


def test_a_configuration_is_trained_first_and_can_be_gone_on_with(
    study_words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Streams
) -> None:
    def interrupt(_folder: object, _listener: object) -> None:
        raise KeyboardInterrupt

    sweeps = sweeps_double(tmp_path, monkeypatch)
    sweeps.behaviour = interrupt
    words = [
        "meld",
        "--data.shards",
        "x",
        "--models",
        "mmgcn,ddin",
        "--seeds",
        "3",
        "--name",
        "t6",
        "--train.epochs",
        "2",
    ]
    assert main(["perturb", *words, *study_words]) == 130
    again = f"dclf perturb t6 --storage {tmp_path} and the same options of the tests"
    assert f"go on with: dclf resume t6 --storage {tmp_path} && {again}\n" in capsys.readouterr().err
    ((config, settings, options),) = sweeps.swept
    assert (config.train.epochs, settings.seeds, settings.trials, settings.test) == (2, 3, 4, "all")
    assert settings.space == {
        "model.name": {"choices": ["mmgcn", "ddin"]},
        "loss.ablate": {"choices": ["none", "base"]},
    }
    assert (options["name"], options["kind"]) == ("t6", "ablation")
    assert settings.storage == study_words[1]


def test_an_interrupt_says_that_what_is_scored_is_kept(
    study_words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Streams
) -> None:
    def interrupt(*_words: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tune.analysis.perturbation.test.run_test", interrupt)
    assert main(["perturb", "parts", *study_words]) == 130
    again = f"dclf perturb parts --storage {study_words[1]} and the same options of the tests"
    assert f"dclf: cut short; what is scored is kept; go on with: {again}\n" in capsys.readouterr().err


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from tune.commands.main import main\nmain(['perturb', '--help'])\n"
        "print([m for m in ('torch', 'ray', 'mlflow', 'optuna', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "\n  dclf perturb 3f2a91c0   " in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_ctrl_c_leaves_the_run_as_it_was(runs: RunStore) -> None:
    folder = runs.folder / "interrupted"
    command = [*words(runs, "--draws", "1000", "--log", "plain"), "--out", str(folder)]
    test = subprocess.Popen(
        [sys.executable, "-c", CODE, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert test.stderr is not None
    try:
        assert any("draw 3 of" in line for line in test.stderr)
    finally:
        os.kill(test.pid, signal.SIGINT)
        out, err = test.communicate(timeout=60)
    assert (test.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "dclf: interrupted"
    assert "Traceback" not in err
    experiment = runs.client.get_experiment_by_name("tests").experiment_id
    [run] = runs.client.search_runs([experiment], "attributes.run_name = 'graph'")
    assert run.info.status == "FINISHED"
    assert "perturb/eccs/draws" not in run.data.metrics or run.data.metrics["perturb/eccs/draws"] < 1000
    assert not list(folder.rglob("results.arrow"))
    assert not list(folder.rglob("*.part"))
