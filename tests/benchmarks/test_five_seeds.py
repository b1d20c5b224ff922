"""What ``benchmarks/five_seeds.py`` trains, keeps and prints."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.five_seeds import VARIANTS, arguments_of, identity, jobs, key, read_lines, table, train
from dclf.data import generate, write_shards
from dclf.objective import Objective
from tune.analysis.statistics import holm, paired


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("five") / "shards"
    info, dialogues = generate("iemocap-small", 24)
    write_shards(dialogues, folder, info)
    return str(folder)


def words(shards: str, *more: str) -> list[str]:
    return [shards, "--preset", "iemocap", "--models", "mmgcn", "--seeds", "1", "--epochs", "1", "--draws", "1", *more]


def test_a_variant_is_what_its_row_says(shards: str) -> None:
    every = {job[1]: job[2].loss for job in jobs(arguments_of(words(shards, "--variants", ",".join(VARIANTS))))}
    assert every.keys() == VARIANTS.keys()
    terms = {
        name: {one for one, weight in Objective(loss, ["text"]).weights.items() if weight}
        for name, loss in every.items()
    }
    heads = {"ce", "unimodal/text"}
    assert terms["base"] == {"ce"}
    assert terms["heads_ica"] == heads
    assert terms["no_cacl"] == heads | {"mc/text"}
    assert terms["no_mccl"] == {"ce", "ca"}
    assert terms["dclf"] == terms["eq10_0.1"] == heads | {"mc/text", "ca"}
    assert {name for name, loss in every.items() if loss.uses_ica} == {*every} - {"base", "no_mccl", "no_ica"}
    assert {loss.denominator for name, loss in every.items() if name.startswith("eq10")} == {"negatives"}


def test_a_training_is_a_line_that_is_found_again(shards: str, tmp_path: Path) -> None:
    job, other = jobs(arguments_of(words(shards, "--variants", "base,heads_ica")))
    line = train(job)
    (tmp_path / "lines.jsonl").write_text(json.dumps(line) + "\n")
    (same,) = read_lines(tmp_path / "lines.jsonl").items()
    assert same == (key(identity(job)), line)
    assert key(identity(other)) != same[0]
    assert 0 < line["wf1"] < 100
    assert -100 < line["drop"] < 100


def line(variant: str, seed: int, wf1: float) -> dict[str, Any]:
    return {"model": "mmgcn", "variant": variant, "seed": seed, "wf1": wf1, "shift": wf1 - 10, "drop": 20.0}


def test_differences_are_paired_by_seed_and_corrected_for_the_rows_of_the_model() -> None:
    scores = {"base": (60.0, 61.0, 59.5), "no_cacl": (62.0, 63.5, 62.1), "dclf": (62.2, 63.4, 62.9)}
    lines = [line(name, seed, value) for name, values in scores.items() for seed, value in enumerate(values)]
    rows = table(lines, list(scores), "no_cacl", ["wf1"]).splitlines()[2:]
    reference = dict(enumerate(scores["no_cacl"]))
    tests = [paired(dict(enumerate(scores[name])), reference) for name in ("base", "dclf")]
    p = holm([test.p for test in tests])
    assert rows == [
        f"| mmgcn | base model | 3 | 60.17 ± 0.76 | -2.37 ({p[0]:.4f}) |",
        "| mmgcn | w/o CACL | 3 | 62.53 ± 0.84 |  |",
        f"| mmgcn | DCLF | 3 | 62.83 ± 0.60 | +0.30 ({p[1]:.4f}) |",
    ]


def test_an_unknown_variant_is_told(shards: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments_of(words(shards, "--variants", "base,no_x"))
    assert "has no_x" in capsys.readouterr().err
