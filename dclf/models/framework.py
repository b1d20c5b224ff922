"""The Dual Contrastive Learning Framework around any base model (paper, figure 2).

    N   utterances of the batch        C   emotion classes       E   encoder width
    d   hidden width of the base       P   width of a modality's projection (ICA)

Encoders (eq. 1) feed both the base model and the unimodal heads, so that the contrastive terms shape them. With
independent contribution awareness (ICA) the decoder sees [h_i; P_m(u^m_i) for m in M] (section 3.5). Where utterance i
has no features in modality m, u^m_i and P_m(u^m_i) are zero vectors: no bias speaks for what is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dclf.config import LossConfig, ModelConfig
from dclf.data.batch import Batch
from dclf.data.dialogue import DatasetInfo
from dclf.data.statistics import Present, Standardiser, zero_where_missing
from dclf.layout import Layout
from dclf.losses.contrast_head import ContextContrast
from dclf.models.contract import base_model_class
from dclf.models.dropout import Dropout
from dclf.models.encoders import ModalityEncoders


@dataclass(frozen=True, eq=False)
class DCLFOutput:
    """What the framework says of N utterances.

    Attributes:
        logits: [N, C], the decision.
        unimodal: modality -> [N, C], logits of the unimodal heads U^m; empty where the ablation drops them.
        encoded: modality -> u^m [N, E], zero where the modality is missing.
        state: [N, s], the h of the context contrast.
        context: [N, c], the dialogue summary c_i.
    """

    logits: Tensor
    unimodal: Mapping[str, Tensor]
    encoded: Mapping[str, Tensor]
    state: Tensor
    context: Tensor


class DCLF(nn.Module):
    """A base model wearing DCLF; with ``loss.ablate: base`` the bare base model.

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
                self.heads[modality] = nn.Linear(self.base.encoder_width, classes)
            if loss.uses_ica:
                self.projections[modality] = nn.Linear(self.base.encoder_width, loss.ica_width)
        decoded = self.base.hidden_width + len(self.projections) * loss.ica_width
        self.decoder = nn.Sequential(nn.ReLU(), Dropout(options.dropout), nn.Linear(decoded, classes))
        self.contrast: ContextContrast | None = None
        if loss.uses_context_contrast:
            self.contrast = ContextContrast(
                self.base.state_width,
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
        encoded = self.encoders(self.standardise({m: features[m] for m in self.modalities}, present), present)
        base = self.base(encoded, speakers, layout)
        projected = zero_where_missing({m: self.projections[m](encoded[m]) for m in self.projections}, present)
        return DCLFOutput(
            logits=self.decoder(torch.cat([base.hidden, *projected.values()], dim=-1)),
            unimodal={m: self.heads[m](encoded[m]) for m in self.heads},
            encoded=encoded,
            state=base.state,
            context=base.context,
        )

    def compile_layers(self) -> None:
        """Run encoders, heads, projections and decoder through torch.compile.

        The base model stays as it is: it walks over dialogues of other lengths in every batch, with its gradients
        written out, and compiling that anew for every length costs minutes and gains nothing.
        """
        for layer in (self.encoders, *self.heads.values(), *self.projections.values(), self.decoder):
            layer.compile(dynamic=True)

    def predict(self, batch: Batch) -> Tensor:
        """Class probabilities [N, C] of a batch, float32, without dropout or gradients."""
        was_training = self.training
        self.eval()
        with torch.no_grad():
            logits: Tensor = self(batch.features, batch.speakers, batch.layout, batch.present).logits
        self.train(was_training)
        return logits.float().softmax(dim=-1)
