"""SDT's own terms of the loss: its modalities decide by themselves too, and learn from the whole.

p            = softmax(logits / T), without gradient            the teacher, the whole model's decision
p^q          = softmax(O^q dropout(relu(r^q)) / T)              the students, r^q of ``sdt``, T the temperature
modality     = sum over q of the cross-entropy of the students with T = 1
distillation = sum over q of sum over classes of p (ln p - ln p^q)

K   labelled utterances of the batch   H   width   C   classes
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from dclf.data.batch import Batch
from dclf.losses.terms import Term
from dclf.models.contract import Auxiliary, BaseOutput, CrossEntropy
from dclf.models.dropout import Dropout


class SelfDistillation(Auxiliary):
    """The terms ``modality`` and ``distillation``, and the students' heads.

    Args:
        modalities: of the model, one student each.
        width: H.
        classes: C.
        weights: of both terms; one whose weight is 0 is left out.
        temperature: T.
        dropout: dropout rate in front of the heads' linear layer.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        width: int,
        classes: int,
        *,
        weights: Mapping[str, float],
        temperature: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.weights = {name: weight for name, weight in weights.items() if weight}
        self.temperature = temperature
        self.heads = nn.ModuleDict(
            {m: nn.Sequential(nn.ReLU(), Dropout(dropout), nn.Linear(width, classes)) for m in modalities}
        )

    def forward(self, output: BaseOutput, logits: Tensor, batch: Batch, cross_entropy: CrossEntropy) -> dict[str, Term]:
        """See ``Auxiliary.forward``."""
        students = [head(output.auxiliary[reduced_name(m)]) for m, head in self.heads.items()]
        teacher = logits.detach()
        of_student: dict[str, Callable[[Tensor], Term]] = {
            "modality": lambda student: cross_entropy(student, batch.labels),
            "distillation": lambda student: self._distillation(student, teacher),
        }
        return {name: _summed([of_student[name](student) for student in students]) for name in self.weights}

    def _distillation(self, student: Tensor, teacher: Tensor) -> Term:
        student, teacher = ((logits.float() / self.temperature).log_softmax(1) for logits in (student, teacher))
        total = functional.kl_div(student, teacher, reduction="sum", log_target=True)
        return Term(total, torch.tensor(float(len(student))))


def reduced_name(modality: str) -> str:
    """Of r^m in ``BaseOutput.auxiliary``."""
    return f"reduced_{modality}"


def _summed(terms: Sequence[Term]) -> Term:
    """The sum over students that count the same utterances."""
    return Term(torch.stack([term.total for term in terms]).sum(), terms[0].count)
