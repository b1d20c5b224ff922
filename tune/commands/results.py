"""Prints what a run or an evaluation found, for people or as one line of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dclf.config import Config
from dclf.modalities import SCORED_SPLITS
from dclf.paper_data import unlike_paper
from dclf.training.reports import FinalReport, SplitReport
from tune.analysis.table import aligned
from tune.commands.options import print_json
from tune.progress.texts import optimism_text, paper_result, percent

if TYPE_CHECKING:
    from tune.runs import TrainedRun


def run_result(run: TrainedRun) -> dict[str, Any]:
    """A finished run as JSON has it: ids, checkpoint, the scores of ``val`` and ``test`` in [0, 1], and ``paper``."""
    best = best_epoch(run.final)
    splits = {name: dict(split.scores) for name, split in run.final.splits.items()}
    return {
        "run_id": run.run_id,
        "name": run.name,
        "checkpoint": run.checkpoint,
        "tracking_uri": run.tracking_uri,
        "best_epoch": best,
        **splits,
        **paper_result(run.final),
    }


def best_epoch(final: FinalReport) -> int | None:
    """The epoch whose model was scored; None for a run that trained no epoch."""
    return final.history[-1].best_epoch if final.history else None


def published_wf1(config: Config) -> float | None:
    """The test WF1, in percent, that ``published`` gives for this model and ablation.

    Those of Tables 3 and 4; of a base model on one modality that of Table 1, where it is in there.
    """
    try:
        tables = config.published[config.model.name]
        if config.loss.ablate != "base":
            return float(tables["table4"][config.loss.ablate])
        alone = len(config.data.modalities) == 1 and "table1" in tables
        return float(tables["table1"]["raw"] if alone else tables["table3"]["base"]["wf1"])
    except (KeyError, TypeError, ValueError):  # users' own files may say nothing, or other things
        return None


def published_result(config: Config) -> dict[str, Any]:
    """Key ``published`` as JSON has it: the test WF1 in percent, or None and why it is not of these data."""
    published = published_wf1(config)
    if published is None:
        return {}
    if reasons := unlike_paper(config):
        return {"published": {"test_wf1": None, "reasons": list(reasons)}}
    return {"published": {"test_wf1": published, "dataset": config.published["dataset"]}}


def print_run(run: TrainedRun, config: Config, *, as_json: bool) -> None:
    """The result of ``dclf train``, beside the published one where that is of these data; the test WF1 comes last."""
    if as_json:
        print_json({**run_result(run), **published_result(config)})
        return
    print(f"run         {run.name} ({run.run_id})")
    print(f"checkpoint  {run.checkpoint}")
    print(f"tracked at  {run.tracking_uri}")
    if (published := published_wf1(config)) is not None:
        if reasons := unlike_paper(config):
            print(f"published   none for these data: {'; '.join(reasons)}")
        else:
            print(f"published   test WF1 {published:.2f} on {config.published['dataset']}")
    if (optimism := run.final.optimism) is not None:
        print(f"not sealed  {optimism_text(optimism)}")
    for name in SCORED_SPLITS:
        if name in run.final.splits:
            print(f"{name} WF1 {percent(run.final.splits[name].scores['wf1'])}", flush=True)


def print_split(report: SplitReport, class_names: list[str], *, as_json: bool) -> None:
    """The result of ``dclf evaluate``: scores per class, the confusion matrix, the WF1 last."""
    if as_json:
        print_json(
            {
                "split": report.split,
                "utterances": report.utterances,
                "scores": dict(report.scores),
                "confusion": report.confusion,
                "class_names": class_names,
            }
        )
        return
    print(f"{report.split}: {report.utterances} utterances; rows are true classes, columns what was predicted")
    rows = [("", *class_names, "F1")]
    for name, counts in zip(class_names, report.confusion, strict=True):
        rows.append((name, *map(str, counts), percent(report.scores[f"f1/{name}"])))
    print(*aligned(rows, right=range(1, len(rows[0]))), sep="\n")
    for side, words in (("no_shift", "without emotion shift"), ("shift", "with emotion shift")):
        if (key := f"{side}/wf1") in report.scores:
            print(f"{report.split} WF1 {words} {percent(report.scores[key])}")
    print(f"{report.split} WA {percent(report.scores['wa'])}")
    print(f"{report.split} WF1 {percent(report.scores['wf1'])}", flush=True)
