"""Coarse noise: independent at the nodes of a wide grid, bilinear between them; imported while training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def coarse_noise(slices: Tensor, cell: tuple[float, ...], std: float) -> Tensor:
    """Noise for slices ``[B, C, D, H]``, same shape, from torch's global generator.

    Args:
        slices: give shape and device.
        cell: distance of the grid's nodes along D and H in pixels; below 1 counts as 1, which is white noise.
        std: standard deviation at the nodes; between them it is lower, down to std / 2 in the middle of a cell.

    The grid begins at a random place, the same for all slices of a batch.
    """
    cells = [max(1.0, step) for step in cell]
    counts = [int(-(-side // step)) + 2 for side, step in zip(slices.shape[2:], cells, strict=True)]
    nodes = std * torch.randn(*slices.shape[:2], *counts, device=slices.device)
    sides = [round((count - 1) * step) + 1 for count, step in zip(counts, cells, strict=True)]
    noise = F.interpolate(nodes, size=sides, mode="bilinear", align_corners=True)
    for axis, (side, wanted) in enumerate(zip(sides, slices.shape[2:], strict=True), start=2):
        noise = noise.narrow(axis, int(torch.randint(side - wanted + 1, ())), wanted)
    return noise


def foreground(slices: Tensor) -> Tensor:
    """Where any channel of slices ``[B, C, D, H]`` is not 0, as 0 and 1, ``[B, 1, D, H]``: the brain."""
    return (slices != 0).any(1, keepdim=True).to(slices.dtype)
