"""The results of a model's test, utterance by utterance, as an Arrow file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pyarrow as pa

from dclf.perturb import Outcome
from dclf.whole_files import whole
from tune.analysis.perturbation.scores import ConditionScore, ModelScores

_FACTS = ("run_id", "run_name", "model", "dataset", "shards_sha256", "split", "seed")


def condition_scores(outcomes: Sequence[Outcome]) -> tuple[ConditionScore, ...]:
    """Return the scores of every condition but the raw one, over its draws.

    Args:
        outcomes: of every condition and draw, the raw one first.
    """
    raw = outcomes[0].scores["wf1"]
    return tuple(
        ConditionScore(
            kind=kind, modality=modality, share=share, values=tuple(draw.scores["wf1"] for draw in draws), raw=raw
        )
        for (kind, modality, share), draws in groupby(outcomes[1:], _identity)
    )


def _identity(outcome: Outcome) -> tuple[str, str, float | None]:
    condition = outcome.condition
    share = condition.get("share")
    return str(condition["kind"]), str(condition.get("modalities", "")), None if share is None else float(share)


def results_table(outcomes: Sequence[Outcome], scores: ModelScores) -> pa.Table:
    """Return one row per condition, draw and utterance.

    Columns: ``dialogue_id``; ``utterance``, its place from 0; ``kind``; ``modality`` and ``share`` of the damage, null
    for substitutions; ``draw`` from 0; ``label``, ``raw_prediction`` and ``prediction``, places in the class names. The
    schema's metadata has the key ``dclf-perturbation``: JSON with run, model, shards, split, seed and ``class_names``.
    """
    raw, *others = outcomes
    facts = {**{name: getattr(scores, name) for name in _FACTS}, "class_names": list(raw.class_names)}
    table = pa.concat_tables([_rows(outcome, raw) for outcome in others]).unify_dictionaries()
    return table.replace_schema_metadata({"dclf-perturbation": json.dumps(facts)})


def _rows(outcome: Outcome, raw: Outcome) -> pa.Table:
    table, condition, count = outcome.to_table(), outcome.condition, len(outcome.targets)
    return pa.table(
        {
            "dialogue_id": table["dialogue_id"],
            "utterance": table["position"],
            "kind": _repeat(condition["kind"], pa.string(), count).dictionary_encode(),
            "modality": _repeat(condition.get("modalities"), pa.string(), count).dictionary_encode(),
            "share": _repeat(condition.get("share"), pa.float64(), count),
            "draw": _repeat(condition.get("draw", 0), pa.int32(), count),
            "label": table["target"],
            "raw_prediction": pa.array(raw.predictions, pa.int32()),
            "prediction": table["prediction"],
        }
    )


def _repeat(value: object, kind: pa.DataType, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, kind), count)


def write_table(table: pa.Table, path: Path) -> None:
    """Write an Arrow file, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    with whole(path) as file, pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
