"""The Dual Contrastive Learning Framework around any base model (paper, figure 2).

    N   utterances of the batch        C   emotion classes       E   encoder width
    d   hidden width of the base       P   width of a modality's projection (ICA)

Encoders (eq. 1) feed both the base model and the unimodal heads, so that the contrastive terms shape them. With
independent contribution awareness (ICA) the decoder sees [h_i; P_m(u^m_i) for m in M] (section 3.5). The decoder is
the base model's own. Where utterance i has no features in modality m, u^m_i and P_m(u^m_i) are zero vectors: no bias
speaks for what is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from dclf.config import LossConfig, ModelConfig
from dclf.data.batch import Batch
from dclf.data.dialogue import DatasetInfo
from dclf.data.statistics import Present, Standardiser, zero_where_missing
from dclf.layout import Layout
from dclf.losses.contrast_head import ContextContrast
from dclf.models.contract import BaseOutput, base_model_class
from dclf.models.dropout import Dropout
from dclf.models.encoders import ModalityEncoders


@dataclass(frozen=True, eq=False)
class DCLFOutput:
    """What the framework says of N utterances.

    Attributes:
        logits: [N, C], the decision.
        unimodal: modality -> [N, C], logits of the unimodal heads U^m; empty where the ablation drops them.
        encoded: modality -> u^m [N, E], zero where the modality is missing.
        base: what the base model says.
    """

    logits: Tensor
    unimodal: Mapping[str, Tensor]
    encoded: Mapping[str, Tensor]
    base: BaseOutput

    @property
    def state(self) -> Tensor:
        """[N, s], the h of the context contrast."""
        return self.base.state

    @property
    def context(self) -> Tensor:
        """[N, c], the dialogue summary c_i."""
        return self.base.context


class DCLF(nn.Module):
    """A base model wearing DCLF; with ``loss.ablate: base`` the bare base model.

    ``state_width`` is s, the width of what the context contrast compares: the base model's states, or with
    ``loss.state: hidden`` all of its hidden ones.

    Args:
        info: the dataset, for classes, speakers and raw widths.
        modalities: the modalities to use, all of them in ``info``.
        model: which base model and its options.
        loss: which parts of the framework exist (ablations) and their widths.

    Raises:
        ValueError: the base model refuses its options.
    """

    def __init__(self, info: DatasetInfo, modalities: tuple[str, ...], model: ModelConfig, loss: LossConfig) -> None:
        super().__init__()
        self.modalities = tuple(m for m in info.modalities if m in modalities)
        widths = {m: info.widths[m] for m in self.modalities}
        base_class = base_model_class(model.name)
        options = base_class.Config(**model.options)
        self.base = base_class(self.modalities, info.speaker_count, model.causal, options)
        self.standardise = Standardiser(widths)
        self.encoders = ModalityEncoders(widths, self.base.encoder_width)
        self.heads = nn.ModuleDict()
        self.projections = nn.ModuleDict()
        classes = len(info.class_names)
        for modality in self.modalities:
            if loss.uses_modality_contrast:
                self.heads[modality] = nn.Linear(self.base.encoder_width_of(modality), classes)
            if loss.uses_ica:
                self.projections[modality] = nn.Linear(self.base.encoder_width_of(modality), loss.ica_width)
        decoded = self.base.hidden_width + len(self.projections) * loss.ica_width
        self.decoder = self.base.decoder(decoded, classes)
        self.auxiliary = self.base.auxiliary(info.class_names)
        self._compares_hidden = loss.state == "hidden"
        self.state_width = self.base.hidden_width if self._compares_hidden else self.base.state_width
        self.contrast: ContextContrast | None = None
        if loss.uses_context_contrast:
            self.contrast = ContextContrast(
                self.state_width,
                self.base.context_width,
                projection=loss.projection,
                extraction=loss.ablate != "no_ce",
            )

    def forward(
        self, features: Mapping[str, Tensor], speakers: Tensor, layout: Layout, present: Present | None = None
    ) -> DCLFOutput:
        """Recognise the emotion of every utterance.

        Args:
            features: modality -> raw features [N, D_m].
            speakers: int64 [N].
            layout: which rows form which dialogue.
            present: modality -> bool [N], false on utterances without features in it; None where all have all.
        """
        encoded = self._encode(features, present)
        base = self.base(encoded, speakers, layout)
        if self._compares_hidden:
            base = replace(base, state=base.hidden)
        return DCLFOutput(
            logits=self._decode(base.hidden, encoded, present),
            unimodal={m: self.heads[m](encoded[m]) for m in self.heads},
            encoded=encoded,
            base=base,
        )

    def hear(
        self, features: Mapping[str, Tensor], speaker: Tensor, memory: Any | None, present: Present | None = None
    ) -> tuple[Tensor, Any]:
        """Recognise the emotion of the next utterance; for base models that stream (``BaseModel.hear``).

        Args:
            features: modality -> raw features [1, D_m].
            speaker: int64 [1].
            memory: what the utterance before gave; None at the first.
            present: as for ``forward``.

        Returns:
            The logits [1, C] that ``forward`` gives for it, and the memory for the next utterance.
        """
        encoded = self._encode(features, present)
        hidden, memory = self.base.hear(encoded, speaker, memory)
        return self._decode(hidden, encoded, present), memory

    def _encode(self, features: Mapping[str, Tensor], present: Present | None) -> dict[str, Tensor]:
        encoded: dict[str, Tensor] = self.encoders(
            self.standardise({m: features[m] for m in self.modalities}, present), present
        )
        return encoded

    def _decode(self, hidden: Tensor, encoded: Mapping[str, Tensor], present: Present | None) -> Tensor:
        projected = zero_where_missing({m: self.projections[m](encoded[m]) for m in self.projections}, present)
        logits: Tensor = self.decoder(torch.cat([hidden, *projected.values()], dim=-1))
        return logits

    def compile_layers(self) -> None:
        """Run encoders, heads, projections and decoder through torch.compile.

        The base model stays as it is: it walks over dialogues of other lengths in every batch, with its gradients
        written out, and compiling that anew for every length costs minutes and gains nothing.
        """
        for layer in (self.encoders, *self.heads.values(), *self.projections.values(), self.decoder):
            for module in layer.modules():
                if isinstance(module, Dropout):
                    # torch.compile takes the view of its random bits for one of larger numbers, and fails.
                    module.compiled = True
            layer.compile(dynamic=True)

    def predict(self, batch: Batch) -> Tensor:
        """Class probabilities [N, C] of a batch, float32, without dropout or gradients."""
        was_training = self.training
        self.eval()
        with torch.no_grad():
            logits: Tensor = self(batch.features, batch.speakers, batch.layout, batch.present).logits
        self.train(was_training)
        return logits.float().softmax(dim=-1)
