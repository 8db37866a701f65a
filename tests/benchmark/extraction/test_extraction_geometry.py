"""Grids, masks and images under known transforms; references are nibabel, scikit-image and the world coordinates."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.processing import resample_from_to
from skimage.filters import threshold_otsu

from cerebench.errors import DataError
from cerebench.extraction.atlas import Grid, atlas_grid, coarse, load_atlas, onto
from cerebench.extraction.reslice import carry, coverage_warning, lesion_account, reslice_image, reslice_mask
from cerebench.extraction.rough import grow, head_mask, largest, millilitres, otsu, rough_brain
from cerebench.extraction.settings import Numbers
from cerebench.prepare.read import Scan

RNG = np.random.default_rng(3)


def scan(data, affine) -> Scan:
    return Scan(Path("mask.nii.gz"), data, affine)


@pytest.fixture
def moved(helpers):
    """A mask of two labels on a 1.5 mm grid, a 2 mm target, and the affine from target to mask."""
    affine = np.diag([1.5, 1.5, 1.5, 1.0])
    affine[:3, 3] = -30
    data = np.zeros((44, 46, 48), dtype=np.int32)
    data[4:20, 8:20, 10:30], data[30, 30, 30], data[34:38, 34:38, 34:38] = 1, 2, 3
    grid = Grid((40, 42, 38), np.array([[2, 0, 0, -38], [0, 2, 0, -40], [0, 0, 2, -36], [0, 0, 0, 1.0]]))
    to_mask = helpers.shift(3, -2, 4) @ helpers.turn(9, 2) @ np.diag([1.1, 0.9, 1.05, 1.0])
    return scan(data, affine), grid, to_mask


@pytest.mark.parametrize("values", [RNG.gamma(2, 30, 5000), np.r_[RNG.normal(20, 5, 900), RNG.normal(90, 9, 300)]])
def test_otsu_agrees_with_scikit_image(values):
    assert otsu(values) == pytest.approx(threshold_otsu(values, nbins=256), abs=1e-9)


def test_one_millimetre_gives_the_templates_own_grid():
    atlas = load_atlas()
    grid = atlas_grid(atlas, 1.0)
    assert grid.shape == atlas.t1.shape
    np.testing.assert_array_equal(grid.affine, atlas.affine)
    np.testing.assert_array_equal(onto(atlas.t1, atlas.affine, grid), atlas.t1)


@pytest.mark.parametrize("spacing", [0.8, 1.3, 2.0])
def test_other_spacings_keep_the_field_of_view_and_its_middle(spacing):
    atlas = load_atlas()
    grid, own = atlas_grid(atlas, spacing), atlas_grid(atlas, 1.0)
    middles = [g.affine[:3, 3] + g.affine[0, 0] * (np.array(g.shape) - 1) / 2 for g in (grid, own)]
    np.testing.assert_allclose(*middles)
    assert (np.array(grid.shape) * spacing >= np.array(own.shape) - 1e-6).all()
    assert (np.array(grid.shape) * spacing < np.array(own.shape) + spacing).all()


def test_coarse_copies_keep_world_coordinates(helpers):
    affine = helpers.turn(20, 0) @ np.diag([1.0, 1.0, 5.0, 1.0])
    x, y, z = np.indices((40, 30, 12))
    world = affine[:3, :3] @ np.stack([x, y, z]).reshape(3, -1) + affine[:3, 3:]
    ramp = (2 * world[0] - world[1] + 0.5 * world[2]).reshape(x.shape).astype(np.float32)
    small = coarse(scan(ramp, affine), 2.0)
    assert small.shape == (21, 16, 12)  # the last sample may lie beyond the last voxel, and 5 mm stay as they are
    inner = tuple(slice(3, -3) for _ in range(3))
    index = np.indices(small.shape)[(slice(None), *inner)].reshape(3, -1)
    there = small.affine[:3, :3] @ index + small.affine[:3, 3:]
    expected = 2 * there[0] - there[1] + 0.5 * there[2]
    np.testing.assert_allclose(small.data[inner].ravel(), expected, atol=1e-3)


def test_a_mask_moves_as_nibabel_moves_it(moved):
    mask, grid, to_mask = moved
    there = nib.Nifti1Image(mask.data.astype(np.int16), np.linalg.inv(to_mask) @ mask.affine)
    expected = np.asarray(resample_from_to(there, (grid.shape, grid.affine), order=0).dataobj)
    assert expected.any()
    found = reslice_mask(mask, to_mask, grid)
    assert found.dtype == np.uint8
    # voxels midway between two source voxels may be rounded either way
    assert np.count_nonzero(found != expected) <= 2
    wrong = reslice_mask(mask, np.linalg.inv(to_mask), grid)
    assert np.count_nonzero(wrong != expected) > 1000


def test_lesion_account(moved):
    mask, grid, to_mask = moved
    found = reslice_mask(mask, to_mask, grid)
    brain = np.ones(grid.shape, dtype=bool)
    account, warnings = lesion_account(mask, found, to_mask, brain, grid)
    scale = 1 / (1.1 * 0.9 * 1.05)
    assert account["volume_scale"] == pytest.approx(scale)
    assert account["ml_before"] == pytest.approx(np.count_nonzero(mask.data) * 1.5**3 / 1000)
    assert account["ml_after"] == pytest.approx(np.count_nonzero(found) * 8 / 1000)
    assert account["ml_after_native"] == pytest.approx(account["ml_after"] / scale)
    assert account["ml_after_native"] == pytest.approx(account["ml_before"], rel=0.02)
    assert account["components_before"] == 3
    lost = not (found == 2).any()
    assert account["components_lost"] == int(lost)
    assert bool(warnings) == lost


def test_a_lesion_never_vanishes_in_silence():
    data = np.zeros((44, 46, 48), dtype=np.int32)
    data[20, 20, 20] = 5  # 0.5 mm, between the target's voxels: nearest neighbour passes it by
    fine = scan(data, np.diag([0.5, 0.5, 0.5, 1.0]))
    target = Grid((10, 10, 10), np.diag([2.0, 2.0, 2.0, 1.0]) + np.array([[0, 0, 0, 1.0]] * 3 + [[0.0] * 4]))
    found = reslice_mask(fine, np.eye(4), target)
    assert not found.any()
    account, warnings = lesion_account(fine, found, np.eye(4), np.ones(target.shape, dtype=bool), target)
    assert account["components_lost"] == 1
    assert account["values"]["5"]["ml_after"] == 0
    assert "all 0.000 ml of mask value 5 were lost" in warnings
    assert any("1 of 1 lesions" in text for text in warnings)


def test_lesions_outside_brain_and_grid_are_told(moved):
    mask, grid, to_mask = moved
    found = reslice_mask(mask, to_mask, grid)
    brain = found != 1
    account, warnings = lesion_account(mask, found, to_mask, brain, grid)
    assert account["ml_outside_brain"] == pytest.approx(np.count_nonzero(found == 1) * 8 / 1000)
    assert account["components_outside_brain"] == 1
    assert "1 of 3 lesions lie wholly outside the extracted brain" in warnings
    assert any("ml of the lesions lie outside the extracted brain" in text for text in warnings)
    brain = np.ones(grid.shape, dtype=bool)
    brain[tuple(np.argwhere(found == 1)[0])] = False  # one voxel of many is recorded, yet no reason to look
    account, warnings = lesion_account(mask, found, to_mask, brain, grid)
    assert account["ml_outside_brain"] == pytest.approx(0.008)
    assert not any("outside the extracted brain" in text for text in warnings)
    near = Grid((12, 12, 12), grid.affine)
    account, warnings = lesion_account(
        mask, reslice_mask(mask, to_mask, near), to_mask, np.ones(near.shape, dtype=bool), near
    )
    assert account["voxels_outside_grid"] > 0
    assert any("field of view" in text for text in warnings)


@pytest.mark.parametrize("stripped", [False, True])
def test_images_are_zero_outside_the_brain_and_nowhere_else(helpers, stripped):
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    x, y, z = np.indices((40, 40, 40))
    own = (x - 20) ** 2 + (y - 20) ** 2 + (z - 20) ** 2 < 14**2
    data = np.where(own, x.astype(np.float32), 0 if stripped else 500)
    data[20, 20, 20] = 0  # dark, yet brain
    grid = Grid((80, 80, 80), np.diag([1.0, 1.0, 1.0, 1.0]))
    brain = reslice_mask(scan(own.astype(np.uint8), affine), np.eye(4), grid) > 0
    image = reslice_image(scan(data.astype(np.float32), affine), np.eye(4), own, stripped, brain, grid)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image > 0, brain)
    rows = image[:, 40, 40][brain[:, 40, 40]]
    first = np.flatnonzero(brain[:, 40, 40])[0]
    if stripped:  # the background, 0 here, does not darken the rim
        assert rows[0] == pytest.approx(first / 2, abs=0.6)
    else:
        assert rows[0] > first / 2 + 20  # a head's own surroundings are real


def test_negative_intensities_keep_their_order():
    affine = np.eye(4)
    own = np.zeros((12, 12, 12), dtype=bool)
    own[2:10, 2:10, 2:10] = True
    data = np.where(own, np.linspace(-3, 3, 12)[:, None, None], 0).astype(np.float32)
    image = reslice_image(scan(data, affine), np.eye(4), own, True, own, Grid((12, 12, 12), affine))
    assert (image[own] > 0).all()
    assert (np.diff(image[2:10, 5, 5]) > 0).all()
    grid = Grid((12, 12, 12), affine)
    values = reslice_image(scan(data, affine), np.eye(4), own, True, own, grid, quantitative=True)
    np.testing.assert_allclose(values[6:10, 5, 5], data[6:10, 5, 5], rtol=1e-6)
    assert (values[2:6, 5, 5] < 1e-3).all()
    assert (values[own] > 0).all()


def test_a_scan_that_misses_part_of_the_brain_is_told():
    brain = np.ones((10, 10, 10), dtype=bool)
    image = np.ones(brain.shape, dtype=np.float32)
    assert coverage_warning("t2", image, brain) == []
    image[:3] = 0
    assert coverage_warning("t2", image, brain) == ["t2 does not reach 30% of the brain"]


def test_carry_takes_a_mask_through_world_coordinates(helpers):
    brain = np.zeros((20, 20, 20), dtype=bool)
    brain[5:9, 6:10, 7:11] = True
    target = scan(np.zeros((30, 30, 30), dtype=np.float32), helpers.shift(-3, 0, 0))
    # the target's world is 4 mm to the left of the mask's
    carried = carry(brain, np.eye(4), target, helpers.shift(4, 0, 0))
    expected = np.zeros(target.shape, dtype=bool)
    expected[4:8, 6:10, 7:11] = True
    np.testing.assert_array_equal(carried, expected)


def test_largest_and_grow_and_millilitres():
    mask = np.zeros((20, 20, 20), dtype=bool)
    mask[2, 2, 2] = mask[10:14, 10:14, 10:14] = True
    wide = scan(mask, np.diag([1.0, 1.0, 3.0, 1.0]))
    assert np.count_nonzero(largest(mask)) == 64
    assert millilitres(mask, wide) == pytest.approx(65 * 3 / 1000)
    grown = grow(largest(mask), wide, 2.5)
    assert grown[8, 11, 11]
    assert not grown[11, 11, 9]  # one voxel of 3 mm is too far


@pytest.mark.parametrize("contrast", ["t1", "t2"])
def test_rough_brain_of_the_phantom(phantom, contrast):
    head = phantom[contrast]
    image = scan(head.head, head.affine)
    found, how = rough_brain(image, head_mask(image, Numbers()), Numbers())
    both = np.count_nonzero(found & head.brain)
    assert 2 * both / (np.count_nonzero(found) + np.count_nonzero(head.brain)) > 0.88
    assert how["ml"] == pytest.approx(millilitres(found, image))


def test_rough_brain_lets_dark_white_matter_in():
    """A brain whose bright part alone is too small, as on T2: the next level takes the whole."""
    x, y, z = (np.indices((90, 100, 90)) - 45) * 2.0
    distance = np.sqrt(x**2 + y**2 + z**2)
    data = np.select([(distance < 68) & (x < 0), distance < 68, distance < 74, distance < 82], [130, 60, 5, 60], 0)
    data = np.abs(data + RNG.normal(0, 2, data.shape)).astype(np.float32)
    image = scan(data, np.diag([2.0, 2.0, 2.0, 1.0]))
    numbers = Numbers(rough_levels=(1.0, 0.5))
    found, how = rough_brain(image, head_mask(image, numbers), numbers)
    assert how["level"] == 0.5
    assert np.count_nonzero(found & (distance < 68)) > 0.95 * np.count_nonzero(distance < 68)
    assert np.count_nonzero(found & (distance > 72)) < 0.02 * np.count_nonzero(found)


def test_no_brain_is_an_error_that_says_what_was_found():
    data = np.zeros((40, 40, 40), dtype=np.float32)
    data[10:30, 10:30, 10:30] = RNG.normal(100, 5, (20, 20, 20))
    blob = scan(data, np.eye(4))
    with pytest.raises(DataError, match=r"mask.nii.gz: found no object of a brain's size .*expected 900 to 2100"):
        rough_brain(blob, head_mask(blob, Numbers()), Numbers())
