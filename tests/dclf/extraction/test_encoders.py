"""An encoder is a folder or a name on the hub, is told from others by its files, and opens whole or not at all."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.utils import logging

from dclf.extraction.contract import ExtractionError
from dclf.extraction.encoders import check_identity, identity, locate, open_model, quiet_transformers
from dclf.extraction.packages import missing_packages, require
from tests.dclf.extraction.hub import COMMIT, serve

LOCATE = """
import json, sys
from dclf.extraction import ExtractionError
from dclf.extraction.encoders import identity, locate
def answer(name, revision):
    try:
        located = locate(name, revision)
        return [str(located.folder), located.revision, identity(located.folder)]
    except ExtractionError as error:
        return str(error)
print(json.dumps([answer(*question) for question in json.loads(sys.argv[1])]))
"""
Answer = list[str] | str


def locations(questions: Sequence[tuple[str, str]], cache: Path, **environment: str) -> dict[tuple[str, str], Answer]:
    """What a process of its own gets for names and revisions: the hub's client reads its settings when imported."""
    done = subprocess.run(
        [sys.executable, "-c", LOCATE, json.dumps(questions)],
        env={**os.environ, "HF_HOME": str(cache), "NO_PROXY": "*", "no_proxy": "*", **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return dict(zip(questions, json.loads(done.stdout), strict=True))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder of words."""
    folder = tmp_path_factory.mktemp("encoders") / "tiny"
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    with quiet_transformers():
        transformers.BertModel(
            transformers.BertConfig(vocab_size=11, max_position_embeddings=16, **sizes)
        ).save_pretrained(folder)
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n", encoding="utf-8")
    return folder


@pytest.fixture
def encoder(source: Path, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return Path(shutil.copytree(source, tmp_path / "encoder"))


class TestFolders:
    def test_one_is_taken_as_it_is(self, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(encoder.parent)
        assert locate("encoder") == locate(str(encoder))
        assert locate("encoder").folder == encoder.resolve()
        assert not locate("encoder").revision

    @pytest.mark.parametrize(
        ("name", "revision", "reason"),
        [
            ("encoder", "main", "is a folder, which has no revision main"),
            ("./nowhere", "", "there is no folder './nowhere'"),
            ("/nowhere/at/all", "", "there is no folder '/nowhere/at/all'"),
            ("", "", "there is no folder ''"),
        ],
    )
    def test_what_is_none(
        self, encoder: Path, monkeypatch: pytest.MonkeyPatch, name: str, revision: str, reason: str
    ) -> None:
        monkeypatch.chdir(encoder.parent)
        with pytest.raises(ExtractionError, match=reason):
            locate(name, revision)

    @pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
    def test_one_must_be_complete(self, encoder: Path, file: str) -> None:
        (encoder / file).unlink()
        for look in (lambda: locate(str(encoder)), lambda: identity(encoder)):
            with pytest.raises(
                ExtractionError, match="must hold " + file.split(".", maxsplit=1)[0].replace("model", "w")
            ):
                look()


class TestIdentity:
    def test_it_is_the_same_anywhere(self, source: Path, encoder: Path) -> None:
        (encoder / "README.md").write_text("of no account", encoding="utf-8")
        (encoder / "onnx").mkdir()
        (encoder / "onnx" / "config.json").write_text("{}", encoding="utf-8")
        torch.save({}, encoder / "pytorch_model.bin")  # transformers opens safetensors where there are both
        assert identity(encoder) == identity(source)
        check_identity(encoder, identity(source))
        check_identity(encoder, "")

    @pytest.mark.parametrize("file", ["config.json", "vocab.txt", "model.safetensors"])
    def test_every_file_of_account_changes_it(self, source: Path, encoder: Path, file: str) -> None:
        with (encoder / file).open("ab") as content:
            content.write(b" ")
        assert identity(encoder) != identity(source)
        with pytest.raises(ExtractionError, match=f"must be the one of identity {identity(source)}, is "):
            check_identity(encoder, identity(source))


class TestOpening:
    def test_a_model_is_ready_to_evaluate(self, encoder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        model = open_model(encoder, "cpu")
        assert not model.training
        assert {weight.dtype for weight in model.parameters()} == {torch.float32}
        assert capfd.readouterr() == ("", "")

    def test_half_precision_becomes_float32(self, source: Path, encoder: Path) -> None:
        with quiet_transformers():
            transformers.BertModel.from_pretrained(source).half().save_pretrained(encoder)
        assert {weight.dtype for weight in open_model(encoder, "cpu").parameters()} == {torch.float32}

    def test_weights_must_be_complete(self, encoder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        weights = load_file(encoder / "model.safetensors")
        dropped = [name for name in weights if "pooler" in name or "word_embeddings" in name]
        rest = {name: value for name, value in weights.items() if name not in dropped}
        save_file(rest, encoder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ExtractionError, match=r"must be complete, lack 1, such as embeddings\.word_embeddings"):
            open_model(encoder, "cpu")
        with pytest.raises(ExtractionError, match="must be complete, lack 3"):
            open_model(encoder, "cpu", unused=())
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize(
        "content", ['{"model_type": "no such type"}', "{", '{"auto_map": {"AutoModel": "own.Own"}}']
    )
    def test_what_transformers_does_not_know(self, encoder: Path, content: str) -> None:
        (encoder / "config.json").write_text(content, encoding="utf-8")
        with pytest.raises(ExtractionError, match="transformers cannot open the encoder in"):
            open_model(encoder, "cpu")

    def test_damaged_weights(self, encoder: Path) -> None:
        (encoder / "model.safetensors").write_bytes(b"\0" * 100)
        with pytest.raises(ExtractionError, match="transformers cannot open the encoder in"):
            open_model(encoder, "cpu")

    def test_silence_ends(self) -> None:
        before = logging.get_verbosity(), logging.is_progress_bar_enabled()
        with quiet_transformers():
            assert logging.get_verbosity() == logging.ERROR
            assert not logging.is_progress_bar_enabled()
        assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


@dataclass
class Course:
    """What became of names on a hub, first with it and then without a network."""

    online: dict[tuple[str, str], Answer]
    offline: dict[tuple[str, str], Answer]
    fetched: list[tuple[str, str]]


@pytest.fixture(scope="module")
def course(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """Three models on a hub: one of today, one with older weights, and one without any."""
    cache = tmp_path_factory.mktemp("cache")
    own = {path.name: path.read_bytes() for path in source.iterdir()}
    weights = own.pop("model.safetensors")
    beside = {"README.md": b"", "onnx/model.onnx": b"", "onnx/config.json": b"{}", "tf_model.h5": b""}
    models = {
        "owner/tiny": {**own, **beside, "model.safetensors": weights, "pytorch_model.bin": b""},
        "owner/old": {**own, **beside, "pytorch_model.bin": b"older"},
        "owner/bare": {**own, **beside},
    }
    questions = [("owner/tiny", ""), ("owner/tiny", COMMIT), ("owner/old", ""), ("owner/none", "")]
    with serve(models) as hub:
        online = locations(
            [*questions, ("owner/bare", ""), ("owner/tiny", "dev")], cache, HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="0"
        )
        fetched = [*hub.fetched]
    return Course(online, locations(questions, cache, HF_HUB_OFFLINE="1"), fetched)


class TestHub:
    def test_what_an_encoder_needs_is_downloaded_once(self, course: Course, source: Path) -> None:
        folder, revision, own = course.online["owner/tiny", ""]
        assert revision == Path(folder).name == COMMIT
        assert own == identity(source)
        assert course.online["owner/tiny", COMMIT] == [folder, revision, own]
        files = sorted(name for model, name in course.fetched if model == "owner/tiny")
        assert files == ["config.json", "model.safetensors", "vocab.txt"]

    def test_older_weights_will_do(self, course: Course) -> None:
        files = sorted(name for model, name in course.fetched if model == "owner/old")
        assert files == ["config.json", "pytorch_model.bin", "vocab.txt"]

    def test_the_cache_needs_no_network(self, course: Course) -> None:
        for question in [("owner/tiny", ""), ("owner/tiny", COMMIT), ("owner/old", "")]:
            assert course.offline[question] == course.online[question]
            assert len(course.offline[question]) == 3

    @pytest.mark.parametrize(
        ("name", "revision", "reason"),
        [
            ("owner/bare", "", "owner/bare on the hub must have weights"),
            ("owner/none", "", "owner/none is no folder here, and the hub does not give it: "),
            ("owner/tiny", "dev", "owner/tiny at dev is no folder here, and the hub does not give it: "),
        ],
    )
    def test_what_the_hub_does_not_give(self, course: Course, name: str, revision: str, reason: str) -> None:
        answer = course.online[name, revision]
        assert isinstance(answer, str)
        assert answer.startswith(reason)

    def test_the_message_says_what_to_do(self, course: Course) -> None:
        answer = course.offline["owner/none", ""]
        assert isinstance(answer, str)
        assert "or download it where there is one (hf download owner/none) and give its folder" in answer


class TestPackages:
    def test_one_that_is_missing_is_named_with_its_remedy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "cv2", None)
        message = "--visual faces needs the package opencv-python-headless: pip install 'dclf[extract]'"
        assert missing_packages("--visual faces", ["av", "cv2"]) == [message]
        with pytest.raises(ExtractionError, match="needs the package opencv-python-headless"):
            require("--visual faces", ["cv2"])
        require("reading recordings", ["av"])
