"""What a loss sees of a batch: its labelled utterances. The others were context, which the model has read by then.

N   utterances of the batch        K   those with a label
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from dclf.data.batch import Batch
from dclf.layout import Layout
from dclf.models.contract import BaseOutput
from dclf.models.framework import DCLFOutput


def labelled_part(output: DCLFOutput, batch: Batch) -> tuple[DCLFOutput, Batch]:
    """Output and batch with the K labelled utterances alone; both as they are where every utterance has a label.

    A dialogue without any is left out, so that the batch may end with no dialogue at all.

    Args:
        output: of the whole batch.
        batch: with unlabelled utterances or without.
    """
    rows = batch.labelled
    return (output, batch) if rows is None else (_output(output, rows), _batch(batch, rows))


def _output(output: DCLFOutput, rows: Tensor) -> DCLFOutput:
    return DCLFOutput(
        logits=output.logits[rows],
        unimodal=_of_each(output.unimodal, rows),
        encoded=_of_each(output.encoded, rows),
        base=BaseOutput(
            hidden=output.base.hidden[rows],
            state=output.state[rows],
            context=output.context[rows],
            auxiliary=_of_each(output.base.auxiliary, rows),
        ),
    )


def _batch(batch: Batch, rows: Tensor) -> Batch:
    counts = torch.bincount(batch.layout.dialogue_of[rows], minlength=batch.layout.dialogues).tolist()
    dialogues = zip(batch.dialogue_ids, counts, strict=True)
    return replace(
        batch,
        layout=Layout(tuple(count for count in counts if count), batch.layout.device),
        features=_of_each(batch.features, rows),
        speakers=batch.speakers[rows],
        labels=batch.labels[rows],
        positions=batch.positions[rows],
        dialogue_ids=tuple(name for name, count in dialogues if count),
        present=_of_each(batch.present, rows),
    )


def _of_each(tensors: Mapping[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    return {name: tensor[rows] for name, tensor in tensors.items()}
