"""What every importer must do with a small source of its kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from dclf.data import SPLITS, read_shards, validate_dialogue, validate_shards
from dclf.data.importers import import_dataset, importer_named, importer_options


class ImporterContract:
    """Derive a class whose name begins with ``Test``, set its attributes and write ``source``."""

    name: ClassVar[str]
    """As ``dclf data import`` has it: the entry point's name or the class path."""

    options: ClassVar[Mapping[str, Any]] = {}
    """The importer's own keyword arguments."""

    def source(self, folder: Path) -> Path:
        """Write a small source with dialogues of all three splits, and return its place.

        Args:
            folder: empty; files that ``options`` name may be written there too.
        """
        raise NotImplementedError(f"{type(self).__name__} must have a method source that writes a small source")

    @pytest.fixture
    def small_source(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """What ``source`` writes, in the folder that the process then works in."""
        monkeypatch.chdir(tmp_path)
        return self.source(tmp_path)

    def test_its_options_are_its_own(self) -> None:
        """``options`` names parameters of the function, which all have defaults."""
        assert set(self.options) <= set(importer_options(importer_named(self.name)))

    def test_dialogues_are_sound(self, small_source: Path) -> None:
        """They have the classes, widths and speakers that are announced, no number that is not finite, and ids."""
        info, dialogues = importer_named(self.name)(small_source, **self.options)
        every = list(dialogues)
        problems = [problem for dialogue in every for problem in validate_dialogue(dialogue, info)]
        assert not problems
        assert len({dialogue.dialogue_id for dialogue in every}) == len(every)
        assert {dialogue.split for dialogue in every} == set(SPLITS)

    def test_shards_are_valid(self, small_source: Path, tmp_path: Path) -> None:
        """``dclf data validate`` has nothing against them."""
        import_dataset(self.name, small_source, tmp_path / "shards", **self.options)
        assert validate_shards(tmp_path / "shards").problems == ()

    def test_the_same_source_gives_the_same_shards(self, small_source: Path, tmp_path: Path) -> None:
        """What is drawn, such as a held-out split, comes of a seed."""
        first, second = (
            import_dataset(self.name, small_source, tmp_path / name, **self.options) for name in ("first", "second")
        )
        assert first.sha256 == second.sha256

    def test_the_provenance_says_what_was_read(self, small_source: Path, tmp_path: Path) -> None:
        """It is kept with the shards, and names the importer."""
        import_dataset(self.name, small_source, tmp_path / "shards", **self.options)
        provenance = read_shards(tmp_path / "shards").info.provenance
        assert provenance.get("importer")
        assert json.loads(json.dumps(provenance)) == provenance

    def test_a_source_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        """By an error that a command line shows without a traceback."""
        absent = tmp_path / "no-such-source"
        with pytest.raises((ValueError, OSError), match="no-such-source"):
            import_dataset(self.name, absent, tmp_path / "shards", **self.options)
