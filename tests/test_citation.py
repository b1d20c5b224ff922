"""CITATION.cff, which says how to cite the package and the paper."""

from pathlib import Path

import yaml

from dclf import __version__

CITATION = yaml.safe_load((Path(__file__).parents[1] / "CITATION.cff").read_text(encoding="utf-8"))


def test_it_has_what_the_format_asks_for() -> None:
    assert {"cff-version", "message", "title", "authors"} <= CITATION.keys()
    assert CITATION["cff-version"] == "1.2.0"
    assert (CITATION["version"], CITATION["license"]) == (__version__, "MIT")


def test_it_prefers_the_paper() -> None:
    paper = CITATION["preferred-citation"]
    assert paper["type"] == "article"
    assert paper["title"].startswith("A Dual Contrastive Learning Framework")
    assert [author["family-names"] for author in paper["authors"]] == ["Xie", "Sun", "Cao", "Liu", "Ji", "Liu", "Shan"]
