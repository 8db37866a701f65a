"""Geometry against nibabel.processing, MONAI and SciPy, all given the raw, non-canonical image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.processing import resample_from_to
from scipy.ndimage import affine_transform, gaussian_filter, gaussian_filter1d

from cerebench.prepare.grid import (
    between,
    bounding_box,
    canonical,
    resample,
    resample_within,
    smoothing,
    target_affine,
    voxels_outside,
)
from cerebench.prepare.read import Scan

RNG = np.random.default_rng(3)
SHAPE = (20, 24, 22)
GRIDS = [("RAS", 0.0), ("LAS", 0.0), ("LPS", 0.0), ("PSR", 0.0), ("SLA", 0.0), ("LPI", 17.0), ("PSR", -23.0)]


def textured(codes: str, turn: float, spacing: tuple[float, ...], phantom: Callable[..., Any]) -> tuple[Any, Scan]:
    made, _ = phantom(codes=codes, shape=SHAPE, spacing=spacing, turn_degrees=turn)
    data = gaussian_filter(RNG.normal(size=SHAPE), 1.5).astype(np.float32)
    return made, Scan(Path("a.nii"), data, made.affine)


@pytest.mark.parametrize(("codes", "turn"), GRIDS)
def test_canonical_equals_nibabel(codes: str, turn: float, phantom: Callable[..., Any]) -> None:
    _, scan = textured(codes, turn, (2.0, 3.0, 4.0), phantom)
    reference = nib.as_closest_canonical(nib.Nifti1Image(scan.data, scan.affine))
    found = canonical(scan)
    np.testing.assert_array_equal(found.data, reference.get_fdata(dtype=np.float32))
    np.testing.assert_allclose(found.affine, reference.affine, atol=1e-12)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize(("codes", "turn"), GRIDS)
def test_resampling_equals_nibabel_and_monai(codes: str, turn: float, order: int, phantom: Callable[..., Any]) -> None:
    """Same target voxels in the world, same values, from implementations that never see our canonical order."""
    import torch
    from monai.data import MetaTensor
    from monai.transforms import SpatialResample

    _, scan = textured(codes, turn, (2.0, 3.0, 4.0), phantom)
    ours = canonical(scan)
    everywhere = np.ones(ours.shape, dtype=bool)
    affine = target_affine(ours, everywhere, 1.7, (32, 40, 32))
    found = resample(ours.data, between(ours.affine, affine), (32, 40, 32), order)

    # Libraries differ in the outermost half voxel; there ours holds the nearest value, theirs nothing.
    index = np.moveaxis(np.indices((32, 40, 32)), 0, -1) @ between(scan.affine, affine)[:3, :3].T
    index += between(scan.affine, affine)[:3, 3]
    inside = ((index >= 0) & (index <= np.array(SHAPE) - 1)).all(axis=-1)
    assert inside.sum() > 10_000

    theirs = resample_from_to(nib.Nifti1Image(scan.data, scan.affine), ((32, 40, 32), affine), order=order)
    np.testing.assert_allclose(found[inside], theirs.get_fdata()[inside], atol=1e-5)

    volume = MetaTensor(torch.from_numpy(scan.data.copy())[None], affine=torch.from_numpy(scan.affine))
    sampler = SpatialResample(mode="nearest" if order == 0 else "bilinear", padding_mode="zeros", align_corners=True)
    monai = sampler(volume, dst_affine=torch.from_numpy(affine), spatial_size=(32, 40, 32))[0].numpy()
    np.testing.assert_allclose(found[inside], monai[inside], atol=1e-3)


@pytest.mark.parametrize(("codes", "turn"), GRIDS)
def test_antialiased_resampling_equals_scipy_and_nibabel_inside(
    codes: str, turn: float, phantom: Callable[..., Any]
) -> None:
    """Reference: SciPy's filter on the raw axes, then nibabel; sigma from the two full widths at half maximum in mm."""
    spacing = (1.0, 2.0, 3.0)
    _, scan = textured(codes, turn, spacing, phantom)
    ours = canonical(scan)
    brain = np.ones(ours.shape, dtype=bool)
    shape = (16, 16, 16)
    affine = target_affine(ours, brain, 2.5, shape)
    found = resample_within(ours.data, brain, between(ours.affine, affine), shape)

    to_sigma = 1.0 / 2.354820045030949
    sigma_mm = [np.sqrt(max(2.5**2 - side**2, 0.0)) * to_sigma for side in spacing]
    smooth = gaussian_filter(scan.data, [sigma / side for sigma, side in zip(sigma_mm, spacing, strict=True)])
    theirs = resample_from_to(nib.Nifti1Image(smooth, scan.affine), (shape, affine), order=1).get_fdata()
    inner = np.zeros(SHAPE, np.float32)
    inner[6:-6, 4:-4, 2:-2] = 1
    deep = resample_from_to(nib.Nifti1Image(inner, scan.affine), (shape, affine), order=1).get_fdata() > 0.999
    assert deep.sum() > 50
    np.testing.assert_allclose(found[deep], theirs[deep], atol=2e-4)


@pytest.mark.parametrize("step", [1.0, 0.5, 1.5, 2.0, 4.0])
def test_smoothing_widens_one_voxel_to_the_target_voxel(step: float) -> None:
    one = 1 / np.sqrt(8 * np.log(2))
    expected = np.hypot(one, smoothing(step)) / one
    assert expected == pytest.approx(max(step, 1.0))


def test_smoothing_suppresses_what_the_target_cannot_hold() -> None:
    stripes = np.tile([1.0, -1.0], 100)
    assert np.abs(gaussian_filter1d(stripes, smoothing(4.0))[20:-20]).max() < 1e-3


@pytest.mark.parametrize("background", [0.0, -500.0, 1e4])
@pytest.mark.parametrize("spacing", [1.0, 2.0, 5.0])
def test_background_never_reaches_the_brain(background: float, spacing: float, phantom: Callable[..., Any]) -> None:
    made, _ = phantom()
    data = np.where(made.brain, 42.0, background).astype(np.float32)
    scan = Scan(Path("a.nii"), data, made.affine)
    shape = (24, 24, 24)
    matrix = between(made.affine, target_affine(scan, made.brain, spacing, shape))
    found = resample_within(data, made.brain, matrix, shape)
    brain = resample(made.brain.astype(np.uint8), matrix, shape, order=0) > 0
    assert brain.sum() > 500
    np.testing.assert_allclose(found[brain], 42.0, rtol=1e-4)


def test_equal_spacing_copies_voxels_exactly(phantom: Callable[..., Any]) -> None:
    made, _ = phantom(codes="LAS", background=-3.0)
    scan = canonical(Scan(Path("a.nii"), made.image, made.affine))
    brain = canonical(Scan(Path("a.nii"), made.brain, made.affine)).data
    shape = (64, 64, 64)
    matrix = between(scan.affine, target_affine(scan, brain, 2.0, shape))
    np.testing.assert_array_equal(matrix[:3, :3], np.eye(3))
    start = -matrix[:3, 3].astype(int)
    found = resample_within(scan.data, brain, matrix, shape)
    inside = tuple(slice(first, first + side) for first, side in zip(start, scan.shape, strict=True))
    np.testing.assert_allclose(found[inside], np.where(brain, scan.data, 0.0), rtol=1e-6)


@pytest.mark.parametrize("source", [(2.0, 3.0, 1.0), (1.0, 1.6, 2.5), (0.45, 0.45, 5.0), (2.0, 4.0, 8.0)])
@pytest.mark.parametrize("spacing", [1.0, 1.5, 2.0, 4.0])
def test_nearest_neighbour_shifts_nothing(source: tuple[float, ...], spacing: float) -> None:
    """The mean distance, in source voxels, from a target voxel to the source voxel it copies is near zero."""
    scan = Scan(Path("a.nii"), np.zeros((40, 40, 40), np.float32), np.diag([*source, 1.0]))
    brain = np.zeros(scan.shape, dtype=bool)
    brain[3:36, 5:30, 7:34] = True
    affine = target_affine(scan, brain, spacing, (48, 48, 48))
    matrix = between(scan.affine, affine)
    for axis in range(3):
        places = matrix[axis, axis] * np.arange(48) + matrix[axis, 3]
        away = places - np.rint(places)
        assert np.abs(away).max() < 0.4999
        assert abs(away.mean()) < 0.03


@pytest.mark.parametrize("spacing", [1.0, 2.0, 3.3, 4.0])
def test_target_is_centred_on_the_bounding_box(spacing: float, phantom: Callable[..., Any]) -> None:
    made, _ = phantom(turn_degrees=12.0)
    shape = (40, 48, 40)
    affine = target_affine(Scan(Path("a.nii"), made.image, made.affine), made.brain, spacing, shape)
    places = np.argwhere(made.brain)
    middle = made.affine @ [*((places.min(axis=0) + places.max(axis=0)) / 2), 1.0]
    centre = affine @ [*((np.array(shape) - 1) / 2), 1.0]
    assert np.abs(centre - middle).max() <= np.sqrt(3) * made.spacing[0] / 2 + 1e-9
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), spacing)


@pytest.mark.parametrize("start", [(0, 0, 0), (3, -4, 7), (-50, 0, 0), (15, 15, 15)])
def test_copying_equals_interpolation_on_a_shared_lattice(start: tuple[int, ...]) -> None:
    data = RNG.normal(size=SHAPE).astype(np.float32)
    matrix = np.eye(4)
    matrix[:3, 3] = start
    expected = affine_transform(data, np.eye(3), start, (18, 30, 20), order=1, mode="grid-constant", prefilter=False)
    np.testing.assert_allclose(resample(data, matrix, (18, 30, 20), order=1), expected, atol=1e-6)


def test_bounding_box_holds_all_and_nothing_more() -> None:
    mask = np.zeros((9, 8, 7), dtype=bool)
    mask[2, 3, 6] = mask[5, 3, 1] = True
    assert bounding_box(mask) == (slice(2, 6), slice(3, 4), slice(1, 7))


def test_voxels_outside_are_counted() -> None:
    mask = np.zeros((20, 20, 20), dtype=bool)
    mask[5:15, 5:15, 5:15] = True
    shifted = np.eye(4)
    shifted[:3, 3] = [8, 0, 0]
    assert voxels_outside(mask, np.eye(4), (20, 20, 20)) == 0
    assert voxels_outside(mask, shifted, (20, 20, 20)) == 300
    assert voxels_outside(mask, shifted, (4, 20, 12)) == 1000 - 4 * 10 * 7
    assert voxels_outside(np.zeros_like(mask), np.eye(4), (2, 2, 2)) == 0
