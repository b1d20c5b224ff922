"""Extraction from table to shards: what is written, what is missing, what is done twice, and what is refused."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import tune
from cluster.actors import ActorSettings
from dclf.data import Dialogue, Manifest, read_shards
from dclf.extraction import ExtractionError, Utterance, settings_of
from dclf.extraction.cache import FeatureCache
from dclf.extraction.choice import choose
from dclf.extraction.contents import text_keys
from dclf.extraction.visual import IMAGENET_MEAN
from tests.dclf.extraction.letters import FileSettings, LetterSettings
from tune.commands.extract import build_parser
from tune.commands.main import main
from tune.config.yaml_files import ConfigError
from tune.study.events import Event, ExtractionProgress, ExtractionStarted

ROOT = Path(__file__).parents[2]
LETTERS = LetterSettings.name
HERE = ActorSettings(actors=1)
SPLITS = ("train", "train", "train", "val", "test")
TEXTS = [f"{'abcab'[: number % 6]} {number % 35}" for number in range(40)]
"""Some are there twice."""


def write_table(folder: Path, texts: Sequence[str] = TEXTS) -> Path:
    """A table with dialogues of eight utterances."""
    with (folder / "talks.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["dialogue", "speaker", "emotion", "split", "text"])
        for number, text in enumerate(texts):
            emotion = ("joy", "anger", "")[number % 3]
            writer.writerow([f"d{number // 8}", "AB"[number % 2], emotion, SPLITS[number // 8 % 5], text])
    return folder / "talks.csv"


def extract(folder: Path, name: str = "shards", *, listeners: Sequence[Any] = (), **values: Any) -> Manifest:
    options = {"text": {"log": str(folder / "log"), **values}}
    return tune.extract(
        folder / "talks.csv",
        folder / name,
        text=LETTERS,
        options=options,
        actors=HERE,
        batch_size=4,
        cache=folder / "cache",
        listeners=listeners,
    )


def computed(folder: Path) -> list[str]:
    return (folder / "log").read_text(encoding="utf-8").splitlines()


def dialogues(folder: Path, name: str = "shards") -> list[Dialogue]:
    return list(read_shards(folder / name))


def test_shards_have_the_rows_in_the_order_of_the_table(tmp_path: Path) -> None:
    write_table(tmp_path)
    manifest = extract(tmp_path)
    rows = np.concatenate([dialogue.features["text"] for dialogue in dialogues(tmp_path)])
    assert rows.tolist() == [[text.count(letter) for letter in "abc"] for text in TEXTS]
    assert manifest.info.class_names == ("joy", "anger")
    assert dialogues(tmp_path)[0].labels.tolist() == [0, 1, -1, 0, 1, -1, 0, 1]
    assert sorted(computed(tmp_path)) == sorted({*TEXTS})


def test_the_provenance_says_what_extracts_such_rows(tmp_path: Path) -> None:
    write_table(tmp_path)
    provenance = extract(tmp_path, width=2).info.provenance
    assert provenance["importer"] == "extract"
    assert provenance["table"] == "csv"
    assert provenance["text"] == {"extractor": f"{LETTERS} abc", "width": 2}
    facts = provenance["extraction"]
    assert isinstance(facts, dict)
    settings = settings_of(facts["text"])
    assert settings == LetterSettings(width=2, identity="1")


def test_what_is_in_the_cache_is_not_computed_again(tmp_path: Path) -> None:
    write_table(tmp_path)
    first = extract(tmp_path)
    heard: list[Event] = []
    again = extract(tmp_path, "again", listeners=[heard.append])
    assert again.sha256 == first.sha256
    assert len(computed(tmp_path)) == len({*TEXTS})
    (started,) = heard
    assert isinstance(started, ExtractionStarted)
    assert started.lines[1:] == ["everything is in the cache"]
    write_table(tmp_path, [*TEXTS[:39], "new"])
    extract(tmp_path, "other")
    assert computed(tmp_path)[len({*TEXTS}) :] == ["new"]


def test_listeners_hear_how_far_it_is(tmp_path: Path) -> None:
    write_table(tmp_path)
    heard: list[Event] = []
    extract(tmp_path, listeners=[heard.append])
    started, *_, last = heard
    assert isinstance(started, ExtractionStarted)
    assert started.title == "text of 40 utterances of talks"
    assert isinstance(last, ExtractionProgress)
    assert (last.part, last.done, last.total, last.cached) == ("text", 40, 40, 0)


def test_what_cannot_be_read_is_missing_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_table(tmp_path, [*TEXTS[:6], "UNREADABLE", "", *TEXTS[8:20], "NAN", *TEXTS[21:]])
    manifest = extract(tmp_path)
    first, *_ = dialogues(tmp_path)
    assert first.present["text"].tolist() == [True] * 6 + [False] * 2
    assert not first.features["text"][6:].any()
    assert manifest.missing["train"] == {"text": 3}
    assert "text: dialogue d0 utterance 6: it is in another script" in caplog.text
    assert "text: dialogue d0 utterance 7: it has no words" in caplog.text
    facts = manifest.info.provenance["text"]
    assert isinstance(facts, dict)
    assert facts["missing"] == "3 utterances without features, such as d0 utterance 6, d0 utterance 7, d2 utterance 4"
    extract(tmp_path, "again")
    assert computed(tmp_path).count("NAN") == 2
    assert computed(tmp_path).count("UNREADABLE") == 1


def write_recordings(folder: Path) -> Path:
    """A table of three recordings: one of two utterances, one without a byte and one that is not there."""
    rows = ["a,A,joy,train,Oh,one.wav,0,1", "a,B,joy,train,No,one.wav,1,2", "b,A,joy,val,Ah,empty.wav,,"]
    rows += ["c,A,joy,test,So,absent.wav,,", "c,A,joy,test,Well,,,", "c,A,joy,test,Well,two.wav,,"]
    table = folder / "calls.csv"
    table.write_text("\n".join(["dialogue,speaker,emotion,split,text,media,start,end", *rows]), encoding="utf-8")
    for name, content in (("one.wav", b"sound"), ("empty.wav", b""), ("two.wav", b"longer sound")):
        (folder / name).write_bytes(content)
    return table


def test_recordings_are_read_below_the_tables_folder_and_missing_ones_are_masked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = write_recordings(tmp_path)
    heard: list[Event] = []
    tune.extract(
        table,
        tmp_path / "shards",
        text=LETTERS,
        audio=FileSettings(),
        actors=HERE,
        cache=tmp_path / "cache",
        listeners=[heard.append],
    )
    features = {d.dialogue_id: d.features["audio"].tolist() for d in dialogues(tmp_path)}
    assert features == {"a": [[5, 0], [5, 1]], "b": [[0, 0]], "c": [[0, 0], [0, 0], [12, 0]]}
    present = {d.dialogue_id: d.present["audio"].tolist() for d in dialogues(tmp_path) if "audio" in d.present}
    assert present == {"b": [False], "c": [False, False, True]}
    assert "text" not in dialogues(tmp_path)[2].present
    for line in (
        "audio: dialogue b utterance 0: it is silent",
        f"audio: dialogue c utterance 0: {tmp_path}/absent.wav is not there",
        "audio: dialogue c utterance 1: it has no recording",
    ):
        assert line in caplog.text
    parts = dict.fromkeys(event.part for event in heard if isinstance(event, ExtractionProgress))
    assert [*parts] == ["recordings looked at", "text", "audio"]


def test_a_folder_without_any_recording_is_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_recordings(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    words = ["data", "extract", str(table), str(tmp_path / "shards"), "--audio", FileSettings.name]
    assert main([*words, "--media", str(tmp_path / "elsewhere"), "--cache", str(tmp_path / "cache")]) == 2
    assert (
        f"--audio reads recordings: {tmp_path}/elsewhere must have those of 6 utterances, has none, such as "
        f"{tmp_path}/elsewhere/one.wav; name their folder with --media"
    ) in capsys.readouterr().err


def test_nothing_is_written_where_nothing_can_be_read(tmp_path: Path) -> None:
    write_table(tmp_path, ["UNREADABLE", ""] * 20)
    with pytest.raises(ExtractionError, match=r"(?s)text: one utterance .* d0 utterance 0: it is in another script"):
        extract(tmp_path)
    assert not (tmp_path / "shards").exists()


def test_a_failing_extractor_names_the_utterances_and_keeps_the_rest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_table(tmp_path, [*TEXTS[:39], "FAILS"])
    with pytest.raises(ExtractionError, match=r"dialogue d4 utterance 7.*RuntimeError: no such letter and more"):
        extract(tmp_path)
    assert f"stays in {tmp_path}/cache: the same command goes on from there" in caplog.text
    count = len(FeatureCache(tmp_path / "cache", choose("text", LETTERS, {}).resolve()).read())
    assert 0 < count < len({*TEXTS})


def command(folder: Path, *options: str) -> list[str]:
    cache = ["--cache", str(folder / "cache"), "--batch-size", "4", "--actors", "1"]
    words = ["data", "extract", str(folder / "talks.csv"), str(folder / "shards"), "--text", LETTERS]
    return [*words, "--text-log", str(folder / "log"), *cache, *options]


@pytest.mark.slow
def test_a_killed_driver_has_lost_nothing_that_had_arrived(tmp_path: Path) -> None:
    texts = [*TEXTS[:20], "DEADLY", *TEXTS[21:]]
    write_table(tmp_path, texts)
    words = [sys.executable, "-c", "from tune.commands.main import console; console()"]
    killed = subprocess.run(
        [*words, *command(tmp_path, "--text-mortal")], cwd=ROOT, check=False, capture_output=True, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    rows = FeatureCache(tmp_path / "cache", choose("text", LETTERS, {}).resolve()).read()
    before = computed(tmp_path)
    extract(tmp_path)
    again = computed(tmp_path)[len(before) :]
    assert len(rows) >= len(before) - 4  # those of the batch under way alone
    assert len(again) == len({*texts}) - len(rows)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    write_table(fresh, texts)
    assert extract(fresh).sha256 == read_shards(tmp_path / "shards").manifest.sha256


def test_the_command_says_what_it_wrote_and_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(tmp_path, [*TEXTS[:39], "UNREADABLE"])
    assert main(command(tmp_path, "--text-width", "2")) == 0
    output = capsys.readouterr()
    out = tmp_path / "shards"
    assert output.out.splitlines() == [
        f"{out}: 5 dialogues (3 train, 1 val, 1 test), 40 utterances",
        f"text: 2 wide, by {LETTERS} abc",
        "text: 1 utterance without features, such as d4 utterance 7",
    ]
    assert output.err.splitlines()[-1].startswith(
        f"next: dclf data probe {out} · dclf data inspect {out} · dclf train "
    )
    assert "text: 40 of 40" in output.err
    assert "text: dialogue d4 utterance 7: it is in another script" in output.err
    assert main(command(tmp_path, "--text-width", "2", "--overwrite", "--log", "jsonl")) == 0
    *events, result = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all("event" in event for event in events)
    assert (result["shards"], result["utterances"]) == (str(out), 40)
    assert result["splits"] == {"train": 3, "val": 1, "test": 1}
    assert result["features"]["text"]["width"] == 2


def test_ctrl_c_is_one_line_more_and_the_same_command_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(tmp_path, [*TEXTS[:39], "CTRL C"])
    assert main(command(tmp_path, "--text-mortal")) == 130
    assert f"what was extracted stays in {tmp_path}/cache" in capsys.readouterr().err
    before = computed(tmp_path)
    assert main(command(tmp_path)) == 0
    assert len(computed(tmp_path)) <= len({*TEXTS[:39]}) + 1 + 4
    assert before


def test_every_mistake_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(tmp_path, [*TEXTS[:39], "more"])
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "mine").touch()
    (tmp_path / "cache").touch()
    wrong = ["--columns", "words=text", "--gpus", "2", "--actors", "-1", "--visual-frames", "3"]
    assert main(command(tmp_path, "--text-width", "0", *wrong)) == 2
    lines = capsys.readouterr().err.splitlines()
    for words in (
        "--visual-frames: is for --visual, which is not given",
        "--actors: must be 0 or more, is -1",
        "--gpus: must be 0, or 0.01 to 1 of a card, is 2",
        "shards: the output folder is not empty (it holds 'mine')",
        "--text: width: must be 1 or more, is 0",
        "--columns words=text: 'words=text' must be WHAT=COLUMN",
    ):
        assert any(words in line for line in lines), (words, lines)
    assert main(command(tmp_path, "--overwrite")) == 2
    assert "cache must be a folder that can be written" in capsys.readouterr().err


def test_numbers_are_written_as_the_help_shows_the_default() -> None:
    (text,) = re.findall(r"--visual-mean MEAN[^(]*\(default:\s*(\[.*?\])\)", build_parser().format_help(), re.DOTALL)
    options = build_parser().parse_args(["talks.csv", "shards", "--visual-mean", text, f"--visual-std={text}"])
    assert options.visual_mean == options.visual_std == IMAGENET_MEAN


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "one of --text, --audio and --visual must say what is to be extracted, none is given"),
        (["--text", LETTERS, "--text-pooling", "mean"], f"{LETTERS} takes no pooling; it takes model, width, log"),
        (["--text", f"{LETTERS}x"], "cannot be imported"),
        (["--text", LETTERS, "--text-model", "absent"], "--text: model: there is no model called absent; name another"),
        (
            ["--text", LETTERS, "--text-fine-tune-rate", "1e-4"],
            "--text-fine-tune: epochs of a fine-tuning must be 1 or more, is 0",
        ),
        (["--text", LETTERS, "--cache", "s3://bucket/cache"], "s3://bucket/cache: the cache must be a folder of this"),
        (["--audio", LETTERS], f"--audio: {LETTERS} must be an extractor of audio, is one of text"),
        (["--text", LETTERS, "--media", "nowhere"], "--media nowhere: must be the folder of the recordings, is none"),
        (["--audio", "is10"], "--audio reads recordings: the table must have a column media with their paths"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = [str(write_table(tmp_path)), str(tmp_path / "shards"), "--cache", str(tmp_path / "cache")]
    assert main(["data", "extract", *place, *words]) == 2
    assert message in capsys.readouterr().err


def test_a_card_that_this_machine_lacks_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cluster.actors.machine_gpus", lambda: 0)
    write_table(tmp_path)
    assert main(command(tmp_path, "--gpus", "0.5")) == 2
    assert "each actor is to have a share of a GPU, the cluster has none" in capsys.readouterr().err
    assert not (tmp_path / "log").exists()


@dataclass(frozen=True, kw_only=True)
class TunedLetters(LetterSettings):
    """Letters with an option that begins as those of fine-tuning do."""

    name: ClassVar[str] = f"{__name__}:TunedLetters"

    fine_tuned_by: str = ""


def test_an_extractor_has_its_own_options_whatever_they_are_called(tmp_path: Path) -> None:
    write_table(tmp_path)
    words = ["--text", TunedLetters.name, "--text-fine-tuned-by", "Ann"]
    assert main([*command(tmp_path), *words]) == 0
    facts = read_shards(tmp_path / "shards").info.provenance["extraction"]
    assert isinstance(facts, dict)
    assert facts["text"]["fine_tuned_by"] == "Ann"


def test_rows_of_two_widths_are_refused(tmp_path: Path) -> None:
    write_table(tmp_path)
    cache = FeatureCache(tmp_path / "cache", LetterSettings().resolve())
    with cache.writer() as writer:
        writer.add([text_keys([Utterance(text=TEXTS[3])])[0]], [np.ones(1, np.float32)])  # type: ignore[list-item]
    with pytest.raises(ExtractionError, match=f"3 wide as .* utterance 3 is 1 wide: .* delete {cache.folder} and"):
        extract(tmp_path)
    assert not (tmp_path / "shards" / "manifest.json").exists()


def test_a_recording_with_an_impossible_name_is_missing(tmp_path: Path) -> None:
    table = write_recordings(tmp_path)
    table.write_text(table.read_text().replace("one.wav,0,1", f"{'x' * 300},0,1"), encoding="utf-8")
    manifest = tune.extract(
        table, tmp_path / "shards", audio=FileSettings(), actors=HERE, cache=tmp_path / "cache", listeners=[]
    )
    assert manifest.missing["train"] == {"audio": 1}


def test_impossible_settings_are_refused_in_python_too(tmp_path: Path) -> None:
    write_table(tmp_path)
    with pytest.raises(ConfigError, match=f"--text: {LETTERS} takes no poolin; it takes model, width"):
        tune.extract(
            tmp_path / "talks.csv", tmp_path / "out", text=LetterSettings(), options={"text": {"poolin": "mean"}}
        )
    with pytest.raises(ConfigError, match="--text: width: must be 1 or more, is 0"):
        extract(tmp_path, width=0)
