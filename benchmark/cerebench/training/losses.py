"""Losses between a reconstruction and its image."""

from __future__ import annotations

from collections.abc import Callable

from monai.losses.ssim_loss import SSIMLoss
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss


def reconstruction_loss(word: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of (reconstruction, slice): ``l1``, ``mse`` or ``ssim`` (1 − SSIM, window 11, tissue range 1)."""
    if word == "ssim":
        return SSIMLoss(spatial_dims=2, data_range=1.0)
    return l1_loss if word == "l1" else mse_loss
