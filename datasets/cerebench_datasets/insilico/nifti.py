"""NIfTI files whose bytes depend on their content alone."""

from __future__ import annotations

import gzip
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

_COMPRESSION = 4


def save_nifti(path: Path, values: np.ndarray, affine: np.ndarray, orientation: str, dtype: str) -> None:
    """Write ``values`` (RAS+ order) with the given stored axes; folders are made, gzip carries no name and no time.

    Args:
        path: ends in ``.nii`` or ``.nii.gz``.
        values: ``[X, Y, Z]``.
        affine: voxel index → mm of ``values``.
        orientation: stored axis directions, such as ``LPS``.
        dtype: stored number type; integers are rounded and clipped to its range.
    """
    nib: Any = import_module("nibabel")
    axes = nib.orientations

    if np.issubdtype(np.dtype(dtype), np.integer):
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    image = nib.Nifti1Image(values.astype(dtype), affine)
    turn = axes.ornt_transform(axes.io_orientation(affine), axes.axcodes2ornt(tuple(orientation)))
    image = image.as_reoriented(turn)
    image.header.set_xyzt_units("mm", "sec")
    content = image.to_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        content = gzip.compress(content, compresslevel=_COMPRESSION, mtime=0)
    path.write_bytes(content)


def thicken(values: np.ndarray, affine: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Average every ``count`` slices along the third axis into one: the image and its affine on a grid of its own."""
    x, y, z = values.shape
    padded = np.pad(values, ((0, 0), (0, 0), (0, -z % count)))
    thick = padded.reshape(x, y, -1, count).mean(axis=3)
    scale = np.diag([1.0, 1.0, float(count), 1.0])
    scale[2, 3] = (count - 1) / 2
    return thick, affine @ scale
