"""Modality encoders: raw features to u^m (eq. 1).

N    utterances of the batch
D_m  raw feature width of modality m
E    encoder width, of all modalities or of each
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from dclf.data.statistics import Present, zero_where_missing


class ModalityEncoders(nn.Module):
    """One linear layer E_m per modality; base model and unimodal heads read the same u^m.

    Args:
        widths: modality -> D_m, at least one.
        width: E, the base model's ``encoder_width``; modality -> E where they differ.
    """

    def __init__(self, widths: Mapping[str, int], width: int | Mapping[str, int]) -> None:
        super().__init__()
        encoded = dict.fromkeys(widths, width) if isinstance(width, int) else width
        if not widths or min(encoded[m] for m in widths) < 1 or min(widths.values()) < 1:
            raise ValueError(
                f"encoders need at least one modality and widths of 1 or more, got {dict(widths)}, {width}"
            )
        self.layers = nn.ModuleDict({modality: nn.Linear(raw, encoded[modality]) for modality, raw in widths.items()})

    def forward(self, features: Mapping[str, Tensor], present: Present | None = None) -> dict[str, Tensor]:
        """Encode every modality.

        Args:
            features: modality -> [N, D_m].
            present: modality -> bool [N]; where it is false u^m is a zero vector, without the layer's bias.

        Returns:
            modality -> u^m [N, E].
        """
        encoded = {modality: layer(features[modality]) for modality, layer in self.layers.items()}
        return zero_where_missing(encoded, present)
