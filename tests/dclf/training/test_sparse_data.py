"""Whole runs on dialogues of which some utterances lack a label or features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dclf.config import Config
from dclf.data import Dialogue, emotion_shifts, read_shards, write_shards
from dclf.data.batch import Batch, collate
from dclf.data.reader import ShardSet
from dclf.inference import Predictor
from dclf.metrics import classification_scores, shift_scores
from dclf.models.framework import DCLF
from dclf.objective import balanced_class_weights
from dclf.pairs import PairSampler
from dclf.training.evaluation import score_predictor
from dclf.training.local import LocalSource
from dclf.training.loop import TrainingRun, train
from tests.dclf.sparse import made_sparse, total_loss


@pytest.fixture(scope="module")
def sparse(shards: ShardSet, tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    folder = tmp_path_factory.mktemp("sparse") / "set"
    write_shards(made_sparse(shards), folder, shards.info)
    return read_shards(folder)


def one_step_an_epoch(config: Config, shards: ShardSet) -> Config:
    """No dropout, the whole split in a batch, every term in the loss."""
    return replace(
        config,
        data=replace(config.data, shards=str(shards.path)),
        model=replace(config.model, options={**config.model.options, "dropout": 0.0}),
        loss=replace(config.loss, pairs="batch", class_weights="balanced"),
        train=replace(config.train, epochs=3, batch_size=500),
    )


def moments(dialogues: list[Dialogue], modality: str) -> tuple[torch.Tensor, torch.Tensor]:
    rows = np.concatenate([d.features[modality][d.present.get(modality, slice(None))] for d in dialogues])
    wide = rows.astype(np.float64)
    return torch.from_numpy(wide.mean(axis=0)), torch.from_numpy(wide.std(axis=0))


def batch_of(dialogues: list[Dialogue], modalities: tuple[str, ...]) -> Batch:
    batch = collate(dialogues, modalities)
    double = {m: x.double() for m, x in batch.features.items()}
    return replace(batch, features=double, positions=torch.arange(batch.layout.utterances))


def standing_model(config: Config, shards: ShardSet, dialogues: list[Dialogue]) -> DCLF:
    """As a run begins, in float64, with the moments of the rows that are there."""
    torch.manual_seed(config.train.seed)
    model = DCLF(shards.info, config.data.modalities, config.model, config.loss).double()
    for modality in model.modalities:
        mean, std = moments(dialogues, modality)
        model.standardise.get_buffer(f"{modality}_mean").copy_(mean)
        model.standardise.get_buffer(f"{modality}_std").copy_(std)
    return model


@pytest.mark.slow
def test_losses_and_scores_are_those_of_a_loop_that_leaves_the_unlabelled_out(config: Config, sparse: ShardSet) -> None:
    config = one_step_an_epoch(config, sparse)
    run = TrainingRun(config, LocalSource(sparse, config.data.modalities), sparse)
    run.prepare()
    dialogues, validation = list(sparse.select("train")), list(sparse.select("val"))
    model = standing_model(config, sparse, dialogues)
    batch = batch_of(dialogues, config.data.modalities)
    weights = balanced_class_weights(batch.labels[batch.labels >= 0], len(sparse.info.class_names)).double()
    optimiser = torch.optim.Adam(model.parameters(), lr=config.train.lr, weight_decay=config.train.weight_decay)
    for epoch in (1, 2, 3):
        report = run.epoch()
        output = model.train()(batch.features, batch.speakers, batch.layout, batch.present)
        pairs = PairSampler(config.loss.window, config.train.seed).pairs(batch, epoch)
        loss = total_loss(model, output, batch, pairs, config.loss, weights)
        for name, value in loss.items():
            assert report.losses[name] == pytest.approx(value.item(), rel=1e-3), (epoch, name)
        optimiser.zero_grad()
        loss["total"].backward()
        optimiser.step()
    scored = batch_of(validation, config.data.modalities)
    predicted = model.predict(scored).argmax(1).numpy()
    labels = scored.labels.numpy()
    labelled = [i for i in range(len(labels)) if labels[i] >= 0]
    expected = classification_scores(labels[labelled], predicted[labelled], sparse.info.class_names)
    assert report.validation == pytest.approx(expected, abs=0.02)


def test_scores_and_shifts_speak_of_labelled_utterances(config: Config, sparse: ShardSet) -> None:
    config = replace(config, data=replace(config.data, shards=str(sparse.path)))
    final = train(config, LocalSource(sparse, config.data.modalities), sparse)
    dialogues = list(sparse.select("test"))
    labels = np.concatenate([d.labels for d in dialogues])
    report = final.splits["test"]
    assert report.utterances == np.sum(report.confusion) == np.count_nonzero(labels >= 0) < len(labels)
    shifts = [emotion_shifts(d.labels, d.speakers) for d in dialogues]
    assert not np.concatenate(shifts)[labels < 0].any()
    targets = labels[labels >= 0]
    shifting = np.concatenate(shifts)[labels >= 0]
    perfect = shift_scores(targets, targets, shifting, sparse.info.class_names)
    assert perfect == {"shift/wf1": 1.0, "no_shift/wf1": 1.0}
    assert {"shift/wf1", "no_shift/wf1"} <= set(report.scores)


def test_a_stored_model_scores_as_the_run_did(config: Config, sparse: ShardSet) -> None:
    config = replace(config, data=replace(config.data, shards=str(sparse.path)))
    run = TrainingRun(config, LocalSource(sparse, config.data.modalities), sparse)
    run.prepare()
    while not run.progress.finished:
        run.epoch()
    final = run.conclude()
    predictor = Predictor(config, sparse.info, run.model.state_dict())
    assert score_predictor(predictor, sparse, "test").scores == pytest.approx(final.splits["test"].scores)


def test_unlabelled_utterances_are_heard_by_the_others(config: Config, sparse: ShardSet) -> None:
    run = TrainingRun(config, LocalSource(sparse, config.data.modalities), sparse)
    run.prepare()
    whole = next(d for d in sparse.select("train") if d.labels[0] < 0 and (d.labels[1:] >= 0).any())
    other = replace(whole, features={m: np.concatenate([x[:1] + 3, x[1:]]) for m, x in whole.features.items()})
    first, second = (run.model.predict(collate([d], config.data.modalities)) for d in (whole, other))
    assert not torch.allclose(first[1:], second[1:])


def test_a_step_without_a_label_moves_nothing(config: Config, sparse: ShardSet, tmp_path: Path) -> None:
    dialogues = list(sparse)
    bare = next(n for n, d in enumerate(dialogues) if d.split == "train" and (d.labels < 0).all())
    config = replace(config, train=replace(config.train, batch_size=1))
    run = TrainingRun(config, LocalSource(sparse, config.data.modalities), sparse)
    run.prepare()
    before = {name: p.clone() for name, p in run.model.state_dict().items()}
    batch = collate([dialogues[bare]], config.data.modalities, run.index)
    totals, counts = run._step(batch, 1, 1)
    assert not any(totals.values())
    assert not any(counts.values())
    assert all(torch.equal(before[name], p) for name, p in run.model.state_dict().items())
    assert not run.optimiser.state


def test_a_modality_that_no_training_utterance_has_is_refused(config: Config, shards: ShardSet, tmp_path: Path) -> None:
    without = [
        replace(
            d,
            features={**d.features, "audio": np.zeros_like(d.features["audio"])},
            present={"audio": np.zeros(len(d), np.bool_)},
        )
        for d in shards
    ]
    write_shards(without, tmp_path / "set", shards.info)
    silent = read_shards(tmp_path / "set")
    with pytest.raises(ValueError, match=r"every training utterance lacks audio features: leave the modality out"):
        train(config, LocalSource(silent, config.data.modalities), silent)
