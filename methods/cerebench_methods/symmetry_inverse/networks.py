"""The two networks and their losses; imported when the method is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.losses.ssim_loss import SSIMLoss
from monai.networks.nets.unet import UNet
from monai.networks.nets.varautoencoder import VarAutoEncoder
from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss

UNET_STRIDE = 16
"""Sides of a slice must be multiples of it."""


def inpainting_unet(channels: int, width: int) -> nn.Module:
    """MONAI's 2D U-Net, ``width`` to 16 × ``width`` filters: :func:`masked_input` in, the whole slice out.

    The first level keeps the full resolution: MONAI's usual strides would leave no sharp path from input to output.
    Batch instead of instance normalisation: the latter depends on how much of the slice is hidden.
    """
    return UNet(
        spatial_dims=2,
        in_channels=channels + 1,
        out_channels=channels,
        channels=[width, *(width * 2**level for level in range(5))],
        strides=[1, 2, 2, 2, 2],
        num_res_units=2,
        norm="BATCH",
    )


def beta_vae(channels: int, canvas: tuple[int, int], latent: int, width: int, depth: int) -> nn.Module:
    """MONAI's variational autoencoder for difference maps ``[B, channels, *canvas]``, output not bounded.

    Filters double from layer to layer, to 8 × ``width`` at most; every layer halves the sides.
    """
    return VarAutoEncoder(
        spatial_dims=2,
        in_shape=(channels, *canvas),
        out_channels=channels,
        latent_size=latent,
        channels=[width * min(2**layer, 8) for layer in range(depth)],
        strides=[2] * depth,
        act="LEAKYRELU",
        norm="BATCH",
        use_sigmoid=False,
        use_mean_at_inference=True,
    )


def reconstruction_loss(word: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of (reconstruction, slice): ``mse``, ``l1`` or ``ssim`` (1 − SSIM, window 11, tissue range 1)."""
    if word == "ssim":
        return SSIMLoss(spatial_dims=2, data_range=1.0)
    return l1_loss if word == "l1" else mse_loss


def symmetry_loss(restored: Tensor) -> Tensor:
    """Mean absolute difference between reconstructions ``[B, C, D, H]`` and their mirror images."""
    return (restored - restored.flip(2)).abs().mean()


def beta_vae_loss(given: Tensor, decoded: Tensor, mu: Tensor, logvar: Tensor, beta: float) -> dict[str, Tensor]:
    """Negative evidence bound of Higgins et al. (2017), mean over the batch, with its two parts.

    The decoder's noise is Gaussian with unit variance (its constant is left out); the divergence is that of
    N(mu, exp(logvar)) from N(0, 1), summed over the latent dimensions and weighted with ``beta``.
    """
    error = 0.5 * (given - decoded).square().flatten(1).sum(1).mean()
    divergence = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1).mean()
    return {"loss": error + beta * divergence, "error": error, "divergence": divergence}


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
