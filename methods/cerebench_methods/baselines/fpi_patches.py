"""Patches of other healthy slices blended into slices; imported while training. Draws come from torch's generator."""

from __future__ import annotations

import torch
from torch import Tensor

from cerebench_methods.baselines.dae_noise import foreground

LEAST_FACTOR, MOST_FACTOR = 0.05, 0.95
"""Range of the blending factor (Tan et al. 2021)."""


def foreign_slices(slices: Tensor) -> Tensor:
    """For each of ``[B, C, D, H]`` the other slice of the batch whose brain overlaps most with its own.

    Overlap is intersection over union; it stands for the height in the head. A slice alone is its own partner.
    """
    if len(slices) == 1:
        return slices
    brains = foreground(slices).flatten(1)
    common = brains @ brains.T
    areas = brains.sum(1)
    overlap = common / (areas[:, None] + areas[None] - common).clamp(min=1)
    overlap.fill_diagonal_(-1)
    return slices[overlap.argmax(1)]


def rectangles(slices: Tensor, least: float, most: float) -> Tensor:
    """A random rectangle for each of ``[B, C, D, H]``, 0 and 1, ``[B, 1, D, H]``.

    Args:
        slices: the rectangle's middle is one of the pixels that are not 0; a slice without any gets none.
        least: least side as a share of the slice's.
        most: greatest side as a share of the slice's.
    """
    brains = foreground(slices)
    count, _, *sides = brains.shape
    # the largest of random numbers inside the brain is a uniformly drawn pixel of it
    middle = (torch.rand_like(brains) * brains).flatten(1).argmax(1)
    middles = torch.stack([middle // sides[1], middle % sides[1]], 1).to(slices.dtype)
    shares = least + (most - least) * torch.rand(count, 2, device=slices.device)
    inside = brains.flatten(2).amax(2)[:, :, None, None] > 0
    for axis, side in enumerate(sides):
        places = torch.arange(side, device=slices.device, dtype=slices.dtype)
        near = (places[None] - middles[:, axis, None]).abs() <= shares[:, axis, None] * side / 2
        inside = inside & near.view(count, 1, *(side if other == axis else 1 for other in range(2)))
    return inside.to(slices.dtype)


def interpolated(slices: Tensor, least: float, most: float) -> tuple[Tensor, Tensor]:
    """Slices ``[B, C, D, H]`` with one blended patch each, and the blending factor at every pixel ``[B, 1, D, H]``.

    A patch is taken at the same place of :func:`foreign_slices`; only pixels that are brain in both slices are blended,
    so that no edge of a brain is cut or grown.
    """
    foreign = foreign_slices(slices)
    factors = LEAST_FACTOR + (MOST_FACTOR - LEAST_FACTOR) * torch.rand(len(slices), 1, 1, 1, device=slices.device)
    both = foreground(slices) * foreground(foreign)
    shares = factors * rectangles(slices, least, most) * both
    return slices + shares * (foreign - slices), shares
