"""Extractors that ship, and the one of the documentation, keep what ``dclf.testing`` demands of all."""

import importlib
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from dclf.extraction import ExtractorSettings, Utterance
from dclf.extraction.audio import OpenSmileSettings
from dclf.extraction.text import TextSettings
from dclf.testing import ExtractorContract
from tests.dclf.extraction.tiny_encoders import write_encoder

PAGE = Path(__file__).parents[3] / "docs" / "extraction.md"


class TestText(ExtractorContract):
    def settings(self, folder: Path) -> ExtractorSettings:
        return TextSettings(model=str(write_encoder(folder)), pooling="last4")

    def utterances(self, folder: Path) -> Sequence[Utterance]:
        return [Utterance(text=text) for text in ("oh no !", "well", "you know what a day I like it")]


class TestOpenSmile(ExtractorContract):
    @pytest.fixture(autouse=True)
    def _recordings(self, speech: dict[str, Path]) -> None:
        self.speech = speech

    def settings(self, folder: Path) -> ExtractorSettings:
        return OpenSmileSettings(features="egemaps")

    def utterances(self, folder: Path) -> Sequence[Utterance]:
        question = str(self.speech["question"])
        return [
            Utterance(recording=str(self.speech["short"])),
            Utterance(recording=question),
            Utterance(recording=question, start=0.5, end=1.5),
        ]


@pytest.mark.slow
def test_the_page_s_extractor_passes_the_page_s_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, tests = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "counts.py").write_text(module, encoding="utf-8")
    (tmp_path / "test_counts.py").write_text(tests, encoding="utf-8")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_counts.py"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"\b8 passed", ended.stdout), ended.stdout
    monkeypatch.syspath_prepend(tmp_path)
    settings = importlib.import_module("counts").CountSettings()
    rows = settings.resolve().load("cpu").rows([Utterance(text="Oh no!")])
    assert rows[0].tolist() == [2, 1]
