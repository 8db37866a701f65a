"""The brain mask of one scan: from a file, or from the background of a skull-stripped image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cerebench.contract.data import ReadPolicy
from cerebench.errors import DataError
from cerebench.prepare.grid import between, canonical, resample
from cerebench.prepare.read import Scan, describe_grid, read_volume, same_grid

Array = np.ndarray[Any, Any]


def brain_from_file(path: Path, scan: Scan, policy: ReadPolicy) -> tuple[Array, str]:
    """Voxels above 0 of a mask file, on the scan's grid, and where the mask comes from in words.

    Args:
        path: mask file; a label map will do.
        scan: the image, in canonical order.
        policy: whether a mask on another grid is resampled, and the geometry of slices.

    Raises:
        DataError: unreadable, empty, or on another grid without leave to resample.
    """
    mask = canonical(read_volume(path, policy.slices))
    inside = mask.data > 0
    if same_grid(mask, scan):
        brain, origin = inside, f"file {path.name}"
    elif policy.resample_mask:
        brain = resample(inside.astype(np.uint8), between(mask.affine, scan.affine), scan.shape, order=0) > 0
        origin = f"file {path.name}, resampled"
    else:
        raise other_grid(mask, scan)
    if not brain.any():
        raise DataError(f"{path}: found no brain voxel on the grid of {scan.path}; give the brain mask of this scan")
    return brain, origin


def brain_from_background(scan: Scan) -> tuple[Array, str]:
    """Brain of a skull-stripped scan: largest connected set of voxels unlike the background, holes filled.

    The background is the exact value shared by all eight corners, or 0 if corners differ and one of them is 0.

    Raises:
        DataError: no constant background, or nothing but background.
    """
    from scipy.ndimage import binary_fill_holes, label

    corners = scan.data[np.ix_((0, -1), (0, -1), (0, -1))].ravel()
    values = np.unique(corners)
    if len(values) > 1 and 0.0 not in values:
        raise DataError(
            f"{scan.path}: found {len(values)} different values in the eight corners, expected the constant background "
            "of a skull-stripped image; give a brain mask, or extract the brain with the extra `prepare`"
        )
    background = float(values[0]) if len(values) == 1 else 0.0
    components, count = label(scan.data != background)
    if count > 1:
        sizes = np.bincount(components.ravel())
        sizes[0] = 0
        brain = components == int(sizes.argmax())
    else:
        brain = components > 0
    brain = binary_fill_holes(brain)
    if brain.all():
        raise DataError(f"{scan.path}: found no background at all; give a brain mask for this scan")
    return brain, "non-zero voxels" if background == 0.0 else f"voxels unlike the constant background {background!r}"


def find_brain(scan: Scan, brain_mask: Path | None, policy: ReadPolicy) -> tuple[Array, str]:
    """Brain mask of a scan in canonical order, and where it comes from.

    Raises:
        DataError: no way to tell the brain from the rest of the head, or as the functions above.
    """
    if brain_mask is not None:
        return brain_from_file(brain_mask, scan, policy)
    if policy.skull_stripped:
        return brain_from_background(scan)
    raise DataError(
        f"{scan.path}: found a head with its skull and no brain mask, expected one of them to be given; "
        "extract the brain with the extra `prepare` (pip install 'cerebench[prepare]') or name a mask in the card"
    )


def other_grid(mask: Scan, scan: Scan) -> DataError:
    """The error for a mask that does not lie on its image's grid."""
    return DataError(
        f"{mask.path}: found a mask of {describe_grid(mask)}, "
        f"expected the grid of {scan.path} ({describe_grid(scan)}); "
        "resample the mask, or set resample_mask in the card"
    )
