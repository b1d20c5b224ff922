"""How much better a comparison's variants would look, had their epochs been selected on the test split.

Of studies with ``sweep.test`` all that were trained with ``train.protocol: paper``: the sealed test WF1, that of the
epoch which test itself would have chosen, and the gap between them, over the same seeds.
"""

from __future__ import annotations

from collections.abc import Sequence

from dclf.training.reports import Optimism, optimism
from tune.analysis.comparison.variants import Variant, variants_of
from tune.analysis.table import Table
from tune.study.folder import StudyFolder
from tune.study.history import read_history
from tune.study.scores import WF1

HEAD = ("model", "variant", "seeds", "sealed WF1 (%)", "WF1 where test chose (%)", "gap (points)")


def optimism_table(folder: StudyFolder) -> Table | None:
    """Mean and deviation over seeds of sealed WF1, test-selected WF1 and their gap; None where test stayed sealed."""
    by_variant = [(variant, list(optimism_of(folder, variant).values())) for variant in variants_of(folder)]
    rows = tuple(_row(variant, seeds) for variant, seeds in by_variant if seeds)
    if not rows:
        return None
    title = f"What selecting epochs on the test split would have pretended in study {folder.definition.name}"
    return Table(title=title, head=HEAD, rows=rows, numeric=2)


def optimism_of(folder: StudyFolder, variant: Variant) -> dict[int, Optimism]:
    """Seed -> what selecting on test would have pretended; without the seeds whose epochs did not look at test."""
    histories = {seed: read_history(folder.checkpoint(variant.trial, seed)) for seed in variant.wf1}
    by_seed = {seed: optimism(history, variant.wf1[seed]) for seed, history in histories.items()}
    return {seed: one for seed, one in by_seed.items() if one is not None}


def _row(variant: Variant, seeds: Sequence[Optimism]) -> tuple[str, ...]:
    sealed = WF1.mean_text([one.sealed_wf1 for one in seeds])
    best = WF1.mean_text([one.scores["wf1"] for one in seeds])
    gap = WF1.mean_text([one.gap / 100 for one in seeds])
    return (variant.model, variant.name, str(len(seeds)), sealed, best, gap if gap.startswith("-") else f"+{gap}")
