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
