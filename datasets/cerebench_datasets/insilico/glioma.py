"""High-grade glioma: a necrotic centre, an enhancing rim, oedema that follows white matter, and a mass effect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cerebench_datasets.insilico.anatomy import Tissue
from cerebench_datasets.insilico.fields import RandomField
from cerebench_datasets.insilico.lesion import Lesion
from cerebench_datasets.insilico.parameters import Glioma

_LIMITS_ML = (5.0, 220.0)
_LOWEST_Z_MM = -25.0
_SHAPE_MM, _TEXTURE_MM = 16.0, 8.0
_WHITE_MATTER_LEAD_MM, _FLUID_DELAY_MM, _MIDLINE_DELAY_MM = 15.0, 30.0, 15.0
_BULGE, _UNEVEN = 0.2, 0.15
_EDGE_MM = {"core": 2.0, "ed": 4.0}
_RIM_TAPER_MM = 15.0
_MOVED = ("csf", "gm", "wm", "detail")


def grow_glioma(rng: np.random.Generator, tissue: Tissue, size: Glioma, displace: bool = True) -> Lesion:
    """The parts ``ncr``, ``ed`` and ``et`` on the tissue's grid.

    Each part takes the voxels that a front reaches first, until its volume is full: the front is round but for random
    bulges, runs ahead in white matter (oedema), and stops at cerebrospinal fluid and the midline.

    Args:
        rng: the subject's stream for lesions.
        tissue: changed in place by the mass effect.
        size: volumes and mass effect.
        displace: False leaves the tissue as it was but gives the same lesion (null control).
    """
    grid = tissue.grid
    voxel_ml = grid.spacing**3 / 1000
    whole = float(np.clip(size.volume_ml * rng.lognormal(0, size.volume_spread), *_LIMITS_ML))
    core_ml = whole * _share(rng, size.core_share)
    necrosis_ml = core_ml * _share(rng, size.necrosis_share)
    radius = (core_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3)

    x, y, z = np.meshgrid(*grid.axes, indexing="ij", sparse=True)
    likely = tissue.wm * (tissue.depth > min(12, radius)) * (tissue.template_z > _LOWEST_Z_MM) * (np.abs(x) > 8)
    centre = _draw_voxel(rng, likely)
    cx, cy, cz = (axis[index] for axis, index in zip(grid.axes, centre, strict=True))
    distance = np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2).astype(np.float32)
    bulges, spread, uneven = (RandomField(rng, scale).on(grid) for scale in (_SHAPE_MM, _SHAPE_MM, _TEXTURE_MM))
    if not displace:
        tissue = replace(tissue, **{name: getattr(tissue, name).copy() for name in _MOVED})
    if size.mass_effect > 0:
        offset = np.stack(np.broadcast_arrays(x - cx, y - cy, z - cz)).astype(np.float32)
        _push(tissue, offset, distance, radius, size.mass_effect)

    outside = np.float32(1e6) * (tissue.brain < 0.5)
    other_side = _MIDLINE_DELAY_MM * np.clip(-x * np.sign(cx) / 4, 0, 1)
    ventricle = _FLUID_DELAY_MM * tissue.csf * (tissue.ventricle_distance < 3)
    rim_front = distance + _BULGE * radius * bulges + other_side + ventricle + outside
    core = _fill(rim_front, core_ml / voxel_ml, _EDGE_MM["core"])
    inner_front = rim_front + _BULGE * radius * (uneven - bulges / 2)
    necrosis = np.minimum(_fill(inner_front, necrosis_ml / voxel_ml, _EDGE_MM["core"]), core)
    # oedema is finger-like: white matter first, cortex late, sulci never
    spread_front = distance + _BULGE * radius * spread - _WHITE_MATTER_LEAD_MM * tissue.wm
    spread_front += _FLUID_DELAY_MM * tissue.csf + other_side + outside
    # the core belongs to the whole tumour, wherever the wider front would stop
    spread_front = np.where(core > 0.5, -1e6, spread_front)
    whole_extent = _fill(spread_front, whole / voxel_ml, _EDGE_MM["ed"])
    extent = {"ncr": necrosis, "ed": np.maximum(whole_extent - core, 0), "et": core - necrosis}
    extent = {part: values * tissue.brain for part, values in extent.items()}
    severity = 1 - _UNEVEN + _UNEVEN * np.clip(uneven, -1, 1)
    return Lesion(extent, extent | {"ed": extent["ed"] * severity})


def _share(rng: np.random.Generator, mean: float) -> float:
    return float(rng.beta(6 * mean, 6 * (1 - mean)))


def _draw_voxel(rng: np.random.Generator, weights: np.ndarray) -> tuple[np.intp, ...]:
    cumulative = np.cumsum(weights.ravel(), dtype=np.float64)
    return np.unravel_index(np.searchsorted(cumulative, rng.random() * cumulative[-1]), weights.shape)


def _fill(front: np.ndarray, voxels: float, edge_mm: float) -> np.ndarray:
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


def _push(tissue: Tissue, offset: np.ndarray, distance: np.ndarray, radius: float, strength: float) -> None:
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
    for name in _MOVED:
        values = getattr(tissue, name)
        values[region] = ndimage.map_coordinates(values, where, order=1, mode="nearest", prefilter=False)
    total = (tissue.csf + tissue.gm + tissue.wm)[region]
    share = tissue.brain[region] / np.maximum(total, 1e-3)
    for name in ("csf", "gm", "wm"):
        getattr(tissue, name)[region] *= np.where(total > 1e-3, share, 1)
