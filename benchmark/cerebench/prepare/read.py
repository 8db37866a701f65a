"""Reading NIfTI files strictly: a fault is one sentence with file, what was found and expected, and what to do."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cerebench.contract.data import SliceStack
from cerebench.errors import DataError
from cerebench.prepare.stack import read_stack

_GRID_TOLERANCE = 0.1
"""Two grids are one if their corners agree to this part of a voxel: headers round differently."""

_INTEGER_TOLERANCE = 1e-3
"""Masks stored with a slope come back a rounding error away from integers."""


@dataclass(frozen=True)
class Scan:
    """A volume on its grid.

    Attributes:
        path: the file it came from.
        data: ``[X, Y, Z]``, in the order of the affine's columns.
        affine: 4x4, voxel index → RAS+ millimetres.
        oriented: whether the header says where the patient's left is (sform or qform code above 0).
    """

    path: Path
    data: np.ndarray[Any, Any]
    affine: np.ndarray[Any, Any]
    oriented: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.data.shape
        return shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along the array's axes."""
        x, y, z = (float(side) for side in np.linalg.norm(self.affine[:3, :3], axis=0))
        return x, y, z


def read_image(path: Path, slices: SliceStack | None = None) -> Scan:
    """Read a 3D image as float32, in the file's own orientation; ``slices`` is the geometry of a folder of slices.

    Raises:
        DataError: missing, unreadable, truncated, not 3D, empty, not finite or constant.
    """
    scan = read_volume(path, slices)
    low, high = float(scan.data.min()), float(scan.data.max())
    if low == high:
        raise DataError(
            f"{path}: found the same value {low:g} in every voxel, expected an image; "
            "the file is damaged or a mask, replace it or leave the case out"
        )
    return scan


def read_mask(path: Path, slices: SliceStack | None = None) -> Scan:
    """Read a 3D mask of integers (int32), in the file's own orientation; ``slices`` as in :func:`read_image`.

    Raises:
        DataError: as :func:`read_image` (a constant mask is allowed), or values that are not integers.
    """
    scan = read_volume(path, slices)
    rounded = np.rint(scan.data)
    if not np.array_equal(scan.data, rounded) and not np.allclose(
        scan.data, rounded, rtol=0.0, atol=_INTEGER_TOLERANCE
    ):
        value = float(scan.data.flat[int(np.abs(scan.data - rounded).argmax())])
        raise DataError(
            f"{path}: found the value {value:g} in a mask, expected integers; "
            "the mask was interpolated, resample it with nearest neighbour"
        )
    return Scan(path, rounded.astype(np.int32), scan.affine, scan.oriented)


def same_grid(first: Scan, second: Scan) -> bool:
    """Whether two scans have one shape and their voxels lie at the same places to a tenth of a voxel."""
    if first.shape != second.shape:
        return False
    corners = np.array([[x, y, z, 1.0] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    corners[:, :3] *= np.array(first.shape) - 1.0
    distance = np.linalg.norm(corners @ (first.affine - second.affine).T, axis=1).max()
    return bool(distance <= _GRID_TOLERANCE * min(first.spacing))


def describe_grid(scan: Scan) -> str:
    """Shape, spacing and orientation for error messages, such as ``182x218x182, 1x1x1 mm, LAS``."""
    import nibabel as nib

    shape = "x".join(str(side) for side in scan.shape)
    spacing = "x".join(f"{side:.3g}" for side in scan.spacing)
    origin = ", ".join(f"{value:.1f}" for value in scan.affine[:3, 3])
    axes = "".join(nib.aff2axcodes(scan.affine))  # type: ignore[no-untyped-call]
    return f"{shape}, {spacing} mm, {axes}, origin ({origin})"


def read_volume(path: Path, slices: SliceStack | None = None) -> Scan:
    """Read any 3D volume as float32, in the file's own orientation; it may be constant.

    Raises:
        DataError: missing, unreadable, truncated, not 3D, empty or not finite.
    """
    if slices is not None and path.is_dir():
        return Scan(path, *read_stack(path, slices))
    image = _load(path)
    shape = tuple(int(side) for side in image.shape)
    text = "x".join(str(side) for side in shape)
    if len(shape) == 0 or 0 in shape:
        raise DataError(f"{path}: found a volume without voxels (shape {text}); replace the file")
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or min(shape) == 1:
        kind = "2D" if len(shape) < 3 or min(shape) == 1 else f"{len(shape)}D"
        raise DataError(f"{path}: found a {kind} image (shape {text}), expected 3D; extract the volume that is meant")
    kind = image.header.get_data_dtype()
    if kind.names is not None or kind.kind not in "biuf":
        raise DataError(f"{path}: found voxels of type {kind}, expected one real number each; convert the file")
    data = _voxels(path, image).reshape(shape, order="F")
    broken = int(data.size - np.count_nonzero(np.isfinite(data)))
    if broken:
        raise DataError(
            f"{path}: found {broken} NaN or infinite voxels, expected finite numbers; "
            "mend the file (background NaN may be set to 0) or leave the case out"
        )
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise DataError(f"{path}: found an affine that cannot be inverted; repair the header (sform, qform, pixdim)")
    header = image.header
    oriented = not hasattr(header, "get_sform") or int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    return Scan(path, data, affine, oriented)


def _load(path: Path) -> Any:
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    if not path.is_file():
        raise DataError(f"{path}: the file is missing; restore it or take the case out of the cohort")
    try:
        if path.name.endswith(".nii.gz"):
            # Decompressed here rather than by nibabel so that the checksum at the end is always verified.
            raw = gzip.decompress(path.read_bytes())
            kinds = (nib.Nifti1Image, nib.Nifti2Image)
            for kind in kinds:
                if kind.header_class.may_contain_header(raw[:1024]):  # type: ignore[no-untyped-call]
                    return kind.from_bytes(raw)
            raise ImageFileError("no NIfTI header")
        return nib.load(path)
    except EOFError:
        raise DataError(
            f"{path}: found a truncated gzip file, expected a whole one; download or copy it again"
        ) from None
    except (OSError, zlib.error, ImageFileError, HeaderDataError, ValueError) as error:
        raise _unreadable(path, error) from error


def _voxels(path: Path, image: Any) -> np.ndarray[Any, Any]:
    from nibabel.spatialimages import HeaderDataError

    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(image.get_fdata(caching="unchanged", dtype=np.float32))
    except (OSError, EOFError, ValueError, zlib.error, HeaderDataError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    detail = str(error).splitlines()[0].strip().rstrip(".") if str(error) else type(error).__name__
    detail = detail.replace(str(path), "it")
    return DataError(f"{path}: found a damaged file or none of NIfTI ({detail}); download or copy it again")
