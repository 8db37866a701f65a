"""Which pixels of a slice are hidden from the network: patches placed with regard to the mid-sagittal plane.

Slices are upright in the symmetric frame: flipping their first axis mirrors the head. In a mask 1 is hidden.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Strategy = Literal["random", "symmetric-pairs", "hemisphere", "mixed"]

LEFT, RIGHT, BOTH = 0, 1, 2
PASSES = 2
"""How often every pixel is hidden, and so predicted, by :func:`complementary_masks`."""


def draw_masks(
    strategy: Strategy, count: int, shape: tuple[int, int], patch: int, ratio: float, device: torch.device
) -> Tensor:
    """Random masks for training, ``[count, 1, *shape]`` float32, from torch's global generator.

    ``random`` hides patches with probability ``ratio`` wherever they lie. ``symmetric-pairs`` hides a patch together
    with its mirror image. ``hemisphere`` hides patches of one side only, so that what mirrors them is visible.
    ``mixed`` gives each slice one of: pairs, patches of one side, one whole side; a third each.

    Args:
        strategy: where patches may lie.
        count: number of masks.
        shape: (D, H) of a slice.
        patch: side of a patch in pixels; the lattice of patches is shifted at random.
        ratio: share of the patches (for ``hemisphere``: of one side's) that is hidden.
        device: where the masks are made.
    """
    width, height = shape
    shift = torch.randint(patch, (2, count, 1, 1), device=device)
    rows = (torch.arange(height, device=device)[None, None] + shift[1]) // patch
    if strategy == "random":
        columns = (torch.arange(width, device=device)[None, :, None] + shift[0]) // patch
        return _hidden_patches(columns, rows, ratio)[:, None].float()
    hidden = _hidden_patches((_lateral(width, device)[None, :, None] + shift[0]) // patch, rows, ratio)
    side = torch.randint(2, (count, 1, 1), device=device)
    if strategy == "symmetric-pairs":
        side = torch.full_like(side, BOTH)
    elif strategy == "mixed":
        kind = torch.randint(3, (count, 1, 1), device=device)
        side = torch.where(kind == 0, BOTH, side)
        hidden = hidden | (kind == 2)
    return (hidden & _on_side(side, width))[:, None].float()


def complementary_masks(
    strategy: Strategy, shape: tuple[int, int], patch: int, ratio: float, device: torch.device
) -> Tensor:
    """Fixed masks for prediction, ``[N, 1, *shape]`` float32, that together hide every pixel exactly ``PASSES`` times.

    Each pass deals the patches out to 1/ratio groups and hides one group at a time; the second pass shifts the lattice
    by half a patch. Groups of ``random`` come from a fixed permutation, the others are diagonal stripes of patches.
    ``mixed`` makes one pass like ``hemisphere`` and one like ``symmetric-pairs``.
    """
    groups = max(2, round(1 / ratio))
    masks = []
    for number in range(PASSES):
        shift = number * (patch // 2)
        rows = (torch.arange(shape[1], device=device)[None] + shift) // patch
        if strategy == "random":
            columns = (torch.arange(shape[0], device=device)[:, None] + shift) // patch
            group = _dealt(columns, rows, groups, number)
        else:
            columns = (_lateral(shape[0], device)[:, None] + shift) // patch
            group = (columns + rows) % groups
        one_sided = strategy == "hemisphere" or (strategy == "mixed" and number == 0)
        for side in (LEFT, RIGHT) if one_sided else (BOTH,):
            where = _on_side(torch.full((1, 1), side, device=device), shape[0])
            masks += [(group == index) & where for index in range(groups)]
    return torch.stack(masks)[:, None].float()


def _lateral(width: int, device: torch.device) -> Tensor:
    """Whole pixels between each column and the mid-line, ``[width]``: equal for mirrored columns."""
    return (2 * torch.arange(width, device=device) - (width - 1)).abs() // 2


def _on_side(side: Tensor, width: int) -> Tensor:
    """Whether each column lies on the side, broadcast to ``[…, width, 1]``; a middle column belongs to both."""
    columns = torch.arange(width, device=side.device)[:, None]
    left, right = columns < (width + 1) // 2, columns >= width // 2
    return torch.where(side == LEFT, left, (side == BOTH) | right)


def _hidden_patches(columns: Tensor, rows: Tensor, ratio: float) -> Tensor:
    """Patches hidden with probability ``ratio``: ``columns [B, D, 1]`` and ``rows [B, 1, H]`` number them."""
    count = len(columns)
    table = torch.rand(count, int(columns.max()) + 1, int(rows.max()) + 1, device=columns.device) < ratio
    item = torch.arange(count, device=columns.device)[:, None, None]
    return table[item, columns, rows]


def _dealt(columns: Tensor, rows: Tensor, groups: int, seed: int) -> Tensor:
    """Group of each pixel when a fixed permutation deals the patches out evenly."""
    across, along = int(columns.max()) + 1, int(rows.max()) + 1
    order = torch.randperm(across * along, generator=torch.Generator().manual_seed(seed)).to(columns.device)
    return (order % groups)[columns * along + rows]
