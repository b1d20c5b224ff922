"""A comparison's scores in full precision, for tests of one's own."""

from __future__ import annotations

import csv
import io
import math

from tune.analysis.comparison.variants import variants_of
from tune.study.folder import StudyFolder
from tune.study.scores import value_text
from tune.study.trial_table import param_keys


def variants_csv(folder: StudyFolder) -> str:
    """One line per variant and seed, with all test scores in [0, 1]."""
    variants, keys = variants_of(folder), param_keys(folder)
    names = sorted({name for variant in variants for scores in variant.test.values() for name in scores})
    objective = next(iter(folder.definition.sweep.objectives))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["trial", "model", "variant", *keys, "seed", f"val/{objective}"]
    writer.writerow([*head, *(f"test/{name}" for name in names)])
    for variant in variants:
        params = [value_text(variant.params[key]) if key in variant.params else "" for key in keys]
        for seed, scores in sorted(variant.test.items()):
            own = [variant.trial, variant.model, variant.name, *params, seed, variant.validation.get(seed, math.nan)]
            writer.writerow([*own, *(scores.get(name, math.nan) for name in names)])
    return text.getvalue()
