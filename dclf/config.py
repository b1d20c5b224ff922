"""The configuration of one training run: what every key means, its default, and which values are impossible.

The command line, a notebook and a sweep all build the same ``Config``. ``Config.problems`` lists every impossible
value at once, so that a run is refused before any work starts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from dclf.data.whole_numbers import is_whole
from dclf.extensions import ExtensionError
from dclf.field_kinds import field_kinds, kind_problem, kind_problems, with_defaults
from dclf.labels import label_problems
from dclf.modalities import MODALITIES, SPLITS, Modality
from dclf.models import BASE_MODELS
from dclf.uris import secret_problem

Ablation = Literal["none", "base", "no_cacl", "no_ce", "no_mccl", "no_ica"]
Denominator = Literal["negatives", "all", "khosla"]
JOINT: tuple[tuple[str, ...], ...] = (
    ("model.name", "model.causal", "model.options"),
    ("train.workers", "train.batch_size", "loss.pairs", "loss.ablate"),
)
"""Keys that ``Config.problems`` judges together; it judges every other key by itself.

A search space is proved by this before it starts: a rule over several keys belongs here.
"""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which data to train on.

    Attributes:
        shards: folder or URI (s3://, gs://, file://) of an Arrow shard set.
        modalities: the modalities to use, any non-empty subset of text, audio and visual.
        cache_mb: MiB of decoded dialogues of each split that each worker keeps in memory; a split that does not fit is
            streamed every epoch.
        shuffle_mb: MiB of decoded dialogues among which a streamed epoch is shuffled.
    """

    shards: str = ""
    modalities: tuple[Modality, ...] = ("text", "audio", "visual")
    cache_mb: int = 256
    shuffle_mb: int = 64


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which base model the DCLF framework wears.

    Attributes:
        name: of the base model: one that ships, one of an installed package, or a class path `module:Class`.
        causal: real-time recognition: no prediction depends on a later utterance. False gives the bidirectional
            original, where there is one.
        options: the base model's own hyperparameters (see its Config class), whose defaults hold where absent.
    """

    name: str = "mmgcn"
    causal: bool = True
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """The terms of eq. 11 and the forms the paper leaves open.

    Attributes:
        gamma_ca: weight of the context-aware contrast L_CA.
        gamma_mc: weight of the modality contribution contrast L_MC.
        window: W, how many past utterances an anchor is contrasted with.
        temperature: tau of both contrasts.
        ablate: which part to leave out (Table 4): none, base (plain base model), no_cacl, no_ce (no contextual
            extraction), no_mccl (also drops unimodal heads and ICA) or no_ica.
        pairs: where both sides of a pair come from: bank (a memory bank over the training split, detached) or batch.
        denominator: form of eq. 10: negatives below the fraction bar (to the letter), all pairs below it, or khosla
            (all pairs, and the mean of logarithms of Khosla's supervised contrast).
        mc_denominator: the same of L_MC; negatives is Algorithm 1.
        projection: head of the context contrast on the anchor and on its pairs: none, linear, or mlp of two layers.
        state: what the context contrast compares: graph, the states that context shaped (of MMGCN the graph's outputs),
            or hidden, all that the decoder reads of the base model.
        unimodal_weight: weight of the unimodal heads' cross-entropy.
        ica_width: width of each modality's projection P_m that the decoder sees beside the hidden state.
        class_weights: cross-entropy weights: none, or balanced (inverse class frequency of the training split).
        focal_gamma: exponent of the focal factor (1 - p)^gamma of every cross-entropy; 0 is the plain one.
        terms: further terms, each with its weight: of installed packages by name, or by a class path
            `module:function`; see docs/own-loss.md.
    """

    gamma_ca: float = 0.8
    gamma_mc: float = 0.4
    window: int = 10
    temperature: float = 0.07
    ablate: Ablation = "none"
    pairs: Literal["bank", "batch"] = "bank"
    denominator: Denominator = "all"
    mc_denominator: Denominator = "negatives"
    projection: Literal["none", "linear", "mlp"] = "none"
    state: Literal["graph", "hidden"] = "graph"
    unimodal_weight: float = 1.0
    ica_width: int = 100
    class_weights: Literal["none", "balanced"] = "none"
    focal_gamma: float = 0.0
    terms: dict[str, float] = field(default_factory=dict)

    @property
    def uses_context_contrast(self) -> bool:
        """Whether L_CA is part of the loss; with ``gamma_ca`` 0 it is too, so that the same weights exist."""
        return self.ablate not in ("base", "no_cacl")

    @property
    def uses_modality_contrast(self) -> bool:
        """Whether the unimodal heads, and with them L_MC, exist."""
        return self.ablate not in ("base", "no_mccl")

    @property
    def uses_ica(self) -> bool:
        """Whether the decoder sees the modality projections."""
        return self.uses_modality_contrast and self.ablate != "no_ica"


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to optimise, and on what.

    Attributes:
        epochs: passes over the training split.
        batch_size: dialogues per optimiser step, over all workers together.
        lr: Adam's learning rate.
        weight_decay: Adam's L2 penalty, the lambda of eq. 11.
        workers: training workers, or a pair (min, max) for elastic training.
        cpus_per_worker: CPU slots, and threads, of each worker.
        placement: pack puts the workers of a training on as few machines as have room, spread on as many as there are.
        seed: of initialisation, shuffling, dropout and negatives.
        curriculum: K, buckets into which the training dialogues are cut by their difficulty: epoch e trains on the
            easiest e of them, from epoch K on on all; 0 trains on all from the first.
        patience: epochs without a better validation WF1 before stopping; 0 never stops early.
        perturb_every: epochs between two scorings of the best model so far on the validation split with substituted
            contexts (ECCS, EICS) and on emotion shifts, besides one after the last epoch; 0 for none.
        protocol: sealed scores test once, at the end; paper also looks at it after every epoch, to tell how much
            better selecting on test would look. The epoch is chosen on validation either way.
        clip_norm: upper bound of the gradient's L2 norm; 0 does not clip.
        precision: fp32, or bf16 for mixed precision.
        compile: run encoders, heads and decoder through torch.compile.
        device: auto (GPU where one is), cpu or gpu.
        max_failures: restarts from the last epoch after a lost worker; -1 for no limit.
        storage: folder or URI for checkpoints.
    """

    epochs: int = 60
    batch_size: int = 16
    lr: float = 3e-4
    weight_decay: float = 3e-5
    workers: int | tuple[int, int] = 1
    cpus_per_worker: int = 1
    placement: Literal["pack", "spread"] = "pack"
    seed: int = 0
    curriculum: int = 0
    patience: int = 0
    perturb_every: int = 0
    protocol: Literal["sealed", "paper"] = "sealed"
    clip_norm: float = 0.0
    precision: Literal["fp32", "bf16"] = "fp32"
    compile: bool = False
    device: Literal["auto", "cpu", "gpu"] = "auto"
    max_failures: int = 2
    storage: str = "dclf-runs/checkpoints"

    @property
    def worker_range(self) -> tuple[int, int]:
        """Fewest and most workers; equal unless training is elastic."""
        return self.workers if isinstance(self.workers, tuple) else (self.workers, self.workers)

    @property
    def looks_at_test(self) -> bool:
        """Whether the test split is scored after every epoch."""
        return self.protocol == "paper"

    @property
    def epoch_splits(self) -> tuple[str, ...]:
        """The splits that an epoch reads; a sealed test split is not among them."""
        return SPLITS if self.looks_at_test else ("train", "val")


@dataclass(frozen=True, kw_only=True)
class TrackConfig:
    """Where the run is recorded.

    Attributes:
        uri: MLflow tracking URI; empty takes MLFLOW_TRACKING_URI, then the local SQLite store in dclf-runs.
        experiment: MLflow experiment name.
        name: MLflow run name; empty for one made of dataset, model and ablation.
        tags: further tags of the run, under names of their own: seed, host, command, dclf.*, mlflow.*, version.* and
            hardware.* are taken.
        system_metrics: record after every epoch what processors, memory and GPU of the first worker's machine are used.
    """

    uri: str = ""
    experiment: str = "dclf"
    name: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    system_metrics: bool = True


@dataclass(frozen=True, kw_only=True)
class Config:
    """One training run.

    Attributes:
        data: which data to train on.
        model: which base model.
        loss: the terms of the loss.
        train: how to optimise.
        track: where the run is recorded.
        published: reference results and the dataset they are of, printed beside the measured ones on those data
            alone; no hyperparameters.
    """

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    track: TrackConfig = field(default_factory=TrackConfig)
    published: dict[str, Any] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """Every impossible value, each as ``key: what must hold, what came instead``; empty when the config is sound.

        Checks values only: whether the shards have the modalities is checked where the shards are opened.
        """
        kinds = kind_problems(self, "")
        wrong = list(kinds.values())
        config: Config = with_defaults(self, kinds)
        for section in ("data", "model", "loss", "train", "track"):
            settings = getattr(config, section)
            kinds = kind_problems(settings, f"{section}.")
            wrong += kinds.values()
            config = replace(config, **{section: with_defaults(settings, kinds)})
        judged = {_key(problem) for problem in wrong}
        others = (
            _data_problems(config.data),
            _model_problems(config.model),
            _term_problems(config.loss),
            _range_problems(config, judged),
            _place_problems(config),
            label_problems(config.track.experiment, config.track.name, config.track.tags),
        )
        return wrong + [problem for problems in others for problem in problems if _key(problem) not in judged]

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dictionaries, as they stand in a YAML file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, sections: Mapping[str, Any]) -> Config:
        """The inverse of ``to_dict``; sequences become tuples where the fields are tuples.

        Raises:
            TypeError: a key is unknown.
        """
        parts: dict[str, Any] = {
            "data": DataConfig(**_tuples(sections.get("data", {}), "modalities")),
            "model": ModelConfig(**sections.get("model", {})),
            "loss": LossConfig(**sections.get("loss", {})),
            "train": TrainConfig(**_tuples(sections.get("train", {}), "workers")),
            "track": TrackConfig(**sections.get("track", {})),
        }
        return cls(**{**sections, **parts})

    def flat(self) -> dict[str, Any]:
        """Dotted key -> value, without ``published`` and ``track``: what identifies the training."""
        sections = self.to_dict()
        return {
            f"{section}.{key}": value
            for section in ("data", "model", "loss", "train")
            for key, value in sections[section].items()
        }


def _tuples(section: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {k: tuple(v) if k == key and isinstance(v, list) else v for k, v in section.items()}


def _key(problem: str) -> str:
    return problem.partition(":")[0]


def _place_problems(config: Config) -> Iterator[str]:
    for key, place in (("data.shards", config.data.shards), ("train.storage", config.train.storage)):
        if problem := secret_problem(place):
            yield f"{key}: {problem}"


def _data_problems(data: DataConfig) -> Iterator[str]:
    if not data.shards:
        yield "data.shards: must name a folder or URI of Arrow shards, is empty; make some with `dclf data generate`"
    unknown = [m for m in data.modalities if m not in MODALITIES]
    if not data.modalities or unknown or len(set(data.modalities)) != len(data.modalities):
        yield (
            f"data.modalities: must be a non-empty subset of {', '.join(MODALITIES)} without repeats, "
            f"is {list(data.modalities)}"
        )


def _model_problems(model: ModelConfig) -> Iterator[str]:
    try:
        BASE_MODELS.require_single(model.name)
        if model.name in BASE_MODELS.shipped and model.causal and not model.options:
            # Sound as it stands. To ask the model's class takes torch, and that a second and a half to import.
            return
        from dclf.models.contract import base_model_class  # noqa: PLC0415

        kind = base_model_class(model.name)
    except ExtensionError as error:
        yield f"model.name: {error.reason}"
        return
    if not model.causal and not kind.bidirectional:
        yield f"model.causal: must be true for {model.name}, which reads forwards only, is false"
    if model.causal and not kind.real_time:
        yield f"model.causal: must be false for {model.name}, which has no causal form, is true"
    keys = {f.name for f in fields(kind.Config)}
    unknown = sorted(set(model.options) - keys)
    for key in unknown:
        yield f"model.options.{key}: {model.name} has no such option; it has {', '.join(sorted(keys))}"
    kinds = field_kinds(kind.Config)
    options = {key: value for key, value in model.options.items() if key in keys}
    wrong = {key: problem for key, value in options.items() if (problem := kind_problem(kinds[key], value))}
    yield from (f"model.options.{key}: {problem}" for key, problem in wrong.items())
    if not unknown and not wrong:
        try:
            kind.Config(**model.options)
        except (TypeError, ValueError) as error:
            yield f"model.options: {error}"


def _term_problems(loss: LossConfig) -> Iterator[str]:
    weights: Mapping[str, Any] = loss.terms  # a notebook may give whatever it likes
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
            yield f"loss.terms.{name}: must be a weight of 0 or more and finite, is {weight!r}"
        from dclf.losses.own_terms import loss_term  # noqa: PLC0415 - torch

        try:
            loss_term(name)
        except ExtensionError as error:
            yield f"loss.terms.{name}: {error.reason}"


_AT_LEAST_ONE = (
    "data.shuffle_mb",
    "loss.window",
    "loss.ica_width",
    "train.epochs",
    "train.batch_size",
    "train.cpus_per_worker",
)
_NOT_NEGATIVE = (
    "data.cache_mb",
    "loss.gamma_ca",
    "loss.gamma_mc",
    "loss.unimodal_weight",
    "loss.focal_gamma",
    "train.weight_decay",
    "train.curriculum",
    "train.patience",
    "train.perturb_every",
    "train.clip_norm",
)
_ABOVE_ZERO = ("loss.temperature", "train.lr")
SEED_LIMIT = 2**63
"""How many seeds there are: torch takes more, but no integer beyond is one in MLflow's and NumPy's hands."""


_PAIRED = {"train.batch_size", "loss.pairs", "loss.ablate"}
"""Keys that say whether a step has dialogues to draw negatives from."""


def _pairs_within(loss: LossConfig) -> bool:
    """Whether both sides of the context contrast come from one step of one worker."""
    return loss.uses_context_contrast and loss.pairs == "batch"


def _range_problems(config: Config, skipped: Collection[str]) -> Iterator[str]:
    def value(key: str) -> Any:
        section, name = key.split(".")
        return getattr(getattr(config, section), name)

    bounds: tuple[tuple[tuple[str, ...], str, Callable[[float], bool]], ...] = (
        (_AT_LEAST_ONE, "at least 1", lambda v: v >= 1),
        (_NOT_NEGATIVE, "0 or more", lambda v: 0 <= v < float("inf")),
        (_ABOVE_ZERO, "above 0 and finite", lambda v: 0 < v < float("inf")),
        (("train.seed",), "0 or more and below 2^63", lambda v: 0 <= v < SEED_LIMIT),
    )
    for keys, must, holds in bounds:
        for key in keys:
            if key not in skipped and not holds(value(key)):
                yield f"{key}: must be {must}, is {value(key)}"
    workers = config.train.workers
    low, *_, high = workers if isinstance(workers, tuple) and len(workers) == 2 else (workers, workers)
    if not (is_whole(low) and is_whole(high) and 1 <= low <= high):
        yield f"train.workers: must be 1 or more, or a pair (min, max) with 1 <= min <= max, is {workers!r}"
    elif "train.batch_size" not in skipped and high > config.train.batch_size:
        yield (
            f"train.workers: {high} workers need batches of at least {high} dialogues, "
            f"train.batch_size is {config.train.batch_size}"
        )
    elif _PAIRED.isdisjoint(skipped) and _pairs_within(config.loss) and 2 * high > config.train.batch_size:
        yield (
            "loss.pairs: batch takes negatives from the other dialogues of a worker's step, so train.batch_size must "
            f"be at least 2 for each worker, is {config.train.batch_size} for {high}; raise it, or use pairs bank"
        )
    if "train.max_failures" not in skipped and config.train.max_failures < -1:
        yield f"train.max_failures: must be -1 (no limit) or more, is {config.train.max_failures}"
