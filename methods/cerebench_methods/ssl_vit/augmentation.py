"""Random changes of sub-volumes that leave their class as it is. All draws come from torch's global generator."""

from __future__ import annotations

import torch
from torch import Tensor

_GAIN, _NOISE = 0.1, 0.03
_BLANK = 0.5


def flipped(volumes: Tensor) -> Tensor:
    """Each item of ``[B, C, D, H, W]`` mirrored along each axis with chance one half."""
    for axis in (2, 3, 4):
        mirror = torch.rand(len(volumes), device=volumes.device) < 0.5
        volumes = torch.where(mirror.view(-1, 1, 1, 1, 1), volumes.flip(axis), volumes)
    return volumes


def recoloured(images: Tensor) -> Tensor:
    """Another gain an item and noise, inside the brain only (what is exactly 0 lies outside)."""
    gain = 1 + _GAIN * torch.randn(len(images), 1, 1, 1, 1, device=images.device)
    return (images * gain + _NOISE * torch.randn_like(images)) * (images != 0)


def two_views(images: Tensor) -> tuple[Tensor, Tensor]:
    """Two views of each item: mirrored, recoloured, with a box of half the sides blanked."""
    first, second = (_blanked(recoloured(flipped(images))) for _ in range(2))
    return first, second


def _blanked(images: Tensor) -> Tensor:
    keep = torch.zeros_like(images[:, :1], dtype=torch.bool)
    for axis in (2, 3, 4):
        side = images.shape[axis]
        length = max(1, int(_BLANK * side))
        start = torch.randint(side - length + 1, (len(images), 1), device=images.device)
        place = torch.arange(side, device=images.device)[None]
        outside = (place < start) | (place >= start + length)
        shape = [len(images), 1, 1, 1, 1]
        shape[axis] = side
        keep = keep | outside.view(shape)
    return images * keep
