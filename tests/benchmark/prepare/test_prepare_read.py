from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cerebench.errors import DataError
from cerebench.prepare.read import Scan, read_image, read_mask, same_grid

Write = Callable[..., Path]
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(12, 10, 8)).astype(np.float32)


def test_image_equals_nibabel(tmp_path: Path, write: Write) -> None:
    affine = nib.affines.from_matvec(np.diag([-1.0, 2.0, 3.0]), [5, 6, 7])
    for name in ("a.nii.gz", "b.nii"):
        scan = read_image(write(tmp_path / name, NOISE, affine))
        assert scan.data.dtype == np.float32
        np.testing.assert_array_equal(scan.data, NOISE)
        np.testing.assert_allclose(scan.affine, affine)
        assert scan.spacing == (1.0, 2.0, 3.0)


def test_stored_slope_and_nifti2_are_read(tmp_path: Path) -> None:
    image = nib.Nifti1Image(NOISE, np.eye(4))
    image.set_data_dtype(np.int16)
    nib.save(image, tmp_path / "slope.nii.gz")
    np.testing.assert_allclose(read_image(tmp_path / "slope.nii.gz").data, NOISE, atol=2e-4)
    nib.save(nib.Nifti2Image(NOISE, np.eye(4)), tmp_path / "two.nii.gz")
    np.testing.assert_array_equal(read_image(tmp_path / "two.nii.gz").data, NOISE)


def test_trailing_singleton_axis_is_dropped(tmp_path: Path, write: Write) -> None:
    scan = read_image(write(tmp_path / "a.nii.gz", NOISE[..., None], np.eye(4)))
    np.testing.assert_array_equal(scan.data, NOISE)


def test_header_without_orientation_is_noted(tmp_path: Path) -> None:
    image = nib.Nifti1Image(NOISE, None)
    image.header["sform_code"] = image.header["qform_code"] = 0
    nib.save(image, tmp_path / "a.nii.gz")
    assert not read_image(tmp_path / "a.nii.gz").oriented
    nib.save(nib.Nifti1Image(NOISE, np.eye(4)), tmp_path / "b.nii.gz")
    assert read_image(tmp_path / "b.nii.gz").oriented


def fault(path: Path, read: Callable[[Path], Scan] = read_image) -> str:
    """The error's sentence, checked for the file's name, one line and an instruction."""
    with pytest.raises(DataError) as caught:
        read(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert ";" in text
    return text


def test_missing_file(tmp_path: Path) -> None:
    assert "the file is missing" in fault(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("part", [0.02, 0.5, 0.99])
def test_truncated_gzip(tmp_path: Path, write: Write, part: float) -> None:
    path = write(tmp_path / "a.nii.gz", NOISE, np.eye(4))
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * part)])
    assert "truncated gzip" in fault(path)


def test_gzip_that_lost_only_its_trailer(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "a.nii.gz", NOISE, np.eye(4))
    path.write_bytes(path.read_bytes()[:-8])
    assert "truncated gzip" in fault(path)


def test_flipped_bit_is_caught_by_the_checksum(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "a.nii.gz", NOISE, np.eye(4))
    raw = bytearray(gzip.decompress(path.read_bytes()))
    good = bytearray(gzip.compress(bytes(raw), compresslevel=0))
    good[len(good) // 2] ^= 1
    path.write_bytes(bytes(good))
    assert "damaged" in fault(path)


def test_truncated_without_compression(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "a.nii", NOISE, np.eye(4))
    path.write_bytes(path.read_bytes()[:-100])
    assert "damaged" in fault(path)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
@pytest.mark.parametrize("content", [b"", b"<html>404</html>", bytes(4000)])
def test_not_nifti(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert "damaged file or none of NIfTI" in fault(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(tmp_path: Path, write: Write, value: float) -> None:
    data = NOISE.copy()
    data[1, 2, 3] = data[4, 5, 6] = value
    assert "found 2 NaN or infinite voxels" in fault(write(tmp_path / "a.nii.gz", data, np.eye(4)))


def test_values_too_large_for_float32(tmp_path: Path, write: Write) -> None:
    data = NOISE.astype(np.float64)
    data[0, 0, 0] = 1e300
    assert "found 1 NaN or infinite" in fault(write(tmp_path / "a.nii.gz", data, np.eye(4)))


@pytest.mark.parametrize(
    ("shape", "words"),
    [((12, 10, 8, 2), "4D image (shape 12x10x8x2)"), ((12, 10), "2D image"), ((12, 10, 1), "2D image")],
)
def test_wrong_dimension(tmp_path: Path, write: Write, shape: tuple[int, ...], words: str) -> None:
    data = RNG.normal(size=shape).astype(np.float32)
    assert words in fault(write(tmp_path / "a.nii.gz", data, np.eye(4)))


def test_no_voxels(tmp_path: Path, write: Write) -> None:
    assert "without voxels" in fault(write(tmp_path / "a.nii", np.zeros((4, 0, 4), np.float32), np.eye(4)))


def test_constant_image(tmp_path: Path, write: Write) -> None:
    assert "same value 7 in every voxel" in fault(write(tmp_path / "a.nii.gz", np.full((4, 4, 4), 7.0), np.eye(4)))


def test_colours_are_refused(tmp_path: Path, write: Write) -> None:
    data = np.zeros((4, 4, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert "expected one real number each" in fault(write(tmp_path / "a.nii.gz", data, np.eye(4)))


def test_affine_that_cannot_be_inverted(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "a.nii", NOISE, np.eye(4))
    raw = bytearray(path.read_bytes())
    raw[312:328] = bytes(16)  # srow_z of the NIfTI-1 header
    path.write_bytes(bytes(raw))
    assert "cannot be inverted" in fault(path)


def test_mask_values(tmp_path: Path, write: Write) -> None:
    data = RNG.integers(0, 5, size=(6, 6, 6))
    scan = read_mask(write(tmp_path / "a.nii.gz", (data * 1.00001).astype(np.float32), np.eye(4)))
    np.testing.assert_array_equal(scan.data, data)
    assert scan.data.dtype == np.int32
    soft = data.astype(np.float32)
    soft[0, 0, 0] = 0.5
    assert "found the value 0.5 in a mask" in fault(write(tmp_path / "b.nii.gz", soft, np.eye(4)), read_mask)


def test_same_grid_allows_rounding_but_not_a_shift(tmp_path: Path) -> None:
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    first = Scan(tmp_path, NOISE, affine)
    for shift, same in [(0.0, True), (0.1, True), (0.5, False)]:
        moved = affine.copy()
        moved[0, 3] += shift
        assert same_grid(first, Scan(tmp_path, NOISE, moved)) is same
    assert not same_grid(first, Scan(tmp_path, NOISE[1:], affine))
    turned = affine.copy()
    turned[:3, :3] = affine[:3, :3] @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    assert not same_grid(first, Scan(tmp_path, NOISE, turned))
