"""The network of the autoencoder; imported when it is built."""

from __future__ import annotations

import math
from typing import Any

from monai.networks.nets.autoencoder import AutoEncoder
from torch import nn

CODE_CHANNELS = 16
"""Channels to which the last feature map is squeezed before a dense code; it keeps the dense layers small."""


def autoencoder(channels: int, canvas: tuple[int, ...], settings: Any) -> nn.Module:
    """MONAI's autoencoder for slices ``[B, channels, *canvas]``; output of the same shape, not bounded.

    Batch instead of MONAI's default instance normalisation: the latter removes the very contrast that is scored.
    """
    widths = [settings.width * min(2**layer, 4) for layer in range(settings.depth)]
    network = AutoEncoder(
        spatial_dims=2,
        in_channels=channels,
        out_channels=channels,
        channels=widths,
        strides=[2] * settings.depth,
        act="LEAKYRELU",
        norm="BATCH",
    )
    sides = [side // 2**settings.depth for side in canvas]
    if settings.bottleneck == "dense":
        network.intermediate = _dense(widths[-1], sides, settings.latent)
    else:
        network.intermediate = nn.Sequential(
            nn.Conv2d(widths[-1], settings.latent, 1), nn.Conv2d(settings.latent, widths[-1], 1)
        )
    return network


def _dense(channels: int, sides: list[int], latent: int) -> nn.Module:
    squeezed = (CODE_CHANNELS, *sides)
    size = math.prod(squeezed)
    return nn.Sequential(
        nn.Conv2d(channels, CODE_CHANNELS, 1),
        nn.Flatten(),
        nn.Linear(size, latent),
        nn.Linear(latent, size),
        nn.Unflatten(1, squeezed),
        nn.Conv2d(CODE_CHANNELS, channels, 1),
    )
