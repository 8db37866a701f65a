"""Regular grids in millimetres and smooth random fields on them (cubic B-spline lattices).

A field is fixed by its lattice coefficients, which do not depend on the grid it is drawn on: the same subject can be
drawn at any voxel size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

CENTRE_MM = (0.0, -17.0, 5.0)
HALF_MM = (84.0, 106.0, 92.0)
"""The field of view, in MNI152 coordinates: room for a head 9 % larger than the template."""

_SPLINE_VARIANCE = 151 / 315
"""Mean over the line of the sum of squared cubic B-splines: the variance of a unit white lattice, one axis."""


@dataclass(frozen=True)
class Grid:
    """Isotropic voxels over the field of view, RAS+, symmetric about the mid-sagittal plane x = 0."""

    spacing: float
    shape: tuple[int, int, int]

    @classmethod
    def covering(cls, spacing: float) -> Grid:
        """The smallest grid of this voxel size (mm) that covers the field of view."""
        x, y, z = (ceil(2 * half / spacing - 1e-9) for half in HALF_MM)
        return cls(spacing, (x, y, z))

    def refined(self, factor: int) -> Grid:
        """The grid whose voxels, averaged in blocks of ``factor``, are the voxels of this one."""
        x, y, z = (size * factor for size in self.shape)
        return Grid(self.spacing / factor, (x, y, z))

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        """Voxel centres along x, y and z in mm."""
        return _centred(self.shape, self.spacing)

    @property
    def affine(self) -> np.ndarray:
        """Voxel index → mm, RAS+."""
        affine = np.diag([self.spacing, self.spacing, self.spacing, 1.0])
        affine[:3, 3] = [axis[0] for axis in self.axes]
        return affine


def _centred(shape: Sequence[int], step: float) -> tuple[np.ndarray, ...]:
    """Evenly spaced coordinates along each axis, symmetric about the centre of the field of view."""
    return tuple(
        (np.arange(size) - (size - 1) / 2) * step + middle for size, middle in zip(shape, CENTRE_MM, strict=True)
    )


def cubic_basis(points: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Cubic B-splines at ``knots`` (evenly spaced) evaluated at ``points``: ``[points, knots]`` float32."""
    t = np.abs(points[:, None] - knots[None, :]) / (knots[1] - knots[0])
    inner = 2 / 3 - t**2 + t**3 / 2
    outer = (2 - t).clip(0) ** 3 / 6
    basis: np.ndarray = np.where(t < 1, inner, outer).astype(np.float32)
    return basis


def linear_basis(points: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Linear interpolation from ``knots`` (evenly spaced) to ``points``: ``[points, knots]`` float32."""
    basis: np.ndarray = (1 - np.abs(points[:, None] - knots[None, :]) / (knots[1] - knots[0])).clip(0)
    return basis.astype(np.float32)


def expand(values: np.ndarray, bases: tuple[np.ndarray, ...]) -> np.ndarray:
    """Separable interpolation of a lattice ``[X, Y, Z]`` with one basis matrix an axis."""
    for basis in bases:
        # each pass consumes the first axis and appends the new one, so three passes restore the order
        values = np.tensordot(values, basis, axes=(0, 1))
    return values


class RandomField:
    """A smooth Gaussian field of zero mean and unit variance with features of about ``scale_mm``.

    Args:
        rng: source of the coefficients.
        scale_mm: lattice spacing.
        asymmetry: share of the part that breaks the mirror symmetry about x = 0; the variance stays 1.
        odd: True for the x component of a vector, which a mirror image reverses.
    """

    def __init__(self, rng: np.random.Generator, scale_mm: float, asymmetry: float = 1.0, odd: bool = False) -> None:
        shape = [ceil(2 * half / scale_mm) + 3 for half in HALF_MM]
        noise = rng.standard_normal(shape, dtype=np.float32)
        mirrored = -noise[::-1] if odd else noise[::-1]
        kept, broken = (noise + mirrored) / 2, (noise - mirrored) / 2
        self.coefficients = (kept + asymmetry * broken) * np.float32(np.sqrt(2 / (1 + asymmetry**2)))
        self.knots = _centred(shape, scale_mm)

    def on(self, grid: Grid) -> np.ndarray:
        """Values at the voxel centres, float32."""
        bases = tuple(cubic_basis(axis, knots) for axis, knots in zip(grid.axes, self.knots, strict=True))
        return expand(self.coefficients, bases) * np.float32(_SPLINE_VARIANCE**-1.5)


def block_mean(values: np.ndarray, factor: int) -> np.ndarray:
    """Mean over blocks of ``factor``³ voxels; the shape must be divisible."""
    for axis in range(3):
        # sums of strided slices, because a mean over six axes is ten times slower
        parts = [values[(slice(None),) * axis + (slice(start, None, factor),)] for start in range(factor)]
        values = np.sum(parts, axis=0) if factor > 1 else values
    return (values / np.float32(factor**3)).astype(np.float32)


def block_max(values: np.ndarray, factor: int) -> np.ndarray:
    """Largest value in blocks of ``factor``³ voxels; the shape must be divisible."""
    x, y, z = (size // factor for size in values.shape)
    highest: np.ndarray = values.reshape(x, factor, y, factor, z, factor).max(axis=(1, 3, 5))
    return highest
