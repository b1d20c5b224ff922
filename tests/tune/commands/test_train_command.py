import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dclf.config import Config
from dclf.data import generate, write_shards
from dclf.training.reports import FinalReport
from tests.paper_data import write_like_paper
from tests.tune.commands.conftest import Runs
from tune.commands.main import main
from tune.commands.results import published_wf1
from tune.config.settings import config_types, load_config
from tune.study.events import EpochEnded, Listener, RunFinished, RunStarted

Streams = pytest.CaptureFixture[str]
SHARDS = ["--data.shards", "shards"]


def test_the_last_line_is_the_test_wf1(runs: Runs, capsys: Streams) -> None:
    assert main(["train", "iemocap", *SHARDS, "--loss.gamma_ca=0.6", "--train.workers", "[1,4]", "--log", "plain"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["val WF1 62.50", "test WF1 72.07"]
    ((config, resume, verbose),) = runs.trained
    assert config == load_config("iemocap", {"data.shards": "shards", "loss.gamma_ca": 0.6, "train.workers": [1, 4]})
    assert (resume, verbose) == (None, False)


def test_the_published_result_stands_beside_the_measured_one(runs: Runs, capsys: Streams, tmp_path: Path) -> None:
    runs.behaviour = lambda config, listener: listener(RunStarted(config, [], "bold", "3f2a"))
    shards = str(write_like_paper(tmp_path / "meld", "meld"))
    train = ["train", "meld-ddin", "--data.shards", shards, "--loss.ablate", "base", "--quiet"]
    assert main(train) == 0
    assert "published   test WF1 61.02 on meld\n" in capsys.readouterr().out
    assert main([*train, "--data.modalities", "text,audio"]) == 0
    assert "61.02" not in (output := capsys.readouterr().out)
    assert "published   none for these data: read are text and audio, in the paper text, audio and visual\n" in output


def test_generated_data_have_no_published_result(runs: Runs, capsys: Streams, tmp_path: Path) -> None:
    runs.behaviour = lambda config, listener: listener(RunStarted(config, [], "bold", "3f2a"))
    info, dialogues = generate("meld-small", 12)
    write_shards(dialogues, tmp_path / "shards", info)
    assert main(["train", "meld", "--data.shards", str(tmp_path / "shards"), "--quiet"]) == 0
    assert "67.11" not in (output := capsys.readouterr().out)
    assert "published   none for these data: the data are generated\n" in output
    assert main(["train", "--data.shards", str(tmp_path / "shards"), "--quiet"]) == 0
    assert "published" not in capsys.readouterr().out, "nothing is published for a configuration without a preset"


@pytest.mark.parametrize(
    ("preset", "overrides", "wf1"),
    [
        ("iemocap", {}, 72.07),
        ("iemocap", {"loss.ablate": "no_ica"}, 70.11),
        ("iemocap", {"model.name": "ddin", "loss.ablate": "base"}, 66.70),
        ("iemocap-dialogue-rnn", {}, 62.2),
        ("iemocap-aghmn", {"data.modalities": "audio"}, 59.1),
        ("iemocap-aghmn", {"data.modalities": "text,audio"}, None),
        ("iemocap-aghmn", {"loss.ablate": "none"}, None),
        ("meld-aghmn", {}, None),
        (None, {}, None),
        (None, {"published": {"mmgcn": 5}}, None),
    ],
)
def test_published_results_follow_model_and_ablation(
    preset: str | None, overrides: dict[str, Any], wf1: float | None
) -> None:
    assert published_wf1(load_config(preset, {"data.shards": "x", **overrides})) == wf1


def test_json_is_the_last_line(runs: Runs, capsys: Streams) -> None:
    assert main(["train", "iemocap", *SHARDS, "--output", "json", "--quiet", "--verbose"]) == 0
    output = capsys.readouterr()
    result = json.loads(output.out.splitlines()[-1])
    assert output.err == ""
    assert result["test"]["wf1"] == 0.7207
    assert result["val"]["wf1"] == 0.625
    assert (result["run_id"], result["checkpoint"], result["best_epoch"]) == ("3f2a", "store/bold", 2)
    assert runs.trained[0][2] is True


def test_json_has_the_published_result_or_why_there_is_none(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: Streams
) -> None:
    for reasons, published in (
        ([], {"test_wf1": 72.07, "dataset": "iemocap"}),
        (["other classes"], {"test_wf1": None, "reasons": ["other classes"]}),
    ):
        monkeypatch.setattr("tune.commands.results.unlike_paper", lambda _config, reasons=reasons: reasons)
        assert main(["train", "iemocap", *SHARDS, "--log", "jsonl"]) == 0
        assert json.loads(capsys.readouterr().out)["published"] == published


def looked_at_test(final: FinalReport) -> FinalReport:
    """The same run under the paper's protocol."""
    test_scores = [{"wf1": wf1, "wa": wf1} for wf1 in (0.5, 0.7, 0.7307)]
    history = [replace(report, peeked=scores) for report, scores in zip(final.history, test_scores, strict=True)]
    return replace(final, history=history)


def test_what_test_would_have_chosen_stands_apart_from_the_sealed_score(runs: Runs, capsys: Streams) -> None:
    runs.final = looked_at_test(runs.final)
    assert main(["train", "iemocap", *SHARDS, "--train.protocol", "paper", "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "not sealed  test WF1 73.07 where test chose epoch 3, optimism gap +1.00",
        "val WF1 62.50",
        "test WF1 72.07",
    ]
    assert main(["train", "iemocap", *SHARDS, "--output", "json", "--quiet"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["test"]["wf1"] == 0.7207
    assert result["paper"] == {
        "epoch": 3,
        "test": {"wf1": 0.7307, "wa": 0.7307},
        "optimism_gap": pytest.approx(1.0),
    }


def test_a_sealed_run_says_nothing_of_optimism(runs: Runs, capsys: Streams) -> None:
    assert main(["train", "iemocap", *SHARDS, "--output", "json", "--quiet"]) == 0
    assert "paper" not in json.loads(capsys.readouterr().out)
    assert main(["train", "iemocap", *SHARDS, "--quiet"]) == 0
    assert "sealed" not in capsys.readouterr().out


def test_an_unknown_protocol_is_a_mistake(runs: Runs, capsys: Streams) -> None:
    assert main(["train", "iemocap", *SHARDS, "--train.protocol", "open"]) == 2
    assert "train.protocol: must be" in capsys.readouterr().err
    assert not runs.trained


def test_json_lines_hold_every_event_and_the_result(runs: Runs, capsys: Streams) -> None:
    def speak(config: Config, listener: Listener) -> None:
        listener(RunStarted(config, ["one worker"], "bold", "3f2a"))
        for report in runs.final.history:
            listener(EpochEnded(report))
        listener(RunFinished(runs.final))

    runs.behaviour = speak
    assert main(["train", "meld", *SHARDS, "--log", "jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("event") for line in lines] == ["started", "epoch", "epoch", "epoch", "finished", None]
    assert lines[0]["config"]["loss"]["window"] == 4
    assert lines[-1]["test"]["wf1"] == 0.7207


def test_mistakes_of_command_line_and_values_come_together(runs: Runs, capsys: Streams) -> None:
    assert main(["train", "iemocap", "--loss.gama_ca", "1", "--train.epochs", "x", "--train.lr"]) == 2
    output = capsys.readouterr().err
    for part in ("train.lr: must have a value", "did you mean loss.gamma_ca?", "train.epochs: must be", "data.shards:"):
        assert part in output
    assert not runs.trained


def test_what_mlflow_would_refuse_comes_with_the_rest_before_any_work(
    runs: Runs, tmp_path: Path, capsys: Streams
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("track:\n  experiment: ''\n  tags:\n    host: me\n", encoding="utf-8")
    words = ["--train.epochs", "0", "--track.tags.a?b", "c", "--track.tags.my-own", "1", "--train.seed", str(2**63)]
    assert main(["train", str(file), *SHARDS, *words]) == 2
    assert [line.replace(str(file), "mine")[13:60] for line in capsys.readouterr().err.splitlines()] == [
        "train.seed: must be a whole number of at most 6",
        "train.epochs: must be at least 1, is 0",
        "mine:2: track.experiment: must be the name of a",
        "mine:4: track.tags.host: must have another name",
        "track.tags.a?b: a tag's name must have letters,",
    ]
    assert not runs.trained


def test_an_undotted_unknown_option_is_a_mistake_of_the_configuration(runs: Runs, capsys: Streams) -> None:
    assert main(["train", "iemocap", *SHARDS, "--gamma_ca", "1", "--epochs", "x"]) == 2
    output = capsys.readouterr().err
    assert "did you mean loss.gamma_ca?" in output
    assert "did you mean train.epochs?" in output


def test_a_key_given_twice_is_refused(runs: Runs, capsys: Streams) -> None:
    assert main(["train", "iemocap", *SHARDS, "--train.lr", "1", "--train.lr=2"]) == 2
    assert "train.lr: must be given once" in capsys.readouterr().err


def test_a_negative_number_is_a_value(runs: Runs) -> None:
    assert main(["train", "iemocap", *SHARDS, "--train.max_failures", "-1", "--quiet"]) == 0
    assert runs.trained[0][0].train.max_failures == -1


def test_resume_takes_the_run_s_own_configuration(runs: Runs, capsys: Streams) -> None:
    assert main(["train", "--resume", "3f2a", "--track.uri", "sqlite:///y", "--quiet"]) == 0
    config, resume, _ = runs.trained[0]
    assert (config.track.uri, resume) == ("sqlite:///y", "3f2a")
    assert main(["train", "iemocap", "--resume", "3f2a", "--train.epochs", "9"]) == 2
    output = capsys.readouterr().err
    assert "CONFIG iemocap: must be left out" in output
    assert "train.epochs: must be left out" in output
    assert len(runs.trained) == 1


def test_print_config_reads_back_and_needs_no_shards(tmp_path: Path, capsys: Streams) -> None:
    assert main(["train", "meld-ddin", "--print_config", "--train.workers", "1,2", "--track.tags.a", "b"]) == 0
    file = tmp_path / "printed.yaml"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    overrides = {"data.shards": "x", "train.workers": (1, 2), "track.tags": {"a": "b"}}
    assert load_config(file, {"data.shards": "x"}) == load_config("meld-ddin", overrides)


@pytest.mark.parametrize(("end", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_a_run_cut_short_says_how_to_go_on(runs: Runs, capsys: Streams, end: BaseException, code: int) -> None:
    def interrupt(config: Config, listener: Listener) -> None:
        listener(RunStarted(config, [], "bold", "3f2a"))
        raise end

    runs.behaviour = interrupt
    for log in ("plain", "live", "quiet", "jsonl"):
        assert main(["train", "iemocap", *SHARDS, "--log", log]) == code
        assert "dclf train --resume 3f2a\n" in capsys.readouterr().err


def test_a_scored_run_has_nothing_to_go_on_with(runs: Runs, capsys: Streams) -> None:
    def interrupt(config: Config, listener: Listener) -> None:
        listener(RunStarted(config, [], "bold", "3f2a"))
        listener(RunFinished(runs.final))
        raise KeyboardInterrupt

    runs.behaviour = interrupt
    assert main(["train", "iemocap", *SHARDS, "--log", "plain"]) == 130
    output = capsys.readouterr().err
    assert "--resume" not in output
    assert "dclf: the run has finished; MLflow may lack its figures and its model\n" in output


def test_an_interrupt_before_the_run_has_nothing_to_resume(runs: Runs, capsys: Streams) -> None:
    def interrupt(_config: Config, _listener: Listener) -> None:
        raise KeyboardInterrupt

    runs.behaviour = interrupt
    assert main(["train", "iemocap", *SHARDS]) == 130
    assert "--resume" not in capsys.readouterr().err


def test_a_failed_run_is_code_1_and_the_log_says_why(runs: Runs, capsys: Streams) -> None:
    def fail(_config: Config, _listener: Listener) -> None:
        raise ArithmeticError("L_CA is not finite")

    runs.behaviour = fail
    assert main(["train", "iemocap", *SHARDS, "--log", "jsonl"]) == 1
    output = capsys.readouterr()
    assert json.loads(output.out) == {"event": "failed", "error": "L_CA is not finite"}
    assert output.err == "dclf: error: L_CA is not finite\n"


def test_help_lists_every_key_with_its_meaning(capsys: Streams) -> None:
    assert main(["train", "--help"]) == 0
    output = capsys.readouterr().out
    assert [key for key in config_types() if f"--{key}" not in output] == ["published"]
    assert "tau of both contrasts." in output
    assert "default: 0.07" in output


def test_evaluate_prints_the_confusion_and_the_wf1_last(runs: Runs, capsys: Streams) -> None:
    assert main(["evaluate", "bold", "--split", "val"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "val: 8 utterances; rows are true classes, columns what was predicted"
    assert lines[1].split() == ["happy", "sad", "F1"]
    assert lines[2].split() == ["happy", "3", "1", "50.00"]
    assert lines[-1] == "val WF1 62.50"
    assert runs.evaluated == [
        {"run": "bold", "split": "val", "uri": "", "shards": None, "storage": "dclf-runs/studies"}
    ]


def test_evaluate_as_json(runs: Runs, capsys: Streams) -> None:
    assert main(["evaluate", "3f2a", "--output", "json", "--shards", "other", "--uri", "sqlite:///y"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (result["split"], result["scores"]["wf1"], result["class_names"]) == ("test", 0.7207, ["happy", "sad"])
    assert runs.evaluated[0]["shards"] == "other"


@pytest.mark.parametrize("arguments", [["--split", "train", "x"], []])
def test_evaluate_refuses_what_it_cannot_score(runs: Runs, arguments: list[str]) -> None:
    assert main(["evaluate", *arguments]) == 2
