"""Images and masks onto the target grid, each interpolated once, and what became of the lesions on the way."""

from __future__ import annotations

from typing import Any

import numpy as np

from cerebench.extraction.atlas import Grid
from cerebench.extraction.rough import grow, millilitres
from cerebench.prepare.grid import between, resample, resample_within, voxels_outside
from cerebench.prepare.read import Scan

Array = np.ndarray[Any, Any]

_FLOOR = 1e-4
_MISSING = 0.01
_OUTSIDE = 0.01


def reslice_image(
    scan: Scan, to_scan: Array, own: Array, stripped: bool, brain: Array, grid: Grid, quantitative: bool = False
) -> Array:
    """One image on the target grid, 0 outside the brain and nowhere else.

    Linear, low-pass filtered where coarsened. A head contributes one voxel around its brain too, a stripped image
    brain voxels alone.

    Args:
        scan: N4-corrected image in canonical order.
        to_scan: 4x4, RAS+ mm of the target to RAS+ mm of the scan.
        own: ``[X, Y, Z]`` bool, the brain on the scan's grid.
        stripped: whether there is nothing but background around it.
        brain: the brain on the target grid.
        grid: target.
        quantitative: whether values have a unit; else a constant is added where some are below 0.

    Returns:
        float32 of the grid's shape. In the brain it is above 0 wherever the scan reaches: values below 1/10,000 of
        the brain's 99th percentile are lifted to that.
    """
    around = own if stripped else grow(own, scan, float(max(scan.spacing)) * 1.01)
    lowest = 0.0 if quantitative else min(float(scan.data[around].min()), 0.0)
    lifted = scan.data - np.float32(lowest)
    matrix = between(scan.affine, to_scan @ grid.affine)
    image = resample_within(lifted, around, matrix, grid.shape)
    reached = brain & (resample(around.astype(np.float32), matrix, grid.shape, order=1) > 0)
    floor = np.float32(_FLOOR * np.percentile(lifted[own], 99))
    return np.where(reached, np.maximum(image, floor), np.float32(0))


def reslice_mask(mask: Scan, to_scan: Array, grid: Grid) -> Array:
    """A mask of integers on the target grid by nearest neighbour, in the smallest type that holds its values."""
    moved = resample(mask.data, between(mask.affine, to_scan @ grid.affine), grid.shape, order=0)
    return moved.astype(np.min_scalar_type(int(mask.data.max())) if mask.data.min() >= 0 else np.int32)


def carry(mask: Array, affine: Array, target: Scan, to_mask: Array) -> Array:
    """A bool mask on a scan's grid by nearest neighbour; ``to_mask`` takes mm of the scan to mm of the mask."""
    matrix = between(affine, to_mask @ target.affine)
    return resample(mask.astype(np.uint8), matrix, target.shape, order=0) > 0


def lesion_account(
    mask: Scan, moved: Array, to_scan: Array, brain: Array, grid: Grid
) -> tuple[dict[str, Any], list[str]]:
    """What became of the lesions, for the record, and one sentence for whatever was lost.

    ``ml_after_native`` is the volume after, divided by the volume scale of the transform: what the same voxels would
    measure in the original image. It differs from ``ml_before`` by what was lost or rounded.

    Args:
        mask: original mask in canonical order.
        moved: the mask on the target grid.
        to_scan: 4x4, RAS+ mm of the target to RAS+ mm of the mask.
        brain: ``[X, Y, Z]`` bool on the target grid.
        grid: target.
    """
    from scipy.ndimage import label

    scale = 1.0 / abs(float(np.linalg.det(to_scan[:3, :3])))
    target = Scan(mask.path, moved, grid.affine)
    matrix = between(mask.affine, to_scan @ grid.affine)
    components, count = label(mask.data != 0, np.ones((3, 3, 3)))
    there = resample(components, matrix, grid.shape, order=0)
    left, seen = (set(np.unique(part).tolist()) for part in (there, there[brain]))
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    gone = sorted(set(range(1, count + 1)) - left)
    hidden = len(left - seen - {0})
    values: dict[str, dict[str, float]] = {}
    for value in (int(found) for found in np.unique(mask.data) if found):
        after = millilitres(moved == value, target)
        values[str(value)] = {
            "ml_before": millilitres(mask.data == value, mask),
            "ml_after": after,
            "ml_after_native": after / scale,
        }
    outside = millilitres((moved != 0) & ~brain, target)
    cut = voxels_outside(mask.data != 0, matrix, grid.shape)
    voxel_ml = millilitres(np.ones(1, dtype=bool), mask)
    account: dict[str, Any] = {
        "ml_before": sum(entry["ml_before"] for entry in values.values()),
        "ml_after": sum(entry["ml_after"] for entry in values.values()),
        "ml_after_native": sum(entry["ml_after_native"] for entry in values.values()),
        "volume_scale": scale,
        "values": values,
        "components_before": count,
        "components_lost": len(gone),
        "components_outside_brain": hidden,
        "ml_outside_brain": outside,
        "voxels_outside_grid": cut,
    }
    warnings = []
    for name, entry in values.items():
        if not entry["ml_after"]:
            warnings.append(f"all {entry['ml_before']:.3f} ml of mask value {name} were lost")
    if gone:
        lost = float(sizes[gone].sum()) * voxel_ml
        warnings.append(f"{len(gone)} of {count} lesions, {lost:.3f} ml in all, left no voxel on the target grid")
    if hidden:
        warnings.append(f"{hidden} of {count} lesions lie wholly outside the extracted brain")
    if outside > _OUTSIDE * account["ml_after"]:
        warnings.append(f"{outside:.3f} ml of the lesions lie outside the extracted brain")
    if cut:
        warnings.append(f"{cut * voxel_ml:.3f} ml of the lesions lie outside the template's field of view")
    return account, warnings


def coverage_warning(modality: str, image: Array, brain: Array) -> list[str]:
    """A sentence where a scan misses more than a hundredth of the brain."""
    missing = 1.0 - float(np.count_nonzero(image[brain])) / int(np.count_nonzero(brain))
    return [f"{modality} does not reach {missing:.0%} of the brain"] if missing > _MISSING else []
