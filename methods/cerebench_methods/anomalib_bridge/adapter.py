"""Our encoder in the place of anomalib's feature extractor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cerebench.api import MethodError
from cerebench_methods.features.encoder import SliceEncoder

CHANNELS = 3
"""anomalib's models are made for colour images."""


class EncoderAdapter(nn.Module):
    """Takes standardised images ``[B, 3, h, w]`` and gives named or listed levels of the frozen encoder.

    The encoder is no submodule: it is trained and saved elsewhere.

    Args:
        encoder: of slices with one or three channels.
        layers: levels to give.
        listed: a list as of ``timm.create_model(features_only=True)`` instead of a mapping ``layer1`` → features.
    """

    def __init__(self, encoder: SliceEncoder, layers: Sequence[int], listed: bool) -> None:
        super().__init__()
        self._held = [encoder]
        self._layers, self._listed = tuple(layers), listed

    def forward(self, inputs: Tensor) -> dict[str, Tensor] | list[Tensor]:
        """Levels ``[B, C_l, h_l, w_l]``, contiguous as anomalib expects them, without gradients."""
        encoder = self._held[0]
        encoder.eval()
        channels = next(encoder.parameters()).shape[1]
        with torch.no_grad():
            levels = encoder.network(inputs[:, :channels].contiguous(memory_format=torch.channels_last))
        found = [levels[layer].contiguous() for layer in self._layers]
        return found if self._listed else {f"layer{layer}": one for layer, one in zip(self._layers, found, strict=True)}


def colour(encoder: SliceEncoder, slices: Tensor) -> Tensor:
    """Slices ``[B, C, D, H]`` as anomalib sees them: ``[B, 3, h, w]``, resized, standardised, one channel repeated.

    Raises:
        MethodError: slices of other than one or three channels.
    """
    if slices.shape[1] not in (1, CHANNELS):
        raise MethodError(f"anomalib's models take slices of 1 or 3 channels (found {slices.shape[1]})")
    inputs = encoder.standardised(encoder.resized(slices))
    return inputs.expand(-1, CHANNELS, -1, -1).contiguous()
