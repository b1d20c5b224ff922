"""The files of a perturbation test: results per utterance, scores and tables.

PARENT/<hash of the shards>/substitutions     what every model meets, a file per draw
PARENT/<hash of the shards>/runs/<run>/test   results.arrow, summary.json, scores.csv, table.md, table.tex
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from dclf.perturb import Outcome
from tune.analysis.perturbation.kept import RESULTS, SUMMARY
from tune.analysis.perturbation.report import PerturbationReport
from tune.analysis.perturbation.tables import tables
from tune.analysis.table import Table
from tune.config.local_files import whole

_DIGITS = 16
_COLUMNS = ("name", "kind", "modality", "share", "draws", "wf1", "wf1_std", "drop")


@dataclass(frozen=True)
class SuiteFolder:
    """The folder of one shard set.

    Attributes:
        path: ``PARENT/<the first digits of the shards' hash>``.
    """

    path: Path

    @classmethod
    def make(cls, parent: Path | str, shards_sha256: str) -> SuiteFolder:
        """Find or create it.

        Raises:
            OSError: it cannot be written.
        """
        made = cls(Path(parent) / shards_sha256[:_DIGITS])
        try:
            made.substitutions.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                f"{made.path}: must be a folder that can be written, cannot ({error.strerror}); make it writable, or "
                "choose another one with --out"
            ) from error
        return made

    @property
    def substitutions(self) -> Path:
        """Folder of the draws."""
        return self.path / "substitutions"

    def results(self, run_id: str, split: str) -> Path:
        """Folder of what a run came to."""
        return self.path / "runs" / run_id / split


def write_results(report: PerturbationReport, folder: Path) -> list[Path]:
    """Write results, scores and tables, over those of an earlier test; their paths, that of the results first.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _arrow(results_table(report), folder / RESULTS),
        *(write_text(folder / name, text) for name, text in _texts(report)),
    ]


def write_training(report: PerturbationReport, folder: Path, facts: Mapping[str, Any]) -> None:
    """Keep the test of one training of a study: results, then the summary, which says that they are whole.

    Args:
        report: what the test found.
        folder: from ``tune.analysis.perturbation.kept.training_folder``.
        facts: further entries of the summary.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # An older summary would vouch for the newer results.
    (folder / SUMMARY).unlink(missing_ok=True)
    _arrow(results_table(report), folder / RESULTS)
    write_text(folder / SUMMARY, json.dumps({**report.to_dict(), **facts}, indent=1) + "\n")


def results_table(report: PerturbationReport) -> pa.Table:
    """One row per condition, draw and utterance.

    Columns: ``dialogue_id``; ``utterance``, its place from 0; ``kind``; ``modality`` and ``share`` of the damage, null
    for substitutions; ``draw`` from 0; ``label``, ``raw_prediction`` and ``prediction``, places in the class names. The
    schema's metadata has the key ``dclf-perturbation``: JSON with run, model, shards, split, seed and ``class_names``.
    """
    raw, *others = report.outcomes
    facts = {
        name: getattr(report, name)
        for name in ("run_id", "run_name", "model", "dataset", "shards_sha256", "split", "seed")
    }
    facts["class_names"] = list(raw.class_names)
    joined = pa.concat_tables([_rows(outcome, raw) for outcome in others]).unify_dictionaries()
    return joined.replace_schema_metadata({"dclf-perturbation": json.dumps(facts)})


def _rows(outcome: Outcome, raw: Outcome) -> pa.Table:
    table, said, count = outcome.to_table(), outcome.condition, len(outcome.targets)
    return pa.table(
        {
            "dialogue_id": table["dialogue_id"],
            "utterance": table["position"],
            "kind": _repeated(said["kind"], pa.string(), count).dictionary_encode(),
            "modality": _repeated(said.get("modalities"), pa.string(), count).dictionary_encode(),
            "share": _repeated(said.get("share"), pa.float64(), count),
            "draw": _repeated(said.get("draw", 0), pa.int32(), count),
            "label": table["target"],
            "raw_prediction": pa.array(raw.predictions, pa.int32()),
            "prediction": table["prediction"],
        }
    )


def _repeated(value: object, kind: pa.DataType, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, kind), count)


def _texts(report: PerturbationReport) -> Iterator[tuple[str, str]]:
    yield SUMMARY, json.dumps(report.to_dict(), indent=1) + "\n"
    yield "scores.csv", _csv(report)
    yield from table_texts(list(tables(report)), report.run_name)


def table_texts(made: Sequence[Table], name: str) -> Iterator[tuple[str, str]]:
    """``table.md`` and ``table.tex`` with some tables.

    Args:
        made: the tables.
        name: whose they are, for LaTeX's labels.
    """
    # Imported here: templates and pandas, for the files alone.
    from tune.analysis.table import (  # noqa: PLC0415
        latex_table,
        markdown_escape,
        markdown_table,
    )

    yield "table.md", "\n\n".join(f"{markdown_escape(t.title)}.\n\n{markdown_table(t)}" for t in made) + "\n"
    latex = [latex_table(t, f"tab:perturbation-{name}-{number}") for number, t in enumerate(made, 1)]
    yield "table.tex", "\n".join(latex).replace("↓", r"$\downarrow$").replace("↑", r"$\uparrow$")


def _csv(report: PerturbationReport) -> str:
    """One row per condition, WF1 as shares."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerow({"name": "raw", "kind": "raw", "draws": 1, "wf1": report.raw, "drop": 0.0})
    writer.writerows(score.to_dict() for score in report.scores)
    return text.getvalue()


def _arrow(table: pa.Table, path: Path) -> Path:
    with whole(path) as file, pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write a text file, whole or not at all; its path."""
    with whole(path) as file:
        file.write_text(text, encoding="utf-8")
    return path
