"""Lesion-free slices of a patient: what is near a lesion is blanked before any method sees it."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from cerebench.contract.data import Case, ReadPolicy
from cerebench.prepare.cache import Preparer
from cerebench.prepare.spec import PrepareSpec
from cerebench.prepare.steps import near_lesion

POLICY = ReadPolicy(labels={1: "anomaly", 2: "ignore"}, skull_stripped=True)
SPEC = PrepareSpec(spacing_mm=2.0, field_of_view_mm=(32.0, 32.0, 48.0))


@pytest.fixture
def case(tmp_path):
    image = np.zeros((16, 16, 24), np.float32)
    image[3:13, 3:13, 2:22] = np.random.default_rng(0).uniform(1, 2, (10, 10, 20))
    mask = np.zeros(image.shape, np.uint8)
    mask[6, 6, 8], mask[7, 7, 9], mask[5, 5, 18] = 1, 1, 2
    for name, values in (("t1", image), ("mask", mask)):
        nib.save(nib.Nifti1Image(values, np.diag([2.0, 2, 2, 1])), tmp_path / f"{name}.nii.gz")
    return Case("c", "p", "toy", {"t1": tmp_path / "t1.nii.gz"}, healthy=False, mask=tmp_path / "mask.nii.gz")


def test_slices_near_a_lesion_are_blank_and_the_rest_is_untouched(case, tmp_path):
    preparer = Preparer(tmp_path / "cache", SPEC)
    whole = preparer.prepare(case, ("t1",), POLICY)
    free = preparer.prepare(case, ("t1",), replace(POLICY, lesion_free_mm=4.0))
    assert free.key != whole.key
    lesion = np.flatnonzero((whole.labels() != 0).any(axis=(0, 1)))
    assert len(lesion) == 3
    near = np.abs(np.arange(24)[:, None] - lesion).min(axis=1) * 2.0 <= 4.0
    assert not free.brain()[..., near].any()
    assert not free.image()[..., near].any()
    np.testing.assert_array_equal(free.image()[..., ~near], whole.image()[..., ~near])
    np.testing.assert_array_equal(free.brain()[..., ~near], whole.brain()[..., ~near])
    assert free.brain()[..., ~near].any()


def test_no_mask_and_no_trace_of_one_is_delivered(case, tmp_path):
    free = Preparer(tmp_path / "cache", SPEC).prepare(case, ("t1",), replace(POLICY, lesion_free_mm=0.0))
    assert free.meta["labels"] == "healthy"
    assert not free.labels().any()
    assert not (free.folder / "labels.npy").exists()
    assert free.meta["brain_voxels_by_slice"] == np.count_nonzero(free.brain(), axis=(0, 1)).tolist()


def test_a_wide_margin_leaves_nothing_and_that_is_no_fault(case, tmp_path):
    free = Preparer(tmp_path / "cache", SPEC).prepare(case, ("t1",), replace(POLICY, lesion_free_mm=100.0))
    assert free.meta["brain_voxels"] == 0


def test_near_lesion_counts_slices_on_both_sides():
    labels = np.zeros((2, 2, 9), np.uint8)
    labels[0, 1, 4] = 2
    assert near_lesion(labels, 1.9).nonzero()[0].tolist() == [3, 4, 5]
    assert near_lesion(labels, 0).nonzero()[0].tolist() == [4]
    assert not near_lesion(np.zeros((2, 2, 9), np.uint8), 5).any()
