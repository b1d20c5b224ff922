"""The one training loop: in process, on Ray Train workers, inside a trial.

Order of a run: one pass over the training split for the feature statistics (which also fills the cache), one forward
pass that fills the memory bank, then epochs of steps and a validation each; at the end the best epoch's model is
scored on validation and, once, on test.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dclf.bank import MemoryBank
from dclf.config import Config
from dclf.data.batch import Batch
from dclf.data.reader import ShardSet
from dclf.data.statistics import FeatureStatistics, Standardiser
from dclf.losses import Term
from dclf.models.framework import DCLF
from dclf.negatives import EmotionIndex
from dclf.objective import Objective, balanced_class_weights, check_finite
from dclf.pairs import PairSampler
from dclf.training.batches import MIB, batches, lockstep, shuffled, worker_batch_size
from dclf.training.checkpoint import load_weights
from dclf.training.curriculum import Curriculum
from dclf.training.device import autocast, resolve_device, rng_state, set_rng_state
from dclf.training.evaluation import evaluate_split
from dclf.training.machine import MachineUse
from dclf.training.preflight import check_same_shards, check_shards
from dclf.training.progress import Progress
from dclf.training.reports import EpochReport, FinalReport, SplitReport
from dclf.training.robustness import RobustScores
from dclf.training.run_cache import RunCache, beginning_of
from dclf.training.source import Reporter, Silent, Source
from dclf.training.workers import Workers


def train(
    config: Config,
    source: Source,
    shards: ShardSet,
    *,
    reporter: Reporter | None = None,
    state: dict[str, Any] | None = None,
    score: Sequence[str] = ("val", "test"),
) -> FinalReport:
    """Train, validate and finally test one model.

    Called by every worker; torch.distributed, where initialised, joins them.

    Args:
        config: the run; ``config.problems()`` is empty.
        source: this worker's share of the dialogues.
        shards: the whole shard set, for its labels and description; features are read through ``source`` only.
        reporter: hears of every epoch and gets the state to checkpoint.
        state: a loaded checkpoint to go on from.
        score: the splits on which the best epoch's model is scored at the end; a search leaves test sealed.

    Returns:
        The same report on every worker.

    Raises:
        DataError: the shards lack a split or modality the run needs, hold a dialogue that is not valid, or are others
            than the checkpoint's.
        NonFiniteLossError: a loss term became NaN or infinite.
        ValueError: a GPU is asked for where none is.
    """
    check_shards(shards, config.data.modalities, perturb=config.train.perturb_every > 0)
    if state is not None:
        check_same_shards(shards, state)
    run = TrainingRun(config, source, shards)
    run.prepare() if state is None else run.restore(state)
    listener = reporter or Silent()
    while not run.progress.finished:
        report = run.epoch()
        listener.epoch(report, run.state())
    return run.conclude(score)


class TrainingRun:
    """A run step by step, for callers that stop between epochs; ``train`` is the whole of it.

    Call ``prepare`` or ``restore`` first, then ``epoch`` until ``progress.finished``, then ``conclude``.

    Args:
        config: the run.
        source: this worker's share of the dialogues.
        shards: the whole shard set.
        cache: shared with other runs over the same data; this worker is then the only one.
    """

    def __init__(self, config: Config, source: Source, shards: ShardSet, cache: RunCache | None = None) -> None:
        self.config = config
        self.info = shards.info
        self.workers = Workers(resolve_device(config.train.device))
        # Where it is tracked is no part of the training, and its URI may hold a password.
        self._described = {
            "config": {**config.to_dict(), "track": {}},
            "info": shards.info.to_dict(),
            "shards_sha256": shards.manifest.sha256,
        }
        self._cache = cache
        self.splits = (cache or RunCache(source, shards.info)).splits(config)
        self.batch_size = worker_batch_size(config, self.workers.rank, self.workers.size)
        self.index = shards.index("train")
        buckets = config.train.curriculum
        self.curriculum = Curriculum(self.index, buckets) if buckets else None
        torch.manual_seed(config.train.seed)
        self.model = DCLF(self.info, config.data.modalities, config.model, config.loss).to(self.workers.device)
        if config.train.compile:
            self.model.compile_layers()
        self.optimiser = torch.optim.Adam(
            self.model.parameters(), lr=config.train.lr, weight_decay=config.train.weight_decay, fused=True
        )
        self.bank, self.pairs = self._context_pairs()
        auxiliary = {} if self.model.auxiliary is None else self.model.auxiliary.weights
        self.objective = Objective(config.loss, self.model.modalities, self._class_weights(), auxiliary)
        whole_from = 0 if self.curriculum is None else len(self.curriculum.buckets)
        self.progress = Progress(epochs=config.train.epochs, patience=config.train.patience, whole_from=whole_from)
        self.robust_scores: RobustScores | None = None
        if config.train.perturb_every:
            self.robust_scores = RobustScores(self.info, shards.index("val"), self.splits["val"], self.workers)
        self.machine = MachineUse(self.workers.device) if config.track.system_metrics else None
        # Weights must start equal on all workers, dropout must not be.
        # Far apart for neighbouring seeds, and within what torch takes for large ones.
        torch.manual_seed((config.train.seed * 1_000_003 + self.workers.rank) % 2**63)

    def _context_pairs(self) -> tuple[MemoryBank | None, PairSampler | None]:
        loss, seed = self.config.loss, self.config.train.seed
        if not loss.uses_context_contrast:
            return None, None
        if loss.pairs == "batch":
            return None, PairSampler(loss.window, seed)
        bank = MemoryBank(len(self.index.labels), self.model.state_width).to(self.workers.device)
        emotions = EmotionIndex(self.index.labels, self.index.lengths)
        return bank, PairSampler(loss.window, seed, bank, emotions)

    def _class_weights(self) -> Tensor | None:
        if self.config.loss.class_weights == "none":
            return None
        labels = torch.from_numpy(self.index.labels.astype("int64"))
        return balanced_class_weights(labels, len(self.info.class_names)).to(self.workers.device)

    def prepare(self) -> None:
        """Feature statistics and the memory bank's first filling."""
        statistics = FeatureStatistics({m: self.info.widths[m] for m in self.model.modalities})
        for dialogue in self.splits["train"]:
            statistics.accumulate(dialogue)
        first, *others = self.workers.gather(statistics)
        for share in others:
            first.merge(share)
        standardiser = Standardiser.of(first.finalise())
        self.model.standardise.load_state_dict(standardiser.state_dict())
        if self.bank is None:
            return
        if self._cache is None:
            self._fill_bank(self.bank)
            return
        beginning = beginning_of(self.config, self.model, self.batch_size, self.workers.device)
        filling = self._cache.filling(beginning)
        if filling is not None:
            self.bank.restore(filling)
        else:
            self._fill_bank(self.bank)
            self._cache.keep_filling(beginning, self.bank)

    def _fill_bank(self, bank: MemoryBank) -> None:
        self.model.eval()
        self._write_states(bank, iter(self.splits["train"]))
        bank.turn()

    def _write_states(self, bank: MemoryBank, dialogues: Iterator[Any]) -> None:
        """Write the states that the model gives these dialogues as it is."""
        for batch in lockstep(self._batches(dialogues), self.workers):
            states = None
            if batch is not None:
                with torch.no_grad(), autocast(self.config.train.precision, self.workers.device):
                    states = self.model(batch.features, batch.speakers, batch.layout, batch.present).state
            self._refresh(bank, batch, states)

    def _refresh(self, bank: MemoryBank, batch: Batch | None, states: Tensor | None) -> None:
        if batch is None or states is None:
            positions = torch.zeros(0, dtype=torch.int64, device=self.workers.device)
            states = torch.zeros(0, self.model.state_width, device=self.workers.device)
        else:
            positions = batch.positions
        bank.synchronise(positions, states)

    def _batches(self, dialogues: Iterator[Any]) -> Iterator[Batch]:
        for batch in batches(dialogues, self.batch_size, self.model.modalities, self.index):
            yield batch.to(self.workers.device)

    def epoch(self) -> EpochReport:
        """One pass over the training split, then validation, then whatever scores are asked for that choose nothing."""
        started = time.perf_counter()
        epoch = self.progress.epoch + 1
        losses = self.train_epoch(epoch)
        validation = self._evaluate("val", shifts=False)
        improved = self.progress.record(epoch, validation.scores["wf1"])
        if improved:
            self.progress.best_model = {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items()}
        # After the choice, and scoring draws nothing: a sealed run of the same seed trains and chooses alike.
        test_scores = self._evaluate("test", shifts=False).scores if self.config.train.looks_at_test else {}
        robust = self._robust()
        report = EpochReport(
            epoch=epoch,
            epochs=self.config.train.epochs,
            losses=losses,
            validation=validation.scores,
            best_epoch=self.progress.best_epoch,
            best_wf1=self.progress.best_wf1,
            peeked=test_scores,
            robust=robust,
            confusion=validation.confusion,
            machine={} if self.machine is None else self.machine.look(),
            seconds=time.perf_counter() - started,
            ended=round(time.time(), 3),
        )
        self.progress.history.append(report)
        return report

    def _robust(self) -> Mapping[str, float]:
        """Scores of the best model so far under substituted contexts, where this epoch is one to score after."""
        progress, every = self.progress, self.config.train.perturb_every
        if self.robust_scores is None or (progress.epoch % every and not progress.finished):
            return {}
        last = next((report for report in reversed(progress.history) if report.robust), None)
        if last is not None and last.best_epoch == progress.best_epoch:
            return last.robust
        own = None
        if progress.best_epoch != progress.epoch:
            own = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
            self.model.load_state_dict(progress.best_model)
        scores = self.robust_scores.of(self.model)
        if own is not None:
            self.model.load_state_dict(own)
        return scores

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """One pass over the training split, or what the curriculum has come to of it; means of the loss terms."""
        self.model.train()
        data, seed = self.config.data, self.config.train.seed
        ids = None if self.curriculum is None else self.curriculum.dialogues(epoch)
        order = shuffled(self.splits["train"], seed, epoch, data.shuffle_mb * MIB, ids)
        totals = dict.fromkeys(self.objective.weights, 0.0)
        counts = dict.fromkeys(self.objective.weights, 0.0)
        for step, batch in enumerate(lockstep(self._batches(order), self.workers), start=1):
            step_totals, step_counts = self._step(batch, epoch, step)
            for name in totals:
                totals[name] += step_totals[name]
                counts[name] += step_counts[name]
        if self.bank is not None:
            if ids is not None and len(ids) < len(self.index.dialogue_ids):
                # Also of the dialogues that wait, so that all pairs of an epoch are of one age.
                waiting = (dialogue for dialogue in self.splits["train"] if dialogue.dialogue_id not in ids)
                self._write_states(self.bank, waiting)
            self.bank.turn()
        return self.objective.summary(totals, counts)

    def _step(self, batch: Batch | None, epoch: int, step: int) -> tuple[dict[str, float], dict[str, float]]:
        terms, states = ({}, None) if batch is None else self._forward(batch, epoch)
        totals, counts = self._over_workers(terms)
        check_finite(totals, f"in epoch {epoch}, step {step}")
        self.optimiser.zero_grad(set_to_none=True)
        # A step without a labelled utterance on any worker has no loss, and moves nothing.
        if any(counts.values()):
            self._descend(terms, counts)
        if self.bank is not None:
            self._refresh(self.bank, batch, states)
        return totals, counts

    def _descend(self, terms: dict[str, Term], counts: dict[str, float]) -> None:
        if terms:
            self.objective.mean(terms, counts).backward()
        self.workers.sum_gradients(self.model.parameters())
        if self.config.train.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.train.clip_norm)
        self.optimiser.step()

    def _forward(self, batch: Batch, epoch: int) -> tuple[dict[str, Term], Tensor]:
        pairs = None if self.pairs is None else self.pairs.pairs(batch, epoch)
        with autocast(self.config.train.precision, self.workers.device):
            output = self.model(batch.features, batch.speakers, batch.layout, batch.present)
            terms = self.objective.terms(self.model, output, batch, pairs)
        return terms, output.state.detach()

    def _over_workers(self, terms: dict[str, Term]) -> tuple[dict[str, float], dict[str, float]]:
        """Totals and counts of every term, summed over the workers in one message."""
        names = list(self.objective.weights)
        pairs = [(terms[n].total.detach(), terms[n].count) if n in terms else (0.0, 0.0) for n in names]
        sums = self.workers.sum(torch.tensor([[float(t), float(c)] for t, c in pairs], dtype=torch.float64)).tolist()
        return {n: s[0] for n, s in zip(names, sums, strict=True)}, {n: s[1] for n, s in zip(names, sums, strict=True)}

    def _evaluate(self, split: str, *, shifts: bool) -> SplitReport:
        collated = batches(iter(self.splits[split]), self.batch_size, self.model.modalities)
        # In full precision also where bf16 trains: whoever scores or asks the finished model later has the same.
        return evaluate_split(self.model, collated, self.workers, split, self.info.class_names, shifts=shifts)

    def state(self) -> dict[str, Any]:
        """Everything a later process needs to go on as if nothing had happened; complete on rank 0."""
        rng = self.workers.gather(rng_state(self.workers.device))
        if self.workers.rank != 0:
            return {}
        model, progress = self.model.state_dict(), self.progress.state()
        if self.progress.best_epoch == self.progress.epoch:
            # The same tensors: the file holds them once.
            progress["best_model"] = model
        return {
            **self._described,
            "model": model,
            "optimiser": self.optimiser.state_dict(),
            "rng": rng,
            "bank": None if self.bank is None else self.bank.state_dict(),
            "progress": progress,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint; other workers than before is fine, their dropout then differs.

        The checkpoint may be another configuration's where the shapes are the same: population based training goes on
        with its own learning rate and weight decay.
        """
        self.splits["train"].fill()
        load_weights(self.model, state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        for group in self.optimiser.param_groups:
            group.update(lr=self.config.train.lr, weight_decay=self.config.train.weight_decay)
        if self.bank is not None:
            self.bank.restore(state["bank"])
        self.progress.restore(state["progress"])
        if self.workers.rank < len(state["rng"]):
            set_rng_state(state["rng"][self.workers.rank], self.workers.device)

    def conclude(self, score: Sequence[str] = ("val", "test")) -> FinalReport:
        """Score the best epoch's model on these splits."""
        self.model.load_state_dict(self.progress.best_model)
        return FinalReport(
            class_names=list(self.info.class_names),
            history=self.progress.history,
            splits={split: self._evaluate(split, shifts=True) for split in score},
        )
