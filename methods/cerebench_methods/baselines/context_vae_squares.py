"""Squares cut out of slices; imported while training."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST = 0.1
"""Side of the smallest square as a share of the slice's shorter side."""


def cut_squares(slices: Tensor, count: int, largest: float) -> Tensor:
    """Slices ``[B, C, D, H]`` with ``count`` squares a slice set to 0, in all channels, by torch's global generator.

    Sides are drawn evenly from :data:`SMALLEST` (``largest`` if that is smaller) to ``largest`` times the shorter side,
    places so that every square lies inside the slice.
    """
    batch, _, *shape = slices.shape
    low = min(SMALLEST, largest)
    share = low + (largest - low) * torch.rand(batch, count, 1, device=slices.device)
    side = (share * min(shape)).round().clamp(min=1)
    inside = []
    for length in shape:
        start = (torch.rand(batch, count, 1, device=slices.device) * (length - side + 1)).floor()
        place = torch.arange(length, device=slices.device)
        inside.append((place >= start) & (place < start + side))
    kept = ~(inside[0][..., :, None] & inside[1][..., None, :])
    return slices * kept.all(1, keepdim=True)
