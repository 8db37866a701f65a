"""The two networks and their losses; imported when the method is built."""

from __future__ import annotations

from typing import Any

import torch
from monai.networks.nets.unet import UNet
from torch import Tensor, nn

from cerebench_methods.variational import beta_vae as beta_vae

UNET_STRIDE = 16
"""Sides of a slice must be multiples of it."""


def inpainting_unet(channels: int, width: int) -> nn.Module:
    """MONAI's 2D U-Net, ``width`` to 16 × ``width`` filters: :func:`masked_input` in, the whole slice out.

    The first level keeps the full resolution: MONAI's usual strides would leave no sharp path from input to output.
    Batch instead of instance normalisation: the latter depends on how much of the slice is hidden.
    """
    network = UNet(
        spatial_dims=2,
        in_channels=channels + 1,
        out_channels=channels,
        channels=[width, *(width * 2**level for level in range(5))],
        strides=[1, 2, 2, 2, 2],
        num_res_units=2,
        norm="BATCH",
    )
    return network.to(memory_format=torch.channels_last)  # a third faster on a CPU


def symmetry_loss(restored: Tensor) -> Tensor:
    """Mean absolute difference between reconstructions ``[B, C, D, H]`` and their mirror images."""
    return (restored - restored.flip(2)).abs().mean()


def restore(unet: Any, slices: Tensor, masks: Tensor, batch: int = 64) -> Tensor:
    """Every pixel as the U-Net predicts it while it is hidden, averaged over the masks that hide it.

    Args:
        unet: :func:`inpainting_unet` in evaluation mode.
        slices: ``[N, C, D, H]``.
        masks: ``[M, 1, D, H]`` that together hide every pixel.
        batch: slices at a time; all masks of one are done at once.
    """
    restored = []
    for part in torch.split(slices, max(1, batch // len(masks))):
        seen = torch.cat([masked_input(part, mask.expand(len(part), -1, -1, -1)) for mask in masks])
        found = unet(seen).float().unflatten(0, (len(masks), len(part)))
        restored.append((found * masks[:, None]).sum(0))
    return torch.cat(restored) / masks.sum(0)


def masked_input(slices: Tensor, masks: Tensor) -> Tensor:
    """What the U-Net sees, ``[N, C + 1, D, H]``: slices with hidden pixels set to 0, and the masks ``[N, 1, D, H]``."""
    return torch.cat([slices * (1 - masks), masks], dim=1)
