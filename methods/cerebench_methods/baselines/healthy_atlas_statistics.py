"""Mean and spread of aligned brains from running sums; imported while training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from cerebench_methods.baselines.healthy_atlas_registration import moments, smoothed
from cerebench_methods.baselines.healthy_atlas_volume import Brain, Frame

NEIGHBOURHOOD_MM = 8.0
"""Standard deviation of the Gaussian by which the neighbourhood stands in where few brains reach."""

FAINT = 1e-3
"""Brains' worth of weight of the whole brain's mean and variance: they decide far outside alone."""


class Sums:
    """Sums over brains: weights ``[D, H, W]``, weighted intensities and squares ``[C, D, H, W]``, in float64.

    Interpolated intensities are already weighted: outside the brain they are 0.
    """

    def __init__(self, shape: tuple[int, ...], device: Any) -> None:
        self.count = 0
        self.weights = torch.zeros(shape[1:], dtype=torch.float64, device=device)
        self.values, self.squares = (torch.zeros(shape, dtype=torch.float64, device=device) for _ in range(2))

    def add(self, intensities: Tensor, weights: Tensor) -> None:
        """Take in one brain: weighted intensities ``[C, D, H, W]`` and weights ``[D, H, W]``."""
        self.count += 1
        self.weights += weights
        self.values += intensities
        # value² × weight, of a value that is the ratio of the two
        self.squares += intensities.double().square() / weights.clamp(min=1e-3)

    def template(self) -> tuple[Tensor, Tensor]:
        """Mean over brains and channels with 0 outside, and share of brains, ``[D, H, W]`` each."""
        return (self.values.mean(0) / self.count).float(), (self.weights / self.count).float()


def first_frame(brains: Iterable[Brain], shape: tuple[int, ...], spacing: tuple[float, ...], device: Any) -> Frame:
    """A frame whose brain lies in the middle of the grid and has the mean extent."""
    extents = torch.stack([moments(brain.inside, brain.spacing)[1] for brain in brains])
    step = torch.tensor(spacing, device=device)
    empty = torch.zeros(shape, device=device)
    return Frame(empty, empty, step, (torch.zeros_like(step), extents.mean(0)))


def atlas(
    sums: Sums, spacing: Tensor, spread_mm: float, min_spread: float, prior_cases: float
) -> tuple[Tensor, Tensor]:
    """Mean and spread ``[C, D, H, W]`` at every place of the grid.

    Mean: weighted mean of the brains, with ``prior_cases`` at the mean of the neighbourhood. Variance: of the brains
    about their own mean, with ``prior_cases`` at that of the neighbourhood, then smoothed. The spread is its root, at
    least ``min_spread``.
    """
    weights, values = sums.weights[None], sums.values
    raw = (sums.squares - values.square() / weights.clamp(min=1e-3)).clamp(min=0)
    mean = (values + prior_cases * _around(values, weights, spacing)) / (weights + prior_cases)
    variance = (raw + prior_cases * _around(raw, weights, spacing)) / (weights + prior_cases)
    spread = smoothed(variance, spacing, spread_mm) / smoothed(torch.ones_like(variance), spacing, spread_mm)
    return mean.float(), spread.sqrt().clamp(min=min_spread).float()


def _around(values: Tensor, weights: Tensor, spacing: Tensor) -> Tensor:
    """Weighted mean of the neighbourhood of every place ``[C, D, H, W]`` from weighted sums."""
    whole = values.flatten(1).sum(1) / weights.sum().clamp(min=1e-3)
    near, share = (smoothed(one, spacing, NEIGHBOURHOOD_MM) for one in (values, weights))
    return (near + FAINT * whole[:, None, None, None]) / (share + FAINT)
