"""What kinds of lesion share: places, fronts that fill a volume, ellipsoids, mass effect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from cerebench_datasets.insilico.anatomy import Tissue
from cerebench_datasets.insilico.lesion import Lesion

MOVED = ("csf", "gm", "wm", "detail")
"""Maps that a mass effect moves."""

_RIM_TAPER_MM = 15.0

_NEVER = 1e5
"""From this value on a front never arrives."""
_HALVINGS = 24
_FALL_OFF = 2.5


def share(rng: np.random.Generator, mean: float) -> float:
    """A share in (0, 1) of this mean (beta distribution, concentration 6)."""
    return float(rng.beta(6 * mean, 6 * (1 - mean)))


def draw_voxel(rng: np.random.Generator, weights: np.ndarray) -> tuple[np.intp, ...]:
    """Index of one voxel, drawn in proportion to ``weights`` ``[X, Y, Z]``."""
    cumulative = np.cumsum(weights.ravel(), dtype=np.float64)
    return np.unravel_index(np.searchsorted(cumulative, rng.random() * cumulative[-1]), weights.shape)


def fill(front: np.ndarray, voxels: float, edge_mm: float) -> np.ndarray:
    """Soft set of the ``voxels`` lowest values of ``front``: 1 inside, 0 outside, a ramp of ``edge_mm`` between.

    Only the largest connected part is kept.
    """
    from scipy import ndimage

    count = int(np.clip(round(voxels), 1, front.size - 1))
    level = np.partition(front, count, axis=None)[count]
    ramp: np.ndarray = np.clip(0.5 + (level - front) / edge_mm, 0, 1).astype(np.float32)
    parts, _ = ndimage.label(ramp >= 0.5)
    largest = parts == np.bincount(parts.ravel())[1:].argmax() + 1
    edge = (ramp < 0.5) & ndimage.binary_dilation(largest, iterations=2)
    kept: np.ndarray = ramp * (largest | edge)
    return kept


def push(tissue: Tissue, offset: np.ndarray, distance: np.ndarray, radius: float, strength: float) -> None:
    """Move tissue away from the core; the brain's surface stays where it is.

    The pull-back r → r − a·exp(−r/2R)·min(r/R, 1) rises strictly for a ≤ R/2, so nothing folds.
    """
    from scipy import ndimage

    amount = strength * radius * np.exp(-distance / (2 * radius)) * np.minimum(distance / radius, 1)
    amount *= np.clip(tissue.depth / _RIM_TAPER_MM, 0, 1)
    region = ndimage.find_objects((amount > 0.2).astype(np.uint8))[0]
    where = np.indices(distance.shape, dtype=np.float32)[:, *region]
    step = (amount / np.maximum(distance, 1e-3) / tissue.grid.spacing)[region]
    where = where - offset[:, *region] * step
    for name in MOVED:
        values = getattr(tissue, name)
        values[region] = ndimage.map_coordinates(values, where, order=1, mode="nearest", prefilter=False)
    total = (tissue.csf + tissue.gm + tissue.wm)[region]
    rest = tissue.brain[region] / np.maximum(total, 1e-3)
    for name in ("csf", "gm", "wm"):
        getattr(tissue, name)[region] *= np.where(total > 1e-3, rest, 1)


def ellipsoid(
    tissue: Tissue, centre: np.ndarray, radius: float, elongation: float, rng: np.random.Generator, edge_mm: float
) -> tuple[tuple[slice, ...], np.ndarray]:
    """A box of voxels and one ellipsoid in it; its long axis points away from the midline, as Dawson's fingers do."""
    axes = tissue.grid.axes
    reach = radius * elongation + 1.5
    box = tuple(
        slice(int(np.searchsorted(axis, at - reach)), int(np.searchsorted(axis, at + reach)) + 1)
        for axis, at in zip(axes, centre, strict=True)
    )
    direction = np.array([np.sign(centre[0]) or 1.0, 0.0, 0.3]) + 0.35 * rng.standard_normal(3)
    direction /= np.linalg.norm(direction)
    local = [axis[part] - at for axis, part, at in zip(axes, box, centre, strict=True)]
    offset = np.stack(np.meshgrid(*local, indexing="ij"))
    along = np.tensordot(direction, offset, axes=1)
    across = np.sqrt(np.maximum((offset**2).sum(0) - along**2, 0))
    narrow = radius / elongation ** (1 / 3)
    level = np.hypot(across / narrow, along / (narrow * elongation))
    ramp: np.ndarray = np.clip(0.5 + (1 - level) * narrow / edge_mm, 0, 1)
    return box, ramp


def lognormal_ml(rng: np.random.Generator, median: float, spread: float, limits: tuple[float, float]) -> float:
    """A volume in ml: lognormal with this median and deviation of the logarithm, clipped to ``limits``."""
    return float(np.clip(median * rng.lognormal(0, spread), *limits))


def ball_radius(volume_ml: float) -> float:
    """Radius in mm of a ball of this volume."""
    return float((volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3))


def voxel_centre(tissue: Tissue, index: Sequence[np.intp]) -> np.ndarray:
    """Centre of a voxel in mm."""
    return np.array([axis[i] for axis, i in zip(tissue.grid.axes, index, strict=True)])


Box = tuple[slice, ...]


def box_around(tissue: Tissue, point: np.ndarray, reach_mm: float) -> tuple[Box, tuple[np.ndarray, ...]]:
    """Voxels within ``reach_mm`` of ``point`` along each axis, and their offsets from it in mm along x, y and z.

    Working in a box keeps a lesion's cost in proportion to its size.
    """
    axes = tissue.grid.axes
    box = tuple(
        slice(int(np.searchsorted(axis, at - reach_mm)), int(np.searchsorted(axis, at + reach_mm)) + 1)
        for axis, at in zip(axes, point, strict=True)
    )
    local = [axis[part] - at for axis, part, at in zip(axes, box, point, strict=True)]
    return box, tuple(each.astype(np.float32) for each in np.meshgrid(*local, indexing="ij", sparse=True))


def placed(shape: tuple[int, ...], box: Box, values: np.ndarray) -> np.ndarray:
    """``values`` of a box in a float32 map that is 0 elsewhere."""
    full = np.zeros(shape, np.float32)
    full[box] = values
    return full


def compress(tissue: Tissue, box: Box, offset: tuple[np.ndarray, ...], level: np.ndarray, strength: float) -> None:
    """Move tissue in ``box`` away from a point, at or near the brain's surface too; the surface stays where it is.

    Args:
        tissue: changed in place.
        box: where.
        offset: from the point, in mm along x, y and z.
        level: distance from the point in units of the growth's radius in that direction, ``[X, Y, Z]`` of the box,
            which should reach to level 2.4, where the movement has faded.
        strength: share of the radius by which tissue at the growth's border moves; below 1 nothing folds.
    """
    from scipy import ndimage

    # share of the way back to the point; level − strength·exp(−k (level − 1)) rises strictly, so nothing folds
    back = strength * np.where(level < 1, 1, np.exp(-_FALL_OFF * (level - 1)) / np.maximum(level, 1))
    where = np.indices(level.shape, dtype=np.float32)
    where -= back.astype(np.float32) * np.stack(np.broadcast_arrays(*offset)) / np.float32(tissue.grid.spacing)
    for name in MOVED:
        values = getattr(tissue, name)
        values[box] = ndimage.map_coordinates(values[box], where, order=1, mode="nearest", prefilter=False)
    total = tissue.csf[box] + tissue.gm[box] + tissue.wm[box]
    # where the pull-back left the brain there is nothing to scale: fluid fills the gap
    tissue.csf[box] += np.where(total > 1e-3, 0, tissue.brain[box])
    rest = np.where(total > 1e-3, tissue.brain[box] / np.maximum(total, 1e-3), 1)
    for name in ("csf", "gm", "wm"):
        getattr(tissue, name)[box] *= rest


def lowest(front: np.ndarray, voxels: float, edge_mm: float, room: np.ndarray | float = 1.0) -> np.ndarray:
    """Soft set of the lowest values of ``front``, in as many parts as there are: 1 inside, a ramp of ``edge_mm``, 0.

    The level is such that the set times ``room``, the share of each voxel that may be taken, sums up to ``voxels``, or
    to all there is.
    """
    reached = front < _NEVER
    values, share = front[reached], np.broadcast_to(room, front.shape)[reached]
    if values.size == 0:
        return np.zeros(front.shape, np.float32)
    low, high = float(values.min()) - edge_mm, float(values.max()) + edge_mm
    for _ in range(_HALVINGS):
        level = (low + high) / 2
        filled = float((np.clip(0.5 + (level - values) / edge_mm, 0, 1) * share).sum())
        low, high = (level, high) if filled < voxels else (low, level)
    ramp: np.ndarray = np.clip(0.5 + (high - front) / edge_mm, 0, 1).astype(np.float32) * reached
    return ramp


def uneven_border(bulges: np.ndarray, distance: np.ndarray, radius: float, strength: float) -> np.ndarray:
    """Relative deviation of a ball's border, without the mean, which would change its volume."""
    inside = distance <= max(radius, float(distance.min()))
    uneven: np.ndarray = strength * np.clip(bulges - bulges[inside].mean(), -2, 2)
    return uneven


def sphere_ml(radius: float) -> float:
    """Volume in ml of the sphere of that radius in mm."""
    return 4 / 3 * np.pi * radius**3 / 1000


def movable(tissue: Tissue, displace: bool) -> Tissue:
    """The tissue for a mass effect to move: itself, or with copied maps where it must stay as it was."""
    return tissue if displace else replace(tissue, **{name: getattr(tissue, name).copy() for name in MOVED})


def absent(tissue: Tissue, parts: Iterable[str]) -> Lesion:
    """The lesion of a subject without the disease: every part, nowhere."""
    nothing = {part: np.zeros(tissue.grid.shape, np.float32) for part in parts}
    return Lesion(nothing, nothing)
