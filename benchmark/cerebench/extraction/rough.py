"""From a head to a first guess of its brain by threshold, opening and closing; no atlas, no ANTs."""

from __future__ import annotations

from typing import Any

import numpy as np

from cerebench.errors import DataError
from cerebench.extraction.settings import Numbers
from cerebench.prepare.read import Scan

Array = np.ndarray[Any, Any]

_BINS = 256


def otsu(values: Array) -> float:
    """Threshold of largest between-class variance (Otsu, IEEE SMC 1979) on 256 bins.

    Args:
        values: any shape, not all equal.
    """
    counts, edges = np.histogram(values, bins=_BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    weight = np.cumsum(counts)
    total = np.cumsum(counts * centres)
    below, above = weight[:-1], weight[-1] - weight[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = total[:-1] / below - (total[-1] - total[:-1]) / above
    return float(centres[:-1][np.nanargmax(below * above * gap**2)])


def head_mask(scan: Scan, numbers: Numbers) -> Array:
    """Voxels of the head, ``[X, Y, Z]`` bool: the largest bright object, holes filled."""
    from scipy.ndimage import binary_fill_holes, gaussian_filter

    smooth = gaussian_filter(scan.data, numbers.registration_mm / 2 / np.array(scan.spacing))
    return np.asarray(binary_fill_holes(largest(smooth > numbers.head_level * otsu(smooth))))


def rough_brain(scan: Scan, head: Array, numbers: Numbers) -> tuple[Array, dict[str, float]]:
    """First guess of the brain.

    Bright voxels inside the head are opened with balls of growing radius until the largest object that is left has
    the size of a brain: fat, muscle and eyes hang on it by thin bridges only. Sulci and ventricles are then closed.
    Where too little is left, less bright voxels are let in and it starts anew.

    Args:
        scan: N4-corrected, about 2 mm.
        head: from :func:`head_mask`.
        numbers: parameters.

    Returns:
        Mask ``[X, Y, Z]`` bool; and ``level``, ``opening_mm`` and ``ml``.

    Raises:
        DataError: nothing of a brain's size.
    """
    low, high = numbers.rough_ml
    threshold = otsu(scan.data[head])
    sizes: list[float] = []
    for level in numbers.rough_levels:
        inside = _distance(head & (scan.data > level * threshold), scan)
        for radius in numbers.rough_opening_mm:
            brain = _opened(inside > radius, radius, scan, numbers)
            sizes.append(millilitres(brain, scan))
            if low <= sizes[-1] <= high:
                return brain, {"level": level, "opening_mm": radius, "ml": sizes[-1]}
            if sizes[-1] < low:
                break
    raise DataError(
        f"{scan.path}: found no object of a brain's size in the head (at most {max(sizes):.0f} ml, at least "
        f"{min(sizes):.0f} ml, expected {low:.0f} to {high:.0f}); look at the image, and give a brain "
        "mask if it is sound"
    )


def _opened(core: Array, radius: float, scan: Scan, numbers: Numbers) -> Array:
    if not core.any():
        return core
    # one voxel more than was taken away, for the rim that the threshold missed
    wide = grow(largest(core), scan, radius + max(1.0, min(scan.spacing) / 2))
    return _closed(wide, scan, numbers.rough_closing_mm)


def grow(mask: Array, scan: Scan, millimetres: float) -> Array:
    """The mask and everything within a distance of it."""
    if millimetres <= 0:
        return mask
    return _distance(~mask, scan) <= millimetres


def largest(mask: Array) -> Array:
    """Largest connected object (by faces) of a mask."""
    from scipy.ndimage import label

    components, count = label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    return np.asarray(components == int(sizes.argmax()))


def millilitres(mask: Array, scan: Scan) -> float:
    """Volume of a mask on a scan's grid."""
    return float(np.count_nonzero(mask)) * abs(float(np.linalg.det(scan.affine[:3, :3]))) / 1000.0


def _closed(mask: Array, scan: Scan, radius: float) -> Array:
    from scipy.ndimage import binary_fill_holes

    width = [int(np.ceil(radius / side)) + 1 for side in scan.spacing]
    padded = np.pad(mask, [(side, side) for side in width])  # so that the border counts as outside
    wide = Scan(scan.path, padded, scan.affine)
    closed = _distance(grow(padded, wide, radius), wide) > radius
    inner = tuple(slice(side, -side) for side in width)
    return np.asarray(binary_fill_holes(closed[inner] | mask))


def _distance(mask: Array, scan: Scan) -> Array:
    from scipy.ndimage import distance_transform_edt

    return np.asarray(distance_transform_edt(mask, sampling=scan.spacing))
