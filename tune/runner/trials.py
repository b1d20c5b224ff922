"""Runs a study's trials on Ray: what they read, what they are told, and the engine.

This brings Ray Tune and Ray Data, seconds of importing that a driver does while Ray starts.
"""

from __future__ import annotations

from dataclasses import replace

from cluster.shared_data import shared_source
from cluster.trial_plan import TrialPlan
from dclf.config import Config
from dclf.data.reader import ShardSet
from tune.runner.engine import Engine
from tune.runner.session import Session
from tune.runner.trainable import TrialJob
from tune.search.pruners import deciding_epochs


def run_trials(
    session: Session, config: Config, shards: ShardSet, plan: TrialPlan, *, own_ray: bool
) -> BaseException | None:
    """Run all trials that the session hands out; return what ended the work before its time, if anything did.

    Args:
        session: the driver's work on the study.
        config: the base configuration.
        shards: what the trials read.
        plan: where they run.
        own_ray: this process has started the Ray that it is connected to.

    Raises:
        KeyboardInterrupt: the second Ctrl-C.
        StorageError: the study's folder can no longer be written.
    """
    settings, folder = session.settings, session.folder
    splits, own = config.train.epoch_splits, not plan.workers_per_trial
    job = TrialJob(
        config=replace(config, train=replace(config.train, device=plan.device)).to_dict(),
        folder=folder.address,
        objectives=tuple(settings.objectives),
        workers=plan.workers_per_trial,
        source=shared_source(shards, _modalities(session, config, shards), plan.cache_mb << 20, splits)
        if own
        else None,
        checkpoint_s=settings.checkpoint_s,
        decisions=tuple(deciding_epochs(settings, config.train.epochs)),
    )
    engine = Engine(session, job, slots=[plan.trial_resources], concurrency=plan.concurrency, own_ray=own_ray)
    engine.run()
    return engine.interrupted


def _modalities(session: Session, config: Config, shards: ShardSet) -> tuple[str, ...]:
    """Return the modalities that any trial may use."""
    domain = session.folder.definition.space.get("data.modalities", {})
    modalities = {modality for choice in domain.get("choices", ()) for modality in choice}
    return tuple(m for m in shards.info.modalities if m in {*modalities, *config.data.modalities})
