"""The paper's two operators on anatomical images: differentiable one-hot classes and Canny edges of axial slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence


def one_hot(logits: Tensor) -> Tensor:
    """Hard classes ``[B, K, …]`` of logits ``[B, K, …]``: one 1 a voxel, with the gradient of the softmax."""
    soft = logits.softmax(1)
    hard = torch.zeros_like(soft).scatter_(1, soft.argmax(1, keepdim=True), 1.0)
    return hard + soft - soft.detach()


def anatomical_image(classes: Tensor, values: Sequence[float], brain: Tensor) -> Tensor:
    """Image ``[B, 1, …]`` in which every class has its value, from classes ``[B, K, …]``; 0 outside ``brain``."""
    weights = torch.tensor(values, dtype=classes.dtype, device=classes.device).view(1, -1, *[1] * (classes.dim() - 2))
    return (classes * weights).sum(1, keepdim=True) * brain


def canny_edges(image: Tensor, low: float, high: float, sigma: float) -> Tensor:
    """Canny edges of every axial slice of ``[B, 1, D, H, W]``, float 0 or 1, same shape, on the image's device."""
    from kornia.filters import canny

    batch, _, depth, height, width = image.shape
    slices = image.detach().float().permute(0, 4, 1, 2, 3).reshape(batch * width, 1, depth, height)
    side = 2 * max(1, round(2 * sigma)) + 1
    _, edges = canny(slices, low, high, (side, side), (sigma, sigma))
    return edges.reshape(batch, width, 1, depth, height).permute(0, 2, 3, 4, 1).to(image.dtype)


def warp(image: Tensor, std: float, coarse: int = 8) -> Tensor:
    """Image ``[B, 1, D, H, W]`` pulled along a random smooth displacement of ``std`` voxels a direction.

    The displacement is drawn every ``coarse`` voxels and interpolated.
    """
    from torch.nn.functional import affine_grid, grid_sample, interpolate

    shape = image.shape[2:]
    sides = [max(2, round(side / coarse)) for side in shape]
    field = interpolate(
        torch.randn(len(image), 3, *sides, device=image.device), size=shape, mode="trilinear", align_corners=True
    )
    field = field / field.std()  # interpolation has smoothed it
    identity = torch.eye(3, 4, device=image.device).expand(len(image), -1, -1)
    grid = affine_grid(identity, list(image.shape), align_corners=True)
    # grid_sample's coordinates run over the last axis first and span 2
    scale = torch.tensor([2 * std / max(side - 1, 1) for side in reversed(shape)], device=image.device)
    moved = grid + field.permute(0, 2, 3, 4, 1) * scale
    return grid_sample(image.float(), moved, mode="bilinear", align_corners=True).to(image.dtype)
