"""Synthetic anomalies of gradual severity in healthy slices; imported while training.

An anomaly has a shape, a content and a severity, drawn independently of each other from torch's generator.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cerebench_methods.baselines.dae_noise import coarse_noise, foreground
from cerebench_methods.baselines.fpi_patches import foreign_slices, rectangles

BLOB_SHARE = 0.5
"""Standard deviation of the noise that frays the outline of a blob, in its half axes."""


def shapes(slices: Tensor, least: float, most: float, cell: tuple[float, ...]) -> Tensor:
    """Where the anomaly lies in each of ``[B, C, D, H]``, in [0, 1], ``[B, 1, D, H]``: a rectangle or a frayed ellipse.

    Args:
        slices: anomalies lie inside what is not 0.
        least: least side as a share of the slice's.
        most: greatest side as a share of the slice's.
        cell: distance of the nodes of the fraying noise along D and H in pixels.
    """
    boxes = rectangles(slices, least, most)
    distance = torch.zeros_like(boxes)
    for axis in (2, 3):
        places = torch.arange(boxes.shape[axis], device=boxes.device, dtype=boxes.dtype)
        places = places.view(*(-1 if other == axis else 1 for other in range(4)))
        weights = boxes.sum((2, 3), keepdim=True).clamp(min=1)
        middle = (boxes * places).sum((2, 3), keepdim=True) / weights
        half = boxes.amax(5 - axis, keepdim=True).sum((2, 3), keepdim=True).clamp(min=1) / 2
        distance = distance + ((places - middle) / half).square()
    frayed = distance.sqrt() + coarse_noise(boxes, cell, BLOB_SHARE)
    # from 1 well inside to 0 outside over a fifth of the half axes
    blobs = ((1.1 - frayed) / 0.2).clamp(0, 1) * boxes
    choice = torch.rand(len(slices), 1, 1, 1, device=slices.device) < 0.5
    return torch.where(choice, boxes, blobs) * foreground(slices)


def contents(slices: Tensor, shift: float, cell: tuple[float, ...]) -> Tensor:
    """What each of ``[B, C, D, H]`` becomes where its anomaly is at its worst, same shape.

    Texture and intensity are drawn apart: another slice or, as often, the slice itself; a change of intensity, of which
    a third is the same everywhere, a third varies in space, and a third is none unless the texture is the own one.

    Args:
        slices: healthy ones.
        shift: greatest change of intensity, up or down, where tissue spans about 1.
        cell: distance of the nodes of varying changes along D and H in pixels.
    """
    count, channels = slices.shape[:2]
    foreign = foreign_slices(slices)
    foreign = torch.where(foreground(foreign) > 0, foreign, slices)
    other = torch.rand(count, 1, 1, 1, device=slices.device) < 0.5
    change = shift * (2 * torch.rand(count, channels, 1, 1, device=slices.device) - 1)
    varying = change + coarse_noise(slices, cell, shift / 4)
    choice = torch.randint(3, (count, 1, 1, 1), device=slices.device)
    none = torch.where(other, torch.zeros_like(change), change)
    added = torch.where(choice == 0, change, torch.where(choice == 1, varying, none))
    return torch.where(other, foreign, slices) + added


def corrupted(
    slices: Tensor, severities: Tensor, least: float, most: float, shift: float, cell: tuple[float, ...]
) -> Tensor:
    """Slices ``[B, C, D, H]`` with an anomaly of severity ``[B]`` in (0, 1] each: 1 is the anomaly at its worst."""
    where = severities[:, None, None, None] * shapes(slices, least, most, cell)
    return slices + where * (contents(slices, shift, cell) - slices)
