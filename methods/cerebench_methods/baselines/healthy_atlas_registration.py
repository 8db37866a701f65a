"""Affine registration of brains by damped Gauss–Newton steps on few thousand points; imported with the first brain.

Places are mm from the middle of their grid, transforms ``[3, 4]`` float64: rows of a matrix and a shift.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from monai.networks.layers.simplelayers import GaussianFilter
from torch import Tensor

WORKING_MM = 4.0
"""Voxel size, about, at which brains are compared; finer ones are sampled down to it."""

SMOOTHING_MM = (8.0, 4.0)
"""Standard deviations of the Gaussian of each level, coarse to fine."""

POINTS, FEWEST = 6000, 100
"""Most points that are compared, and fewest with which it is tried at all."""

ITERATIONS, REWEIGHTINGS = 12, 3
LEAST_GAIN = 1e-3
"""Share of the cost below which a step is the last one of its level."""

LENGTH_MM = 50.0
"""Typical distance from the middle: makes the parameters of matrix and shift alike."""


@dataclass(frozen=True)
class Level:
    """One brain at one smoothness.

    Attributes:
        volume: ``[4, *grid]``: intensity and its slopes per mm.
        spacing: voxel size in mm.
        places: ``[N, 3]`` mm, spread over the brain and its rim.
        values: intensities there, ``[N]``.
    """

    volume: Tensor
    spacing: Tensor
    places: Tensor
    values: Tensor


def grid_places(shape: tuple[int, ...], spacing: Tensor) -> Tensor:
    """Voxel centres ``[prod(shape), 3]`` in mm."""
    axes = [torch.arange(side, device=spacing.device, dtype=spacing.dtype) - (side - 1) / 2 for side in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, 2) * spacing


def sample(volume: Tensor, places: Tensor, spacing: Tensor, outside: str = "zeros") -> Tensor:
    """Trilinear values ``[C, N]`` of a volume ``[C, D, H, W]`` at places ``[N, 3]``.

    Args:
        volume: any floats.
        places: mm from the middle of its grid.
        spacing: its voxel size ``[3]`` in mm.
        outside: ``zeros`` beyond the grid, or ``border`` for the nearest value.
    """
    sides = torch.tensor(volume.shape[1:], device=places.device, dtype=places.dtype)
    grid = (places / spacing * 2 / (sides - 1).clamp(min=1)).flip(-1).to(volume.dtype)
    return F.grid_sample(volume[None], grid[None, None, None], padding_mode=outside, align_corners=True)[0, :, 0, 0]


def moved(transform: Tensor, places: Tensor) -> Tensor:
    """Places ``[N, 3]`` after a transform ``[3, 4]``."""
    return places @ transform[:, :3].T + transform[:, 3]


def inverse(transform: Tensor) -> Tensor:
    """The transform ``[3, 4]`` that leads back."""
    matrix = torch.linalg.inv(transform[:, :3])
    return torch.column_stack([matrix, -matrix @ transform[:, 3]])


def smoothed(volume: Tensor, spacing: Tensor, sigma_mm: float) -> Tensor:
    """Volume ``[C, D, H, W]`` after a Gaussian; what lies outside the grid counts as 0."""
    if sigma_mm == 0:
        return volume
    blur = GaussianFilter(3, [sigma_mm / side for side in spacing.tolist()]).to(volume.device)
    return torch.as_tensor(blur(volume[:, None]))[:, 0]


def levels(image: Tensor, brain: Tensor, spacing: Tensor) -> list[Level]:
    """A brain ``[D, H, W]`` (0 outside ``brain``) at every smoothness, coarse to fine."""
    factors = (WORKING_MM / spacing).int().clamp(min=1)
    shape = tuple(-(-side // factor) for side, factor in zip(image.shape, factors.tolist(), strict=True))
    step = spacing * factors
    coarse = grid_places(shape, step)
    found = []
    for sigma in SMOOTHING_MM:
        soft = smoothed(torch.stack([image, brain.to(image.dtype)]), spacing, sigma)
        if factors.max() > 1:
            soft = sample(soft, coarse, spacing).view(-1, *shape)
        near = (soft[1] > 0.1).flatten().nonzero().flatten()
        near = near[:: max(1, len(near) // POINTS)]
        slopes = torch.gradient(soft[0], spacing=step.tolist())
        found.append(Level(torch.stack([soft[0], *slopes]), step, coarse[near], soft[0].flatten()[near]))
    return found


def moments(brain: Tensor, spacing: Tensor) -> tuple[Tensor, Tensor]:
    """Centre and standard deviation along the axes ``[3]`` each, in mm, of a brain ``[D, H, W]``."""
    places = grid_places(tuple(brain.shape), spacing)[brain.flatten()]
    if len(places) < 2:
        return torch.zeros_like(spacing), torch.ones_like(spacing)
    return places.mean(0), places.std(0).clamp(min=1.0)


def by_moments(fixed: tuple[Tensor, Tensor], moving: tuple[Tensor, Tensor]) -> Tensor:
    """From fixed to moving places, ``[3, 4]``: the scaling and shift between two brains' :func:`moments`."""
    scale = moving[1] / fixed[1]
    return torch.column_stack([torch.diag(scale), moving[0] - scale * fixed[0]])


def register(fixed: list[Level], moving: list[Level], start: Tensor) -> Tensor:
    """The transform ``[3, 4]`` from fixed to moving places under which the brains resemble each other most.

    A robust mean of the differences after the best linear map of intensities (Geman–McClure) is lowered, level by
    level, over all 12 parameters: points that differ by far more than most, such as lesions, count little. A step that
    does not lower it is not taken.

    Args:
        fixed: :func:`levels` of the brain that stays.
        moving: those of the brain that is looked up.
        start: transform ``[3, 4]`` to begin with.
    """
    transform = start.double()
    for one, other in zip(fixed, moving, strict=True):
        if len(one.places) < FEWEST:
            return transform
        transform = _refined(one, other, transform)
    return transform


def _refined(fixed: Level, moving: Level, start: Tensor) -> Tensor:
    places, spacing = fixed.places.double(), moving.spacing.double()
    wanted, damping = fixed.values.double(), 1e-3

    def compared(transform: Tensor, scale: Tensor | None = None) -> Fit:
        return _fit(sample(moving.volume, moved(transform, places), spacing).double(), wanted, scale)

    kept, best = start, compared(start)
    for _ in range(ITERATIONS):
        normal, gradient = _equations(best, places)
        ridge = torch.diag(damping * normal.diagonal() + 1e-9 * normal.diagonal().max().clamp(min=1e-9))
        step = torch.linalg.solve(normal + ridge, -gradient)[:12].view(3, 4)
        proposed = kept + step / step.new_tensor([LENGTH_MM] * 3 + [1.0])
        found = compared(proposed, best.scale)
        gain = float(1 - found.cost / best.cost.clamp(min=1e-12))
        if gain > 0:
            kept, best, damping = proposed, compared(proposed), damping / 5
            if gain < LEAST_GAIN:
                break
        else:
            damping *= 10
    return kept


@dataclass(frozen=True)
class Fit:
    """Intensities of one brain as a linear map of the other's.

    Attributes:
        found: ``[4, N]``: the other's intensities and slopes per mm.
        linear: ``[N, 2]``: intensities and ones.
        factors: slope and offset of the map.
        residual: ``[N]``.
        weights: of the points, ``[N]``, in (0, 1].
        scale: residual at which a point counts for a quarter.
        cost: robust mean of the residuals in multiples of ``scale``.
    """

    found: Tensor
    linear: Tensor
    factors: Tensor
    residual: Tensor
    weights: Tensor
    scale: Tensor
    cost: Tensor


def _fit(found: Tensor, wanted: Tensor, scale: Tensor | None) -> Fit:
    """The linear map of ``found[0]`` to ``wanted`` by reweighted least squares; ``None``: scale by the median."""
    linear = torch.stack([found[0], torch.ones_like(wanted)], 1)
    weights, given = torch.ones_like(wanted), scale
    for _ in range(REWEIGHTINGS):
        weighted = linear * weights[:, None]
        factors = torch.linalg.solve(weighted.T @ linear + 1e-9 * torch.eye(2).to(linear), weighted.T @ wanted)
        residual = linear @ factors - wanted
        given = (3 * 1.4826 * residual.abs().median()).clamp(min=1e-6) if scale is None else scale
        squared = (residual / given).square()
        weights = 1 / (1 + squared).square()
    return Fit(found, linear, factors, residual, weights, torch.as_tensor(given), (squared / (1 + squared)).mean())


def _equations(fit: Fit, places: Tensor) -> tuple[Tensor, Tensor]:
    """Normal matrix ``[14, 14]`` and gradient ``[14]``: 12 parameters, then slope and offset of the intensities."""
    extended = torch.column_stack([places / LENGTH_MM, torch.ones_like(fit.residual)])
    slopes = fit.factors[0] * fit.found[1:].T[:, :, None] * extended[:, None]
    jacobian = torch.column_stack([slopes.flatten(1), fit.linear])
    weighted = jacobian * fit.weights[:, None]
    return weighted.T @ jacobian, weighted.T @ fit.residual
