"""Inspection reads everything, names every fault, and refuses nothing that preparation would take."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from cerebench.contract.data import Case, ReadPolicy
from cerebench.prepare.inspection import inspect_case, inspect_cases

STRIPPED = ReadPolicy(labels={1: "anomaly", 2: "ignore"}, skull_stripped=True)


@pytest.fixture
def files(tmp_path):
    """A brain of 8 x 8 x 8 voxels of 2 mm with a lesion of 4 voxels, one ignored."""
    image = np.zeros((12, 12, 12), np.float32)
    image[2:10, 2:10, 2:10] = np.random.default_rng(0).uniform(1, 2, (8, 8, 8))
    mask = np.zeros(image.shape, np.uint8)
    mask[4, 4, 3:7], mask[4, 5, 3] = 1, 2

    def write(name, values, affine=np.diag([2.0, 2, 2, 1])):
        nib.save(nib.Nifti1Image(values, affine), tmp_path / name)
        return tmp_path / name

    return {
        "t1": write("t1.nii.gz", image),
        "mask": write("mask.nii.gz", mask),
        "write": write,
        "values": (image, mask),
    }


def case(files, **more):
    return Case("c", "p", "toy", {"t1": files["t1"]}, healthy=False, **{"mask": files["mask"], **more})


def test_a_sound_case_has_volumes_and_no_fault(files):
    found = inspect_case(case(files), STRIPPED)
    assert (found.faults, found.notes, found.files) == ([], [], 2)
    assert (found.lesion_voxels, found.ignored_voxels) == (4, 1)
    assert found.lesion_ml == pytest.approx(4 * 8 / 1000)
    assert found.brain_ml == pytest.approx(512 * 8 / 1000)


def test_every_fault_is_named_not_only_the_first(files):
    _, mask = files["values"]
    files["t1"].write_bytes(files["t1"].read_bytes()[:-20])
    files["write"]("mask.nii.gz", np.where(mask == 2, 7, mask))
    found = inspect_case(case(files), STRIPPED)
    assert len(found.faults) == 2
    assert "t1.nii.gz" in found.faults[0]
    assert "label value 7" in found.faults[1]


def test_a_head_with_skull_is_a_fault(files):
    found = inspect_case(case(files), ReadPolicy(labels=STRIPPED.labels))
    assert "skull" in found.faults[0]


def test_a_mask_on_another_grid_needs_leave(files):
    _, mask = files["values"]
    files["write"]("mask.nii.gz", mask[:, :, :8])
    assert "grid" in inspect_case(case(files), STRIPPED).faults[0]
    allowed = ReadPolicy(labels=STRIPPED.labels, skull_stripped=True, resample_mask=True)
    found = inspect_case(case(files, mask_modality="t1"), allowed)
    assert found.faults == []
    assert "not on the grid of t1" in found.notes[0]


def test_a_mask_beside_the_brain(files):
    _, mask = files["values"]
    files["write"]("mask.nii.gz", np.roll(mask, 7, axis=0))
    assert "all 4 lesion voxels outside the brain" in inspect_case(case(files), STRIPPED).faults[0]
    files["write"]("mask.nii.gz", np.roll(mask, 4, axis=2))
    found = inspect_case(case(files), STRIPPED)
    assert found.faults == []
    assert "1 of 4 lesion voxels lie outside" in found.notes[0]


def test_an_empty_mask_is_a_note(files):
    files["write"]("mask.nii.gz", np.zeros((12, 12, 12), np.uint8))
    found = inspect_case(case(files), STRIPPED)
    assert (found.faults, found.lesion_voxels) == ([], 0)
    assert "no voxel is labelled" in found.notes[0]


def test_a_header_without_orientation_is_a_note(files):
    image, _ = files["values"]
    broken = nib.Nifti1Image(image, None)
    broken.header["pixdim"][1:4] = 2
    nib.save(broken, files["t1"])
    found = inspect_case(case(files, mask=None), STRIPPED)
    assert "left and right" in found.notes[0]


def test_cases_come_in_their_order_with_progress(files):
    seen = []
    cases = [Case(f"c{i}", "p", "toy", {"t1": files["t1"]}, healthy=True) for i in range(5)]
    found = list(inspect_cases(cases, STRIPPED, 3, lambda done, total, text: seen.append((done, total, text))))
    assert [each.case for each in found] == ["c0", "c1", "c2", "c3", "c4"]
    assert seen[-1] == (5, 5, "c4")
