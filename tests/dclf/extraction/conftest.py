"""What the tests of extraction share: an encoder with real weights."""

import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all-MiniLM-L6-v2, which its package carries as an archive."""
    with redirect_stdout(io.StringIO()):  # the package speaks when it is imported and when it unpacks
        from all_minilm_l6_v2 import get_model_path  # type: ignore[import-untyped]  # noqa: PLC0415

        return Path(get_model_path(output_dir=str(tmp_path_factory.mktemp("minilm"))))
