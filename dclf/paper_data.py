"""Whether a published figure may stand beside a measured one: only where both are of the same data.

The ``published`` section of a configuration names its data set. For the paper's own two (its Table 2) a name proves
nothing: classes, modalities and the size of the test split must be the paper's as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from dclf.config import Config
from dclf.data.dialogue import MODALITIES
from dclf.data.presets import GENERATED, GENERATOR, IEMOCAP_CLASSES, MELD_CLASSES
from dclf.data.reader import ShardSet, read_shards
from dclf.prose import join_words

UNREADABLE = "the shards cannot be read now"


@dataclass(frozen=True, kw_only=True)
class PaperData:
    """A data set of the paper.

    Attributes:
        classes: its emotions, in any order.
        dialogues: of the test split.
        utterances: of the test split, the labelled ones.
    """

    classes: frozenset[str]
    dialogues: int
    utterances: int


TABLE_2 = {
    "iemocap": PaperData(classes=frozenset(IEMOCAP_CLASSES), dialogues=31, utterances=1623),
    "meld": PaperData(classes=frozenset(MELD_CLASSES), dialogues=280, utterances=2610),
}


def unlike_paper(config: Config, shards: str = "") -> tuple[str, ...]:
    """Return ``differences_from_paper``, or that the shards cannot be read.

    Args:
        config: with the ``published`` section, the modalities that are read and the base model.
        shards: folder or URI of the data; those of the configuration where empty.
    """
    try:
        return differences_from_paper(config, shards)
    except (OSError, ValueError):
        return (UNREADABLE,)


def differences_from_paper(config: Config, shards: str = "") -> tuple[str, ...]:
    """Return why the figures that a configuration calls published are not of these data, a clause each.

    Empty where they are. Reads the manifest, and the index where name and modalities agree.

    Args:
        config: as for ``unlike_paper``.
        shards: likewise.

    Raises:
        OSError: the shards are not there.
        ValueError: they are damaged or of another format.
    """
    return tuple(_differences(config, read_shards(shards or config.data.shards)))


def is_generated(dataset: str, provenance: Mapping[str, object]) -> bool:
    """Whether dialogues are invented, whatever name somebody gave them since."""
    return dataset.startswith(GENERATED) or provenance.get("importer") == GENERATOR


def papers_modalities(config: Config) -> tuple[str, ...]:
    """What the paper's models of this kind read: all modalities, but for the unimodal models of Table 1."""
    tables = config.published.get(config.model.name)
    return ("text",) if isinstance(tables, Mapping) and "table1" in tables else MODALITIES


def _differences(config: Config, shards: ShardSet) -> Iterator[str]:
    info, published = shards.info, str(config.published.get("dataset", ""))
    if is_generated(info.dataset, info.provenance):
        yield "the data are generated"
        return
    if info.dataset != published:
        yield f"the data are {info.dataset}, the figures of {published or 'no data set that is named'}"
        return
    if published not in TABLE_2:
        return
    paper, modalities = TABLE_2[published], papers_modalities(config)
    if set(config.data.modalities) != set(modalities):
        yield f"read are {join_words(config.data.modalities)}, in the paper {join_words(modalities)}"
    labels = shards.index("test").labels
    labels = labels[labels >= 0]
    dialogues, utterances = shards.splits["test"], len(labels)
    if (dialogues, utterances) != (paper.dialogues, paper.utterances):
        yield (
            f"the test split has {utterances:,} utterances in {dialogues} dialogues, the paper's {paper.utterances:,} "
            f"in {paper.dialogues}"
        )
        return
    if set(info.class_names) != paper.classes:
        yield f"the classes are {join_words(info.class_names)}, in the paper {join_words(sorted(paper.classes))}"
        return
    absent = [name for place, name in enumerate(info.class_names) if not np.any(labels == place)]
    if absent:
        yield f"no utterance of the test split is {join_words(absent, 'or')}"
