import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters
from torch.nn.modules.module import register_module_forward_hook

from dclf.config import SEED_LIMIT, Ablation, Config
from dclf.data import emotion_shifts, generate, read_shards, write_shards
from dclf.data.dialogue import Dialogue
from dclf.data.errors import DataError
from dclf.data.reader import ShardSet
from dclf.models.framework import DCLF
from dclf.objective import NonFiniteLossError
from dclf.training.device import resolve_device
from dclf.training.local import LocalSource
from dclf.training.loop import train
from dclf.training.reports import EpochReport, FinalReport

NARROW: dict[str, dict[str, int]] = {
    "mmgcn": {"hidden": 12, "node_width": 16, "layers": 2},
    "ddin": {"encoder_width": 12, "history_width": 12, "party_width": 12, "emotion_width": 8},
    "dialogue_rnn": {"encoder_width": 12, "history_width": 12, "party_width": 12, "emotion_width": 8},
    "aghmn": {"encoder_width": 12, "width": 12, "window": 4},
}
"""Sizes for tests in which the width of the model is of no account."""


class Recorder:
    def __init__(self) -> None:
        self.reports: list[EpochReport] = []
        self.states: list[dict[str, Any]] = []

    def epoch(self, report: EpochReport, state: dict[str, Any]) -> None:
        self.reports.append(report)
        self.states.append(deepcopy(state))


class SpySource(LocalSource):
    asked: list[str]

    def dialogues(self, split: str) -> Iterator[Dialogue]:
        self.asked.append(split)
        return super().dialogues(split)


def run(config: Config, shards: ShardSet, **kwargs: Any) -> FinalReport:
    return train(config, LocalSource(shards, config.data.modalities), shards, **kwargs)


def timeless(report: FinalReport) -> dict[str, Any]:
    data = report.to_dict()
    for epoch in data["history"]:
        epoch["seconds"] = epoch["ended"] = 0.0
        epoch["machine"] = {}
    return data


def with_(config: Config, section: str, **values: Any) -> Config:
    return replace(config, **{section: replace(getattr(config, section), **values)})


@pytest.mark.slow
def test_a_run_learns_and_reports_both_splits_and_so_does_one_that_does_not_fit_the_cache(
    config: Config, enough: ShardSet
) -> None:
    config = with_(config, "train", epochs=12)
    final = run(config, enough)
    assert [report.epoch for report in final.history] == list(range(1, 13))
    assert final.history[-1].losses["ce"] < 0.7 * final.history[0].losses["ce"]
    for split in ("val", "test"):
        report = final.splits[split]
        assert report.utterances == len(enough.index(split).labels)
        assert sum(map(sum, report.confusion)) == report.utterances
    assert final.splits["val"].scores["wf1"] == pytest.approx(max(r.validation["wf1"] for r in final.history))
    assert set(final.history[0].losses) == {"total", "ce", "ca", "mc", "unimodal"}
    streamed = run(with_(config, "data", cache_mb=0), enough)
    assert streamed.splits["test"].utterances == final.splits["test"].utterances
    assert streamed.history[-1].losses["ce"] == pytest.approx(final.history[-1].losses["ce"], rel=0.25)
    assert streamed.history[-1].losses["ce"] < 0.7 * streamed.history[0].losses["ce"]


@pytest.mark.parametrize("name", ["mmgcn", "ddin"])
def test_a_seed_repeats_a_run_exactly(config: Config, shards: ShardSet, name: str) -> None:
    config = with_(config, "model", name=name, options=NARROW[name])
    config = with_(config, "train", epochs=2)
    first, second = run(config, shards), run(config, shards)
    assert timeless(first) == timeless(second)
    other = run(with_(config, "train", seed=2), shards)
    assert timeless(other) != timeless(first)


def test_the_largest_seeds_train(config: Config, shards: ShardSet) -> None:
    last, before = (
        run(with_(config, "train", epochs=1, seed=seed), shards) for seed in (SEED_LIMIT - 1, SEED_LIMIT - 2)
    )
    assert timeless(last) != timeless(before)


@pytest.mark.parametrize("pairs", ["bank", "batch"])
def test_resuming_equals_never_having_stopped(config: Config, shards: ShardSet, pairs: str) -> None:
    config = with_(config, "loss", pairs=pairs)
    config = with_(config, "train", epochs=4)
    whole = Recorder()
    final = run(config, shards, reporter=whole)
    resumed = run(config, shards, state=whole.states[1])
    assert timeless(resumed) == timeless(final)


def test_another_trainings_checkpoint_goes_on_with_this_ones_values(config: Config, shards: ShardSet) -> None:
    whole = Recorder()
    run(with_(config, "train", epochs=2), shards, reporter=whole)
    other = with_(with_(config, "train", lr=0.0, weight_decay=0.0, epochs=2), "loss", gamma_ca=0.0)
    state = deepcopy(whole.states[0])
    goes_on = Recorder()
    run(other, shards, reporter=goes_on, state=state)
    before, after = state["model"], goes_on.states[-1]["model"]
    assert all(torch.equal(before[name], after[name]) for name in before), "nothing moves at a learning rate of 0"


def test_other_shards_than_the_checkpoints_are_refused(config: Config, shards: ShardSet, tmp_path: Path) -> None:
    recorder = Recorder()
    run(with_(config, "train", epochs=1), shards, reporter=recorder)
    info, dialogues = generate("iemocap-small", 24, seed=4)
    write_shards(dialogues, tmp_path / "anew", info)
    anew = read_shards(tmp_path / "anew")
    with pytest.raises(DataError, match=r"anew must hold the shards that the run began with, .* bring the first ones"):
        run(config, anew, state=recorder.states[0])
    before = {key: value for key, value in recorder.states[0].items() if key != "shards_sha256"}
    assert len(run(config, shards, state=before).history) == config.train.epochs, "of a version that kept no hash"


def test_no_password_travels_with_a_checkpoint(config: Config, shards: ShardSet) -> None:
    recorder = Recorder()
    tracked = with_(config, "track", uri="https://user:hunter2@host")
    run(with_(tracked, "train", epochs=1), shards, reporter=recorder)
    assert "hunter2" not in str(recorder.states[0]["config"])
    assert Config.from_dict(recorder.states[0]["config"]).loss == config.loss


def test_resuming_a_finished_run_only_scores_it(config: Config, shards: ShardSet) -> None:
    recorder = Recorder()
    final = run(config, shards, reporter=recorder)
    again = Recorder()
    assert timeless(run(config, shards, reporter=again, state=recorder.states[-1])) == timeless(final)
    assert again.reports == []


def test_the_test_split_stays_sealed_until_the_end(config: Config, shards: ShardSet) -> None:
    SpySource.asked = []
    source = SpySource(shards, config.data.modalities)
    snapshots: list[list[str]] = []

    class Listener:
        def epoch(self, report: EpochReport, state: dict[str, Any]) -> None:
            snapshots.append(list(source.asked))

    train(config, source, shards, reporter=Listener())
    assert all("test" not in splits for splits in snapshots)
    assert source.asked.count("test") == 1


@pytest.mark.parametrize("ablate", get_args(Ablation))
def test_every_ablation_trains_with_its_terms_only(config: Config, shards: ShardSet, ablate: str) -> None:
    config = with_(config, "loss", ablate=ablate)
    losses = run(with_(config, "train", epochs=1), shards).history[0].losses
    expected = {"total", "ce"}
    expected |= {"ca"} if config.loss.uses_context_contrast else set()
    expected |= {"mc", "unimodal"} if config.loss.uses_modality_contrast else set()
    assert set(losses) == expected


@pytest.mark.parametrize(
    ("name", "modalities"), [("mmgcn", ("text",)), ("ddin", ("audio", "visual")), ("mmgcn", ("visual", "text"))]
)
def test_any_subset_of_modalities_trains(
    config: Config, shards: ShardSet, name: str, modalities: tuple[str, ...]
) -> None:
    config = with_(config, "data", modalities=modalities)
    config = with_(config, "model", name=name, options=NARROW[name], causal=False)
    assert run(with_(config, "train", epochs=1), shards).splits["test"].utterances > 0


def test_bf16_stays_near_full_precision(config: Config, shards: ShardSet) -> None:
    config = with_(config, "train", epochs=1)
    full = run(config, shards).history[0].losses["ce"]
    mixed = run(with_(config, "train", precision="bf16"), shards).history[0].losses["ce"]
    assert mixed == pytest.approx(full, rel=0.05)
    assert mixed != full


def test_bf16_trains_and_full_precision_scores(config: Config, shards: ShardSet) -> None:
    config = with_(with_(config, "loss", ablate="base"), "train", epochs=1, precision="bf16")
    calls = set()

    def note(module: nn.Module, *_: Any) -> None:
        if isinstance(module, DCLF):
            calls.add((module.training, torch.is_autocast_enabled("cpu")))

    hook = register_module_forward_hook(note)
    try:
        run(config, shards)
    finally:
        hook.remove()
    assert calls == {(True, True), (False, False)}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # torch's own look
def test_compiled_training_gives_the_same_losses(config: Config, shards: ShardSet) -> None:
    config = with_(config, "model", options={**config.model.options, "layers": 1, "dropout": 0.0})
    config = with_(with_(config, "data", modalities=("text", "audio")), "train", epochs=1)
    eager = run(config, shards).history[0].losses
    counters.clear()
    compiled = run(with_(config, "train", compile=True), shards).history[0].losses
    assert counters["frames"]["ok"] > 0
    assert compiled == pytest.approx(eager, rel=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # torch's own look
def test_compiled_training_with_dropout_has_a_finite_loss(config: Config, shards: ShardSet) -> None:
    config = with_(config, "model", options={**config.model.options, "layers": 1, "dropout": 0.3})
    config = with_(with_(config, "data", modalities=("text",)), "loss", ablate="base")
    losses = run(with_(config, "train", epochs=1, compile=True), shards).history[0].losses
    assert losses
    assert all(math.isfinite(loss) for loss in losses.values())


def test_patience_stops_a_run_that_no_longer_improves(config: Config, shards: ShardSet) -> None:
    config = with_(config, "train", epochs=50, lr=1e-9, patience=2)
    assert len(run(config, shards).history) < 10


def test_a_loss_that_is_not_finite_is_named(config: Config, shards: ShardSet) -> None:
    with pytest.raises(NonFiniteLossError, match=r"loss term .*ce.* must be finite.*epoch"):
        run(with_(config, "train", lr=1e30), shards)


def test_class_weights_change_the_loss(config: Config, shards: ShardSet) -> None:
    config = with_(config, "train", epochs=1)
    plain = run(config, shards).history[0].losses["ce"]
    weighted = run(with_(config, "loss", class_weights="balanced"), shards).history[0].losses["ce"]
    assert plain != pytest.approx(weighted, rel=1e-6)


def test_a_window_longer_than_any_dialogue_works(config: Config, shards: ShardSet) -> None:
    config = with_(config, "loss", window=500)
    assert run(with_(config, "train", epochs=1), shards).history[0].losses["ca"] > 0


def test_dialogues_of_one_utterance_train(config: Config, shards: ShardSet, tmp_path: Path) -> None:
    """No history, so no context contrast, for every third dialogue; then for all of them."""
    for step in (3, 1):
        cut = (first_utterances(d, 1 if n % step == 0 else len(d)) for n, d in enumerate(shards))
        write_shards(cut, tmp_path / str(step), shards.info)
        epoch = run(with_(config, "train", epochs=1), read_shards(tmp_path / str(step))).history[0]
        assert all(math.isfinite(value) for value in epoch.losses.values())
        assert (epoch.losses["ca"] > 0) == (step == 3)


def first_utterances(dialogue: Dialogue, count: int) -> Dialogue:
    return replace(
        dialogue,
        speakers=dialogue.speakers[:count],
        labels=dialogue.labels[:count],
        utterances=dialogue.utterances[:count],
        features={modality: matrix[:count] for modality, matrix in dialogue.features.items()},
    )


@pytest.mark.parametrize("model", ["mmgcn", "ddin"])
def test_all_zero_feature_rows_train(config: Config, shards: ShardSet, tmp_path: Path, model: str) -> None:
    zero = (replace(d, features={**d.features, "audio": 0 * d.features["audio"]}) for d in shards)
    write_shards(zero, tmp_path / "zero", shards.info)
    config = with_(with_(config, "model", name=model, options=NARROW[model]), "train", epochs=1)
    losses = run(config, read_shards(tmp_path / "zero")).history[0].losses
    assert all(math.isfinite(value) for value in losses.values())


def test_a_modality_the_shards_lack_is_refused_before_work(config: Config, shards: ShardSet, tmp_path: Path) -> None:
    info = replace(shards.info, widths={"text": shards.info.widths["text"]})
    write_shards((replace(d, features={"text": d.features["text"]}) for d in shards), tmp_path / "text", info)
    text_only = read_shards(tmp_path / "text")
    source = LocalSource(text_only, ("text",))
    with pytest.raises(DataError, match=r"audio must be in the shards.*leave it out"):
        train(config, source, text_only)


def test_an_empty_split_is_refused_before_work(config: Config, shards: ShardSet, tmp_path: Path) -> None:
    write_shards((d for d in shards if d.split != "val"), tmp_path / "no-val", shards.info)
    without = read_shards(tmp_path / "no-val")
    with pytest.raises(DataError, match=r"split 'val'.*is empty"):
        run(config, without)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the machine has a GPU")
def test_a_gpu_where_none_is_is_refused(config: Config, shards: ShardSet) -> None:
    with pytest.raises(ValueError, match=r"train\.device"):
        run(with_(config, "train", device="gpu"), shards)


def test_cudnn_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=True):
        assert resolve_device("auto").type == "cuda"
        assert not torch.backends.cudnn.allow_tf32


def test_utterances_with_emotion_shift_are_scored_apart(config: Config, shards: ShardSet) -> None:
    final = run(config, shards)
    dialogues = list(LocalSource(shards, config.data.modalities).dialogues("test"))
    count = sum(int(emotion_shifts(d.labels, d.speakers).sum()) for d in dialogues)
    scores, total = final.splits["test"].scores, final.splits["test"].utterances
    assert 0 < count < total
    assert {"shift/wf1", "no_shift/wf1"} <= scores.keys()
    # WF1 of the whole lies between those of its parts, but for how classes mix.
    low, high = sorted((scores["shift/wf1"], scores["no_shift/wf1"]))
    assert low - 0.1 < scores["wf1"] < high + 0.1
    assert not any("shift" in name for report in final.history for name in report.validation)


def test_every_epoch_tells_what_it_used_of_the_machine(config: Config, shards: ShardSet) -> None:
    assert all(report.machine["process_memory_usage_megabytes"] > 0 for report in run(config, shards).history)
    silent = run(with_(config, "track", system_metrics=False), shards)
    assert not any(report.machine for report in silent.history)
