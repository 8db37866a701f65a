"""Mid-sagittal plane of one volume: the reflection under which the brain correlates best with itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

WORKING_MM = 4.0
"""Voxel size, about, at which the plane is searched; finer scans are averaged down to it."""

COARSE_DEGREES = tuple(range(-20, 21, 5))
COARSE_POINTS, FINE_POINTS = 1500, 6000


@dataclass(frozen=True)
class Plane:
    """A plane ``normal · p = offset_mm`` through a volume; p is in mm from the middle of its grid.

    Attributes:
        yaw: rotation of the normal about the inferior–superior axis, in degrees; 0 keeps it left–right.
        roll: rotation about the posterior–anterior axis, in degrees, before the yaw.
        offset_mm: distance from the middle of the grid along the normal.
    """

    yaw: float
    roll: float
    offset_mm: float

    @property
    def axes(self) -> Array:
        """``[3, 3]``: columns are the normal and the two directions within the plane; a proper rotation."""
        yaw, roll = math.radians(self.yaw), math.radians(self.roll)
        turn = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
        tilt = np.array([[math.cos(roll), 0, math.sin(roll)], [0, 1, 0], [-math.sin(roll), 0, math.cos(roll)]])
        axes: Array = turn @ tilt
        return axes

    @property
    def normal(self) -> Array:
        """Unit vector ``[3]`` pointing to the right."""
        normal: Array = self.axes[:, 0]
        return normal


def find_plane(image: Array, brain: Array, spacing: tuple[float, float, float]) -> Plane:
    """Find the plane by registering the volume with its mirror image.

    The Pearson correlation between the brain's voxels and the values at their mirrored places (0 outside the brain) is
    maximised over two angles and an offset: a grid of angles through the brain's centre, then Nelder–Mead.

    Args:
        image: ``[D, H, W]``, any intensities; only those inside the brain count.
        brain: ``[D, H, W]`` bool. Without any brain the middle of the grid is returned.
        spacing: mm along the axes.
    """
    from scipy.optimize import minimize

    values, inside, step, origin = _coarsened(image, brain, spacing)
    points = np.argwhere(inside)
    if not len(points):
        return Plane(0.0, 0.0, 0.0)
    places = points * step + origin
    centre = places.mean(axis=0)
    reference = values[tuple(points.T)]

    def mismatch(plane: Plane, keep: slice) -> float:
        return -_mirror_correlation(values, reference[keep], places[keep], plane, step, origin)

    def through_centre(yaw: float, roll: float, beside: float = 0.0) -> Plane:
        tilted = Plane(yaw, roll, 0.0)
        return Plane(yaw, roll, float(tilted.normal @ centre) + beside)

    few = slice(None, None, max(1, len(points) // COARSE_POINTS))
    start = min(
        (through_centre(yaw, roll) for yaw in COARSE_DEGREES for roll in COARSE_DEGREES),
        key=lambda plane: mismatch(plane, few),
    )
    many = slice(None, None, max(1, len(points) // FINE_POINTS))
    # the third parameter is the offset from the brain's centre: it hardly depends on the angles
    simplex = np.array([start.yaw, start.roll, 0.0]) + np.array([[-1, -1, -1], [4, 0, 0], [0, 4, 0], [0, 0, 4]])
    found = minimize(
        lambda given: mismatch(through_centre(*given), many),
        simplex[0],
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 0.05, "fatol": 1e-6, "maxfev": 150},
    )
    return through_centre(*(float(value) for value in found.x))


def _mirror_correlation(
    values: Array, reference: Array, places: Array, plane: Plane, step: Array, origin: Array
) -> float:
    """Pearson correlation of ``reference`` at ``places`` with ``values`` at the mirrored places."""
    from scipy.ndimage import map_coordinates

    normal = plane.normal
    mirrored = places - 2 * np.outer(places @ normal - plane.offset_mm, normal)
    found = map_coordinates(values, ((mirrored - origin) / step).T, order=1, mode="constant")
    one, other = reference - reference.mean(), found - found.mean()
    norm = math.sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / norm if norm > 0 else -1.0


def _coarsened(image: Array, brain: Array, spacing: tuple[float, float, float]) -> tuple[Array, Array, Array, Array]:
    """Smoothed values, brain, voxel size and place of the first voxel (mm from the middle of the full grid)."""
    from scipy.ndimage import gaussian_filter

    factors = [max(1, int(1.25 * WORKING_MM / side)) for side in spacing]
    masked = np.where(brain, image, 0).astype(np.float32)
    inside_values = masked[brain]
    if inside_values.size:  # a bright lesion must not outweigh the anatomy
        masked = np.clip(masked, None, np.percentile(inside_values, 98))
    values, shares = (_block_mean(volume, factors) for volume in (masked, brain.astype(np.float32)))
    step = np.array(spacing) * factors
    origin = ((np.array(factors) - 1) / 2 - (np.array(image.shape) - 1) / 2) * np.array(spacing)
    # smoothing makes interpolation blur alike everywhere: else planes through voxel centres would be favoured
    smooth = gaussian_filter(values, WORKING_MM / step, mode="constant")
    return smooth, shares >= 0.5, step, origin


def _block_mean(volume: Array, factors: list[int]) -> Array:
    padding = [(0, -side % factor) for side, factor in zip(volume.shape, factors, strict=True)]
    padded = np.pad(volume, padding)
    blocks: list[int] = []
    for side, factor in zip(padded.shape, factors, strict=True):
        blocks += [side // factor, factor]
    mean: Array = padded.reshape(blocks).mean(axis=(1, 3, 5))
    return mean
