"""``dclf predict`` on real runs: tables, JSON, streams, mistakes and interrupts."""

import io
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dclf.data import Dialogue, read_shards
from dclf.inference import load_model
from tests.dclf.extraction.hashing import as_own_module, encoder, hashed
from tests.tune.perturbed_runs import RunStore
from tune.commands.main import main

pytestmark = pytest.mark.slow  # torch, MLflow and two trainings, ten seconds in all

Streams = pytest.CaptureFixture[str]
CODE = (
    "import sys; from tune.commands.main import main; code = main()\n"
    "sys.exit(99 if 'ray' in sys.modules else code)  # nothing here needs Ray"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[RunStore]:
    folder = tmp_path_factory.mktemp("predict-command")
    with as_own_module(folder) as own:
        run_store = RunStore(folder, empty_store, own.facts(folder / "encoder", text=24, audio=32))
        run_store.train("mmgcn", "graph")
        run_store.train("ddin", "both", causal=False)
        yield run_store


@pytest.fixture(scope="module")
def dialogue(runs: RunStore) -> Dialogue:
    return next(iter(read_shards(runs.shards, split="test")))


def words(runs: RunStore, source: str | Path, *more: str, run: str = "graph") -> list[str]:
    return ["predict", run, str(source), "--uri", runs.uri, *more]


def utterances(dialogue: Dialogue) -> list[dict[str, Any]]:
    return [
        {
            "speaker": "MF"[speaker],
            "text": f"word {i} \u00fc",
            "features": {m: dialogue.features[m][i].tolist() for m in ("text", "audio")},
        }
        for i, speaker in enumerate(dialogue.speakers)
    ]


def probabilities(answers: list[dict[str, Any]]) -> np.ndarray:
    return np.array([list(one["probabilities"].values()) for one in answers])


def direct_answers(runs: RunStore, dialogue: Dialogue, run: str = "graph") -> np.ndarray:
    return load_model(runs.folder / run).predict([dialogue])[0]


def stdin(monkeypatch: pytest.MonkeyPatch, content: str | bytes) -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))


def test_shards_as_a_table(runs: RunStore, dialogue: Dialogue, capsys: Streams) -> None:
    assert main(words(runs, runs.shards, "--split", "test")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"run graph \(\w{32}\): \d+ utterances of \d+ conversations", lines[0])
    assert lines[1:3] == ["", f"conversation {dialogue.dialogue_id} (test)"]
    assert lines[3].split() == ["speaker", "words", "emotion", "probability"]
    speaker, emotion, probability = lines[4].split()
    first = direct_answers(runs, dialogue)[0]
    assert speaker == str(dialogue.speakers[0])
    assert emotion == read_shards(runs.shards).info.class_names[first.argmax()]
    assert float(probability) == pytest.approx(first.max(), abs=6e-4)


def test_a_conversation_as_json(runs: RunStore, dialogue: Dialogue, tmp_path: Path, capsys: Streams) -> None:
    place = tmp_path / "talk.json"
    place.write_text(json.dumps({"id": "call", "speakers": ["M", "F"], "utterances": utterances(dialogue)}, indent=2))
    assert main(words(runs, place, "--output", "json")) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["name"], result["class_names"]) == ("graph", list(read_shards(runs.shards).info.class_names))
    (conversation,) = result["conversations"]
    assert conversation["id"] == "call"
    assert np.allclose(probabilities(conversation["utterances"]), direct_answers(runs, dialogue), atol=1e-6)
    assert conversation["utterances"][1]["text"] == "word 1 \u00fc"
    assert main(words(runs, place)) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[2] == "conversation call"
    assert table[4].split()[:4] == ["MF"[dialogue.speakers[0]], "word", "0", "\u00fc"]


def test_a_document_from_stdin(
    runs: RunStore, dialogue: Dialogue, monkeypatch: pytest.MonkeyPatch, capsys: Streams
) -> None:
    stdin(monkeypatch, json.dumps([{"utterances": utterances(dialogue)}] * 2, indent=1))
    assert main(words(runs, "-", "--speakers", "M,F", "--output", "json")) == 0
    first, second = json.loads(capsys.readouterr().out)["conversations"]
    assert np.allclose(probabilities(first["utterances"]), direct_answers(runs, dialogue), atol=1e-6)
    assert (first["id"], second["id"], second["utterances"]) == ("1", "2", first["utterances"])


def test_lines_from_stdin_as_a_table(
    runs: RunStore, dialogue: Dialogue, monkeypatch: pytest.MonkeyPatch, capsys: Streams
) -> None:
    turns = utterances(dialogue)
    turns[0]["text"] = "a long story " * 9
    stdin(monkeypatch, "\n\n".join(map(json.dumps, turns)))
    assert main(words(runs, "-")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["speaker", "words", "emotion", "probability"]
    assert len(lines) == len(dialogue) + 1
    assert "a long story a long story a long story \u2026  " in lines[1]
    assert len({len(line) for line in lines}) == 1


def test_a_bidirectional_model_answers_lines_in_the_end(
    runs: RunStore, dialogue: Dialogue, monkeypatch: pytest.MonkeyPatch, capsys: Streams
) -> None:
    stdin(monkeypatch, "\n".join(map(json.dumps, utterances(dialogue))))
    assert main(words(runs, "-", "--speakers", "M,F", "--output", "json", run="both")) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert np.allclose(probabilities(answers), direct_answers(runs, dialogue, "both"), atol=1e-6)


def started(runs: RunStore, folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *words(runs, "-", *more)],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_every_line_is_answered_before_the_next_comes_and_no_ray_is_there(
    runs: RunStore, dialogue: Dialogue, tmp_path: Path
) -> None:
    answers = []
    with started(runs, tmp_path, "--speakers", "M,F", "--output", "json") as talk:
        assert talk.stdin is not None
        assert talk.stdout is not None
        for utterance in utterances(dialogue):
            print(json.dumps(utterance), file=talk.stdin, flush=True)
            answers.append(json.loads(talk.stdout.readline()))
        rest, err = talk.communicate(timeout=60)
    assert (talk.returncode, rest, err) == (0, "", "")
    assert np.allclose(probabilities(answers), direct_answers(runs, dialogue), atol=1e-6)
    assert not list(tmp_path.iterdir())


def test_ctrl_c_ends_a_stream(runs: RunStore, dialogue: Dialogue, tmp_path: Path) -> None:
    with started(runs, tmp_path, "--output", "json") as talk:
        assert talk.stdin is not None
        assert talk.stdout is not None
        print(json.dumps(utterances(dialogue)[0]), file=talk.stdin, flush=True)
        assert talk.stdout.readline()
        talk.send_signal(signal.SIGINT)
        rest, err = talk.communicate(timeout=60)
    assert (talk.returncode, rest, err) == (130, "", "dclf: interrupted\n")


def test_a_mistake_in_a_stream_ends_it_after_what_was_answered(
    runs: RunStore, dialogue: Dialogue, monkeypatch: pytest.MonkeyPatch, capsys: Streams
) -> None:
    good = json.dumps(utterances(dialogue)[0])
    stdin(monkeypatch, f'{good}\n{{"speaker": "F", "text": 1, "features": {{"text": [1]}}}}\n{good}')
    assert main(words(runs, "-", "--output", "json")) == 2
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 1
    assert output.err.splitlines()[0] == "dclf: error: stdin: the conversations cannot be predicted: 2 problems"
    assert "  - line 2.text: must be the words as a text, is 1" in output.err
    assert "  - line 2.features.text: must be " in output.err


def test_all_mistakes_of_a_document_come_with_their_places(runs: RunStore, tmp_path: Path, capsys: Streams) -> None:
    place = tmp_path / "talk.json"
    place.write_text('[{"utterances": [{"speaker": "Ann", "text": 3}, {"text": "hi", "mood": 1}]}, {}]')
    assert main(words(runs, place)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"dclf: error: {place}: the conversations cannot be predicted: 4 problems"
    assert [line.split(": ")[0] for line in lines[1:]] == [
        "  - [0].utterances[0].text",
        "  - [0].utterances[1].mood",
        "  - [0].utterances[1].speaker",
        "  - [1].utterances",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "stdin: the conversations cannot be predicted: 1 problem\n  - must hold JSON, is empty"),
        ("hello", "  - line 1: must be JSON, is not at column 1"),
        (b'{"speaker": "\xff"}', "  - line 1: must be JSON in UTF-8, is not at byte 13"),
        ('{"speaker": "Ann"}', "  - line 1: must have words for text or a recording for audio, or feature vectors of "),
        (
            '{"utterances": [{"speaker": "Ann", "text": ""}]}',
            "  - must have words for text or a recording for audio, or ",
        ),
    ],
)
def test_what_cannot_be_predicted_is_code_2(
    runs: RunStore, monkeypatch: pytest.MonkeyPatch, capsys: Streams, content: str | bytes, message: str
) -> None:
    stdin(monkeypatch, content)
    assert main(words(runs, "-")) == 2
    assert message in capsys.readouterr().err


def test_words_and_recordings_as_lines(
    runs: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Streams
) -> None:
    (tmp_path / "talk.wav").write_bytes(b"noise")
    monkeypatch.chdir(tmp_path)
    turns = [{"speaker": "M", "text": "hello"}, {"speaker": "F", "text": "hi", "media": "talk.wav"}]
    rows: list[dict[str, Any]] = [{"text": hashed(b"saltyhello", 24)}, {"text": hashed(b"saltyhi", 24)}]
    rows[1]["audio"] = hashed(b"saltynoiseNone-None", 32)
    session = load_model(runs.folder / "graph").session()
    expected = [session.hear(turn["speaker"], own) for turn, own in zip(turns, rows, strict=True)]
    stdin(monkeypatch, "\n".join(map(json.dumps, [*turns, {"speaker": "M", "text": "hi", "media": "gone.wav"}])))
    assert main(words(runs, "-", "--output", "json")) == 0
    output = capsys.readouterr()
    answers = [json.loads(line) for line in output.out.splitlines()]
    assert np.allclose(probabilities(answers[:2]), expected, atol=1e-6)
    assert len(answers) == 3
    assert output.err == "dclf: line 3: audio features are missing: there is no file gone.wav\n"


def test_an_encoder_may_be_named(runs: RunStore, tmp_path: Path, capsys: Streams) -> None:
    place = tmp_path / "talk.json"
    place.write_text('{"utterances": [{"speaker": "Ann", "text": "hello"}]}')
    moved, other = encoder(tmp_path / "moved"), encoder(tmp_path / "other", "sweet")
    assert main(words(runs, place, "--encoder", f"text={moved}", "--encoder", f"audio={moved}")) == 0
    assert capsys.readouterr().out.count("hello") == 1
    assert main(words(runs, place, "--encoder", f"text={other}")) == 2
    assert f"dclf: error: the encoder of text: the encoder in {other} must be the one" in capsys.readouterr().err
    assert main(words(runs, place, "--encoder", "word", "--encoder", "txt=x")) == 2
    err = capsys.readouterr().err
    assert "--encoder: must be text, audio or visual, = and a folder, is word" in err
    assert "is txt=x" in err
    assert main(words(runs, runs.shards, "--encoder", f"text={moved}")) == 2
    assert "--encoder: is for JSON" in capsys.readouterr().err


def test_sources_that_are_not_there_are_code_2(runs: RunStore, capsys: Streams) -> None:
    assert main(words(runs, "nowhere.json")) == 2
    assert "nowhere.json" in capsys.readouterr().err
    assert main(words(runs, "nowhere")) == 2
    assert "dclf: error: nowhere" in capsys.readouterr().err


def test_wrong_usage_is_code_2(runs: RunStore, tmp_path: Path, capsys: Streams) -> None:
    assert main(words(runs, runs.shards, run="grap")) == 2
    assert "has no run with the id or name 'grap'; near matches:" in capsys.readouterr().err
    assert main(words(runs, "-", "--split", "test")) == 2
    assert "dclf: error: --split: is for shards, - is JSON" in capsys.readouterr().err
    assert main(words(runs, runs.shards, "--speakers", "M,F")) == 2
    assert "dclf: error: --speakers: is for JSON" in capsys.readouterr().err
    assert main(words(runs, "talk.json", "--speakers", "Ann,Ben,Ann")) == 2
    assert "dclf: error: --speakers: must be named once each, are Ann, Ben, Ann" in capsys.readouterr().err
    assert main(["predict", "graph"]) == 2
    assert main(words(runs, runs.shards, "--split", "all")) == 2
