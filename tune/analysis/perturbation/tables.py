"""The tables of perturbation tests, laid out as the paper's Tables 1 and 6: WF1 in percent, the drop in brackets."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from dclf.config import Config
from dclf.prose import quantity
from tune.analysis.comparison.differences import Difference
from tune.analysis.comparison.number_text import drop_text
from tune.analysis.comparison.paper import ABLATE, MODEL
from tune.analysis.comparison.tables import difference_cells, differences_note
from tune.analysis.comparison.variants import NAMES, Variant
from tune.analysis.perturbation.paper import SCORES, comparable_scores
from tune.analysis.perturbation.scores import ModelScores, Perturbations
from tune.analysis.table import Table, latex_table, markdown_escape, markdown_table
from tune.study.scores import WF1

KINDS = {"cut": "up to the target", "eccs": "ECCS", "eics": "EICS"}
_CSV = (
    "trial", "model", "variant", "seed", "condition", "kind", "modality", "share", "draws", "wf1", "wf1_std", "drop",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PerturbedVariant:
    """A variant of a study, or the one of a run, and what its trainings came to.

    Attributes:
        variant: the variant.
        trainings: seed -> scores.
        paper: ``raw``, ``eccs`` and ``eics`` -> the paper's WF1 in [0, 1]; empty where it has no such row.
        against: its EICS drop against that of the base model over shared seeds; None where there is no test.
    """

    variant: Variant
    trainings: Mapping[int, ModelScores]
    paper: Mapping[str, float] = field(default_factory=dict)
    against: Difference | None = None

    def values(self, name: str, *, by_draw: bool) -> Sequence[float]:
        """Return WF1 of a condition by seed, or by draw of the only one, as far as it was tested."""
        tested = [one for one in self.trainings.values() if name == "raw" or name in one.conditions]
        if by_draw and tested and name != "raw":
            return tested[0].score(name).values
        return [one.wf1(name) for one in tested]

    def drop(self, name: str) -> float:
        """Return the mean of a condition's drop over seeds; NaN where it was not tested."""
        drops = [one.drop(name) for one in self.trainings.values() if name in one.conditions]
        return fmean(drops) if drops else math.nan

    def paper_drop(self, name: str) -> float:
        """Return the paper's drop; NaN where it has none."""
        return self.paper.get("raw", math.nan) - self.paper.get(name, math.nan)


def run_row(scores: Perturbations, config: Config, shards: str) -> PerturbedVariant:
    """Return the row of a run: a variant with one seed.

    Args:
        scores: of the run.
        config: of the run.
        shards: folder or URI of the data it is tested on; the paper's numbers stand beside those on its own.
    """
    model, part = config.model.name, config.loss.ablate
    published = comparable_scores(config, shards) if scores.split == "test" else {}
    variant = Variant(
        trial=0,
        model=model,
        name=NAMES.get(part, part),
        params={MODEL: model, ABLATE: part},
        part=part,
        validation={},
        test={},
        published={},
        reference=False,
    )
    trainings = {one.training_seed: one for one in scores.trainings}
    return PerturbedVariant(variant=variant, trainings=trainings, paper=published)


def substitution_table(scores: Perturbations, rows: Sequence[PerturbedVariant], data: str = "") -> Table | None:
    """Return raw, ECCS and EICS with their drops, and the EICS drop against the base model's.

    Arrows mark the drop as the paper does. None where no substitution was tested.

    Args:
        scores: what the rows are of.
        rows: in the order of the table.
        data: behind the paper's numbers where they are of other data.
    """
    kinds = [kind for kind in KINDS if any(not math.isnan(row.drop(kind)) for row in rows)]
    if not kinds:
        return None
    against = [row.against for row in rows if row.against is not None]
    testing = any(one.paired is not None and one.paired.tested for one in against)
    published = any(row.paper for row in rows)
    head = ("model", "variant", "seeds", "raw", *(KINDS[kind] for kind in kinds))
    head += ("EICS drop vs base", *(("95 % interval", "p") if testing else ())) if against else ()
    head += (f"paper raw{data}", f"paper ECCS{data}", f"paper EICS{data}") if published else ()
    by_draw = one_seed(rows)
    cells = [
        (
            *(row.variant.model, row.variant.name, str(len(row.trainings))),
            *(_mean(row, name, by_draw=by_draw) for name in ("raw", *kinds)),
            *(difference_cells(_against(row), testing=testing, effect=False) if against else ()),
            *(_published(row) if published else ()),
        )
        for row in rows
    ]
    notes = [_DRAWS] if by_draw and scores.draws > 1 else []
    notes += [differences_note(against, "EICS drops")] if against else []
    return Table(
        title=f"{_title(scores)} and substituted contexts ({_draws(scores)})",
        head=head,
        rows=tuple(cells),
        numeric=2,
        note=" ".join(notes),
    )


_DRAWS = "One seed: ± is the deviation over draws and says nothing of training seeds."


def corruption_table(scores: Perturbations, rows: Sequence[PerturbedVariant]) -> Table | None:
    """Return WF1 with missing and noisy modalities, a row per share of the utterances; None where none was tested."""
    damaged = {
        (condition.modality, condition.kind, condition.share): name
        for row in rows
        for training in row.trainings.values()
        for name, condition in training.conditions.items()
        if condition.share is not None
    }
    if not damaged:
        return None
    kinds = list(dict.fromkeys((modality, kind) for modality, kind, _ in damaged))
    shares = sorted({share for *_, share in damaged if share is not None})
    by_draw = one_seed(rows)
    return Table(
        title=f"{_title(scores)} and damaged modalities ({_masks(scores)})",
        head=("model", "variant", "utterances hit", "raw", *(f"{modality}, {kind}" for modality, kind in kinds)),
        rows=tuple(
            (
                *(row.variant.model, row.variant.name, f"{100 * share:g} %", _mean(row, "raw", by_draw=by_draw)),
                *(_mean(row, damaged.get((*kind, share), ""), by_draw=by_draw) for kind in kinds),
            )
            for row in rows
            for share in shares
        ),
        numeric=2,
    )


def scores_csv(rows: Sequence[PerturbedVariant]) -> str:
    """Return one line per training and condition, WF1, its deviation over draws, and drops in [0, 1]."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        for seed, training in sorted(row.trainings.items()):
            model = {"trial": training.trial, "model": row.variant.model, "variant": row.variant.name, "seed": seed}
            raw = {"condition": "raw", "kind": "raw", "draws": 1, "wf1": training.raw, "drop": 0.0}
            writer.writerow({**model, **raw})
            writer.writerows({**model, "condition": one.name, **one.to_dict()} for one in training.scores)
    return text.getvalue()


def table_texts(tables: Sequence[Table], title: str) -> dict[str, str]:
    """Return ``table.md`` and ``table.tex``.

    Args:
        tables: at least one.
        title: of the run or study, for LaTeX's labels.
    """
    latex = [latex_table(table, f"tab:perturbation-{title}-{number}") for number, table in enumerate(tables, 1)]
    return {
        "table.md": "\n\n".join(f"{markdown_escape(t.title)}.\n\n{markdown_table(t)}" for t in tables) + "\n",
        "table.tex": "\n".join(latex),
    }


def one_seed(rows: Sequence[PerturbedVariant]) -> bool:
    """Whether there are no seeds to take a deviation over."""
    return all(len(row.trainings) == 1 for row in rows)


def _against(row: PerturbedVariant) -> Difference:
    return row.against or Difference(variant=row.variant)


def _mean(row: PerturbedVariant, name: str, *, by_draw: bool) -> str:
    """``63.70 ± 0.42 (↓3.70)``; a dash where it was not tested."""
    values = row.values(name, by_draw=by_draw)
    if not values:
        return "–"
    return WF1.mean_text(values) + ("" if name == "raw" else f" {drop_text(row.drop(name))}")


def _published(row: PerturbedVariant) -> Iterator[str]:
    if not row.paper:
        yield from ("–", "–", "–")
        return
    yield WF1.number(row.paper["raw"])
    yield from (f"{WF1.number(row.paper[kind])} {drop_text(row.paper_drop(kind))}" for kind in SCORES[1:])


def _title(scores: Perturbations) -> str:
    first = scores.trainings[0]
    data = f"{first.dataset} ({first.utterances} utterances)"
    return f"WF1 (%) of {scores.kind} {scores.name} on the {first.split} split of {data}, raw"


def _masks(scores: Perturbations) -> str:
    """``masks of seed 3``, or every seed where damages have their own."""
    seeds = scores.mask_seeds
    return f"masks of seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _draws(scores: Perturbations) -> str:
    return f"{quantity(scores.draws, 'draw')} with seed {scores.trainings[0].seed}"
