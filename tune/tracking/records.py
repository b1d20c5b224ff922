"""What a run records, as writes: its configuration, data, epochs and results."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from dclf.config import Config
from dclf.labels import is_own_tag
from dclf.training.reports import EpochReport, FinalReport, Optimism
from tune.tracking.redact import clean, without_secrets
from tune.tracking.writes import Write, history, metrics, now_ms, stamp, text, text_values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFIG_FILE = "config.yaml"
CARD_FILE = "feature_card.json"
EPOCH_METRIC, SECONDS_METRIC = "epoch", "epoch_seconds"
"""A metric that every epoch has: its last value is the last epoch that a run knows."""
BEST_EPOCH_METRIC = "best/epoch"
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""Libyaml's, several times as fast, where PyYAML was built with it: every trial has such a file."""
_NOT_IN_NAMES = re.compile(r"[^\w\-. :/]")


def config_params(config: Config) -> dict[str, Any]:
    """Dotted key -> value without passwords; dictionaries of options become keys of their own."""
    flat: dict[str, Any] = {}
    for key, value in config.flat().items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{name}": clean(item) for name, item in value.items()}
        else:
            flat[key] = clean(value)
    return flat


def config_yaml(config: Config) -> str:
    """The configuration as a file for ``dclf train``, without passwords."""
    return yaml.dump(clean(config.to_dict()), Dumper=_DUMPER, sort_keys=False, allow_unicode=True)


def run_name(config: Config, card: Mapping[str, Any] | None) -> str:
    """The configured name, or dataset, model and what of DCLF is left out."""
    if config.track.name:
        return config.track.name
    shards = without_secrets(config.data.shards).rstrip("/").rpartition("/")[2]
    dataset = str((card or {}).get("dataset") or shards)
    method = {"none": "dclf"}.get(config.loss.ablate, config.loss.ablate)
    return "-".join(part for part in (dataset, config.model.name, method) if part)


def user_tags(config: Config) -> list[Write]:
    """The tags that the user gave, without passwords, in writes of their own: what MLflow refuses takes none of ours.

    Studies of earlier versions may have some with names of ours, which are left out.
    """
    return text_values("tags", {tag: text for tag, text in clean(config.track.tags).items() if not is_own_tag(tag)})


def dataset_write(config: Config, card: Mapping[str, Any]) -> Write:
    """The shards as a dataset input of the run: their hash, place, features and sizes."""
    digest = str(
        card.get("sha256") or hashlib.sha256(json.dumps(card, sort_keys=True, default=str).encode()).hexdigest()
    )
    dataset = {
        "name": str(card.get("dataset", "shards"))[:500],
        "digest": digest[:32],
        "source_type": "local" if "://" not in config.data.shards else config.data.shards.partition(":")[0],
        "source": json.dumps({"uri": without_secrets(config.data.shards)}),
        "schema": json.dumps({"mlflow_tensorspec": {"features": _tensors(card), "targets": None}}),
        "profile": json.dumps(_sizes(card), default=str),
    }
    return Write("dataset", {"dataset": dataset, "context": "training"})


def _tensors(card: Mapping[str, Any]) -> str:
    """Feature matrices in the form of MLflow's tensor schemas."""
    return json.dumps(
        [
            {"name": modality, "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, width]}}
            for modality, width in card.get("widths", {}).items()
        ]
    )


def _sizes(card: Mapping[str, Any]) -> dict[str, Any]:
    return {key: card[key] for key in ("class_names", "speaker_count", "splits", "sha256") if key in card}


def metric_names(values: Mapping[str, float], prefix: str) -> dict[str, float]:
    """Prefixed, with what MLflow does not take in a name (a class called ``joy!``) as an underscore.

    Where that makes names equal (``joy!`` and ``joy?``) the second ends in ``_2``, whatever the order of the values.
    """
    by_name: dict[str, float] = {}
    for key in sorted(values, key=lambda key: (_NOT_IN_NAMES.search(key) is not None, key)):
        name = free = _NOT_IN_NAMES.sub("_", f"{prefix}/{key}")
        number = 2
        while free in by_name:
            free, number = f"{name}_{number}", number + 1
        by_name[free] = float(values[key])
    return by_name


def epoch_write(report: EpochReport) -> Write:
    """A finished epoch, at the time it ended: however often it is sent, MLflow keeps it once."""
    return metrics(epoch_metrics(report), report.epoch, stamp(report.ended))


def history_writes(reports: Sequence[EpochReport]) -> list[Write]:
    """Finished epochs in one write, but for those of earlier versions, which kept no time; none where none are left."""
    timed = [epoch_write(report) for report in reports if report.ended]
    return [history(timed)] if timed else []


def epoch_stamp(final: FinalReport, epoch: int) -> int:
    """When an epoch of a finished run ended, as MLflow counts: the time of results that belong to it."""
    ended = final.history[epoch - 1].ended if epoch else 0.0
    return stamp(ended) if ended else now_ms()


def epoch_metrics(report: EpochReport) -> dict[str, float]:
    """``loss/<term>``, ``val/<score>``, number and duration, and ``peeked_test/<score>`` where it looked at test.

    ``system/<what>`` is where MLflow's own monitor, which ends at the first request that a server leaves unanswered,
    would put the use of the machine: the UI shows it apart from the scores.

    MLflow shows the last value of a metric: of ``val/<score>`` the last epoch's, of ``best_metrics`` the best one's.
    """
    return {
        **metric_names(report.losses, "loss"),
        **metric_names(report.validation, "val"),
        **metric_names(report.peeked, "peeked_test"),
        **best_metrics(report),
        **metric_names(report.machine, "system"),
        EPOCH_METRIC: float(report.epoch),
        SECONDS_METRIC: report.seconds,
    }


def best_metrics(report: EpochReport) -> dict[str, float]:
    """The best validation WF1 so far and its epoch: what a run is ranked by, whatever ends it.

    ``best/val_eccs/wf1``, ``best/val_eics/wf1`` and ``best/val_shift/wf1`` after epochs that they are scored after.
    """
    robust = metric_names({f"val_{name}": value for name, value in report.robust.items()}, "best")
    return {"best/val_wf1": report.best_wf1, BEST_EPOCH_METRIC: float(report.best_epoch), **robust}


def test_metrics(final: FinalReport) -> dict[str, float]:
    """``test/<score>``; none where the test split was not scored."""
    return metric_names(final.splits["test"].scores, "test") if "test" in final.splits else {}


def paper_metrics(optimism: Optimism) -> dict[str, float]:
    """Scores of the epoch that test chose, in [0, 1], that epoch, and the optimism gap in percentage points."""
    scores = {f"paper/test_{name}": optimism.scores[name] for name in ("wf1", "wa")}
    return {**scores, "paper/epoch": float(optimism.epoch), "paper/optimism_gap": optimism.gap}


def best_epoch(final: FinalReport) -> int:
    """The epoch whose model was scored; 0 without a history."""
    return final.history[-1].best_epoch if final.history else 0


def confusion_write(split: str, class_names: Sequence[str], confusion: Sequence[Sequence[int]]) -> Write:
    """A split's confusion matrix [C][C] with its class names, rows true and columns predicted, as a file of the run."""
    matrix = {"classes": list(class_names), "rows": "true", "confusion": confusion}
    return text(f"results/confusion_{split}.json", json.dumps(matrix, indent=1))


def card_json(card: Mapping[str, Any]) -> str:
    """The feature card as an artifact, without passwords."""
    return json.dumps(clean(dict(card)), indent=1, default=str)


def figures(final: FinalReport) -> dict[str, Figure]:
    """Learning curves, and a confusion matrix per split, by file name."""
    from dclf.figures import confusion_figure, learning_curves  # noqa: PLC0415 - imports matplotlib

    by_name = {"learning_curves": learning_curves(final.history)} if final.history else {}
    for split, report in final.splits.items():
        by_name[f"confusion_{split}"] = confusion_figure(report.confusion, final.class_names, f"{split} split")
    return by_name
