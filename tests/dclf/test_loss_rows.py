"""What a loss sees of a batch, and that nothing happens to one with a label everywhere."""

from __future__ import annotations

import torch

from dclf.data.batch import collate
from dclf.loss_rows import labelled_part
from dclf.models.contract import BaseOutput
from dclf.models.framework import DCLFOutput
from tests.dclf.data.support import make_dialogue


def output_of(count: int) -> DCLFOutput:
    rows = torch.arange(float(count))[:, None]
    base = BaseOutput(hidden=rows, state=rows, context=rows, auxiliary={"reduced": rows})
    return DCLFOutput(logits=rows, unimodal={"text": rows}, encoded={"text": rows}, base=base)


def test_the_labelled_rows_are_left_dialogue_by_dialogue() -> None:
    labels = ([0, -1, 1], [-1, -1], [-1, 2])
    dialogues = [
        make_dialogue(n, length=len(own), labels=torch.tensor(own).numpy().astype("int32"))
        for n, own in enumerate(labels)
    ]
    batch = collate(dialogues, ["text"])
    output, part = labelled_part(output_of(7), batch)
    assert part.layout.lengths == (2, 1)
    assert part.dialogue_ids == ("d0", "d2")
    assert part.labels.tolist() == [0, 1, 2]
    places = torch.tensor([0, 2, 6])
    assert torch.equal(part.features["text"], batch.features["text"][places])
    assert torch.equal(part.speakers, batch.speakers[places])
    base = output.base
    of_base = (base.hidden, base.state, base.context, base.auxiliary["reduced"])
    for rows in (output.logits, output.unimodal["text"], output.encoded["text"], *of_base):
        assert rows[:, 0].tolist() == [0.0, 2.0, 6.0]


def test_a_batch_with_all_labels_is_left_alone() -> None:
    batch, output = collate([make_dialogue(0), make_dialogue(1)], ["text"]), output_of(8)
    assert batch.labelled is None
    same_output, same_batch = labelled_part(output, batch)
    assert same_output is output
    assert same_batch is batch


def test_a_batch_without_labels_leaves_nothing() -> None:
    batch = collate([make_dialogue(0, labels=torch.full((4,), -1).numpy())], ["text"])
    output, part = labelled_part(output_of(4), batch)
    assert part.layout.dialogues == part.layout.utterances == len(output.logits) == len(part.labels) == 0
