"""Grids: canonical order, the target grid around the brain, and resampling onto it through world coordinates."""

from __future__ import annotations

import warnings
from itertools import product
from math import log
from typing import Any

import numpy as np

from cerebench.prepare.read import Scan

Array = np.ndarray[Any, Any]


def canonical(scan: Scan) -> Scan:
    """The same scan with axes permuted and flipped to the closest RAS+ order; no interpolation."""
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    orientation = io_orientation(scan.affine)  # type: ignore[no-untyped-call]
    if np.array_equal(orientation, [[0, 1], [1, 1], [2, 1]]):
        return scan
    data = apply_orientation(scan.data, orientation)  # type: ignore[no-untyped-call]
    affine = scan.affine @ inv_ornt_aff(orientation, scan.shape)  # type: ignore[no-untyped-call]
    return Scan(scan.path, data, affine, scan.oriented)


def bounding_box(mask: Array) -> tuple[slice, slice, slice]:
    """Smallest box that holds every True voxel of a non-empty mask."""
    sides = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        where = np.flatnonzero(mask.any(axis=others))
        sides.append(slice(int(where[0]), int(where[-1]) + 1))
    return sides[0], sides[1], sides[2]


def target_affine(reference: Scan, brain: Array, spacing: float, shape: tuple[int, int, int]) -> Array:
    """Affine of the target grid: the reference's axes, isotropic, centred on the brain's bounding box.

    The grid is then moved by at most half a voxel of the reference: onto its voxel centres where the spacings agree (a
    scan that already has the target's spacing is cut and padded without interpolation), else so that no target voxel
    lies midway between two voxels (nearest neighbour would round all such ties one way and so shift masks).

    Args:
        reference: scan in canonical order.
        brain: ``[X, Y, Z]`` bool on its grid.
        spacing: mm.
        shape: voxels of the target.
    """
    steps = spacing / np.array(reference.spacing)
    box = bounding_box(brain)
    centre = np.array([(side.start + side.stop - 1) / 2 for side in box])
    ideal = centre - steps * (np.array(shape) - 1) / 2
    offset = np.array([_offset(float(step), side) for step, side in zip(steps, shape, strict=True)])
    first = np.rint(ideal - offset) + offset
    affine = reference.affine.copy()
    affine[:3, :3] *= steps
    affine[:3, 3] = (reference.affine @ np.array([*first, 1.0]))[:3]
    return affine


def _offset(step: float, side: int) -> float:
    # Place of the first target voxel between two source voxels that keeps all target voxels farthest from the middle.
    def clearance(offset: float) -> float:
        return round(float(np.abs((offset + step * np.arange(side)) % 1.0 - 0.5).min()), 4)

    return max((0.0, 0.25, 0.125, 0.0625, 0.03125), key=clearance)


def smoothing(step: float) -> float:
    """Standard deviation, in source voxels, of the Gaussian applied before taking every ``step``-th voxel.

    Source and target voxels are taken as Gaussian point spread functions with a full width at half maximum of one
    voxel; the filter is what turns the first into the second (Cardoso et al., MICCAI 2015).
    0 where nothing is coarsened.
    """
    return float(np.sqrt(max(step * step - 1.0, 0.0) / (8.0 * log(2.0))))


def between(source: Array, target: Array) -> Array:
    """4x4 that turns voxel indices of the target grid into those of the source grid; rounding noise removed."""
    matrix = np.linalg.solve(source, target)
    nearest = np.rint(matrix)
    clean: Array = np.where(np.abs(matrix - nearest) < 1e-5, nearest, matrix)
    return clean


def resample(data: Array, matrix: Array, shape: tuple[int, ...], order: int) -> Array:
    """Values at the target's voxels; 0 beyond half a voxel outside the source.

    Args:
        data: ``[X, Y, Z]``.
        matrix: from :func:`between`.
        shape: target shape.
        order: 0 nearest neighbour, 1 linear.
    """
    from scipy.ndimage import affine_transform

    linear = matrix[:3, :3]
    if np.array_equal(linear, np.eye(3)) and np.array_equal(matrix[:3, 3], np.rint(matrix[:3, 3])):
        return _copy(data, [int(start) for start in matrix[:3, 3]], shape)
    diagonal = np.diag(linear)
    if np.array_equal(linear, np.diag(diagonal)):
        with warnings.catch_warnings():
            # SciPy warns of a change made in 2016 whenever its fast diagonal path is used.
            warnings.filterwarnings("ignore", message="The behavior of affine_transform", category=UserWarning)
            out = affine_transform(
                data, diagonal, matrix[:3, 3], shape, order=order, mode="grid-constant", cval=0, prefilter=False
            )
    else:
        out = affine_transform(
            data, linear, matrix[:3, 3], shape, order=order, mode="grid-constant", cval=0, prefilter=False
        )
    result: Array = out
    return result


def _copy(data: Array, start: list[int], shape: tuple[int, ...]) -> Array:
    # The same voxels, cut and padded with 0: what interpolation gives on a shared lattice, without its cost.
    out = np.zeros(shape, dtype=data.dtype, order="F")
    source, target = [], []
    for first, length, side in zip(start, data.shape, shape, strict=True):
        low, high = max(first, 0), min(first + side, length)
        source.append(slice(low, max(low, high)))
        target.append(slice(low - first, max(low, high) - first))
    out[tuple(target)] = data[tuple(source)]
    return out


def resample_within(image: Array, brain: Array, matrix: Array, shape: tuple[int, ...]) -> Array:
    """Linear, anti-aliased resampling that lets brain voxels alone contribute (normalised convolution).

    Background, zero or not, never darkens the rim of the brain. Where no brain voxel is near, the result is 0.

    Args:
        image: ``[X, Y, Z]`` float32.
        brain: same shape, bool, not empty.
        matrix: from :func:`between`.
        shape: target shape.
    """
    from scipy.ndimage import gaussian_filter

    box = bounding_box(brain)
    weight = brain[box].astype(np.float32)
    value = image[box] * weight
    sigma = [smoothing(float(np.linalg.norm(row))) for row in matrix[:3, :3]]
    if any(sigma):
        value = gaussian_filter(value, sigma, mode="constant")
        weight = gaussian_filter(weight, sigma, mode="constant")
    shifted = matrix.copy()
    shifted[:3, 3] -= [side.start for side in box]
    value = resample(value, shifted, shape, order=1)
    weight = resample(weight, shifted, shape, order=1)
    out = np.zeros(shape, dtype=np.float32)
    np.divide(value, weight, out=out, where=weight > 1e-8)
    return out


def voxels_outside(mask: Array, matrix: Array, shape: tuple[int, ...]) -> int:
    """How many True voxels of a source mask lie outside the target grid.

    Args:
        mask: ``[X, Y, Z]`` bool.
        matrix: from :func:`between`.
        shape: target shape.
    """
    if not mask.any():
        return 0
    back = np.linalg.inv(matrix)

    def inside(places: Array) -> Array:
        index = places @ back[:3, :3].T + back[:3, 3]
        return np.asarray(((index >= -0.5) & (index < np.array(shape) - 0.5)).all(axis=1))

    box = bounding_box(mask)
    corners = np.array(list(product(*((side.start, side.stop - 1) for side in box))))
    if inside(corners).all():
        return 0
    return int(np.count_nonzero(~inside(np.argwhere(mask))))
