"""Disjoint masks of random grid cells that together hide every pixel once; imported while training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def disjoint_masks(
    shape: tuple[int, ...], cell: int, parts: int, device: Any, generator: torch.Generator | None = None
) -> Tensor:
    """Masks ``[parts, 1, D, H]`` of 0 and 1 (hidden) that add up to 1 everywhere.

    The slice is cut into square cells of ``cell`` pixels, the last ones of a row or column perhaps smaller, and the
    cells are dealt out at random, as many to each mask as to any other (± 1).

    Args:
        shape: D and H.
        cell: side of a cell in pixels.
        parts: number of masks; there must be at least as many cells.
        device: where masks are made.
        generator: of the CPU; torch's global one if ``None``.
    """
    rows, columns = (-(-side // cell) for side in shape)
    dealt = torch.randperm(rows * columns, generator=generator).remainder(parts).view(rows, columns).to(device)
    owner = dealt.repeat_interleave(cell, 0)[: shape[0]].repeat_interleave(cell, 1)[:, : shape[1]]
    return (owner == torch.arange(parts, device=device)[:, None, None, None]).float()


def inpainted(network: Any, slices: Tensor, masks: Tensor) -> Tensor:
    """Every pixel as the network paints it while it is hidden.

    Args:
        network: slices ``[N, C, D, H]`` with hidden pixels set to 0 → whole slices, same shape.
        slices: ``[B, C, D, H]``.
        masks: ``[M, 1, D, H]`` of :func:`disjoint_masks`.
    """
    seen = (slices * (1 - masks[:, None])).flatten(0, 1)
    painted = network(seen).unflatten(0, (len(masks), len(slices)))
    whole: Tensor = (painted * masks[:, None]).sum(0)
    return whole
