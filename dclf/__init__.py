"""Dual Contrastive Learning Framework for multimodal emotion recognition in conversation.

Every name is imported when it is first used; ``tune`` has what trains, searches and compares on Ray with MLflow.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

# In a notebook tqdm, which torch, Optuna and Ray import, misses widgets for bars; nothing here shows such bars.
warnings.filterwarnings("ignore", message="IProgress not found")

if TYPE_CHECKING:
    from dclf.config import Config, DataConfig, LossConfig, ModelConfig, TrackConfig, TrainConfig
    from dclf.data.batch import Batch
    from dclf.data.dialogue import DatasetInfo, Dialogue
    from dclf.data.generator import generate
    from dclf.data.importers import import_dataset
    from dclf.data.reader import read_shards
    from dclf.data.writer import write_shards
    from dclf.inference import Predictor, load_model
    from dclf.layout import Layout
    from dclf.losses.terms import Term
    from dclf.models.contract import Auxiliary, BaseModel, BaseOutput
    from dclf.models.framework import DCLF, DCLFOutput

__version__ = "0.2.0"

_PLACES = {
    "DCLF": "dclf.models.framework",
    "Auxiliary": "dclf.models.contract",
    "BaseModel": "dclf.models.contract",
    "BaseOutput": "dclf.models.contract",
    "Batch": "dclf.data.batch",
    "Config": "dclf.config",
    "DCLFOutput": "dclf.models.framework",
    "DataConfig": "dclf.config",
    "DatasetInfo": "dclf.data.dialogue",
    "Dialogue": "dclf.data.dialogue",
    "Layout": "dclf.layout",
    "LossConfig": "dclf.config",
    "ModelConfig": "dclf.config",
    "Predictor": "dclf.inference",
    "Term": "dclf.losses.terms",
    "TrackConfig": "dclf.config",
    "TrainConfig": "dclf.config",
    "generate": "dclf.data.generator",
    "import_dataset": "dclf.data.importers",
    "load_model": "dclf.inference",
    "read_shards": "dclf.data.reader",
    "write_shards": "dclf.data.writer",
}

__all__ = [
    "DCLF",
    "Auxiliary",
    "BaseModel",
    "BaseOutput",
    "Batch",
    "Config",
    "DCLFOutput",
    "DataConfig",
    "DatasetInfo",
    "Dialogue",
    "Layout",
    "LossConfig",
    "ModelConfig",
    "Predictor",
    "Term",
    "TrackConfig",
    "TrainConfig",
    "generate",
    "import_dataset",
    "load_model",
    "read_shards",
    "write_shards",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
