"""Cards on the real scans beside the repository, where they are."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

import cerebench_datasets
from cerebench.cohorts.card import load_card
from cerebench.cohorts.locate import locate
from cerebench.cohorts.splits import assign_splits
from cerebench.prepare.inspection import inspect_case

REPOSITORY = Path(__file__).resolve().parents[3]
REAL = REPOSITORY.parent / "shared" / "real"
BUILT_IN = Path(cerebench_datasets.__file__).parent / "cards"
LOCAL = Path(__file__).parent / "real"


def listed(folder, card, status="found"):
    if not (REAL / folder).is_dir():
        pytest.skip(f"real scans are absent: {folder} is not in ../shared/real")
    location = locate(load_card(card), REAL)
    assert location.status == status, location.note
    assert location.listing is not None
    assert location.listing.provenance == "real"
    assert location.listing.faults == ()
    return location.listing


def lesions(listing):
    """Case → (voxels, millilitres) of its lesion mask, each file read; no file has a fault."""
    found = {case.id: inspect_case(case, listing.policy) for case in listing.cases}
    assert [fault for case in found.values() for fault in case.faults] == []
    return {name: (case.lesion_voxels, pytest.approx(case.lesion_ml, rel=1e-3)) for name, case in found.items()}


def test_mslub():
    listing = listed("mslub", BUILT_IN / "mslub.yaml")
    assert listing.layout.name == "open-ms-mni"
    assert [case.id for case in listing.cases] == ["patient07", "patient19"]
    assert listing.modalities == ("flair", "t1", "t2")
    assert lesions(listing) == {"patient07": (1300, 1.300), "patient19": (49769, 49.769)}
    splits = assign_splits(listing.cases, {"validation": 0.3, "test": 0.7})
    assert splits.leave_one_out
    assert splits.ids("test") == splits.ids("validation") == ("patient07", "patient19")


def test_ixi_release_card_refuses_the_reduced_copy():
    if not (REAL / "ixi").is_dir():
        pytest.skip("real scans are absent: ixi is not in ../shared/real")
    location = locate(load_card(BUILT_IN / "ixi.yaml"), REAL)
    assert location.status == "empty"
    assert "IXI012-HH-1211-T1_ds.nii.gz" in location.note


def test_ixi_with_label_maps_as_brain_masks():
    listing = listed("ixi", LOCAL / "ixi-2mm.yaml")
    assert len(listing.cases) == 8
    assert {case.centre for case in listing.cases} == {"HH"}
    assert all(case.brain_mask.name.endswith("_DLMUSE.nii.gz") for case in listing.cases)
    assert listing.unready == ()


def test_brats2015():
    listing = listed("brats2015", LOCAL / "brats2015.yaml")
    assert [case.id for case in listing.cases] == ["brats_2013_pat0004_1", "brats_2013_pat0006_1"]
    assert listing.layout.test_only
    assert set(listing.policy.labels) == {1, 2, 3, 4}
    for case in listing.cases:
        image = nibabel.load(case.mask)
        voxels = int(np.count_nonzero(np.asanyarray(image.dataobj)))
        assert image.header.get_zooms() == (1.0, 1.0, 1.0)
        assert lesions(listing)[case.id] == (voxels, voxels / 1000)


def test_isles_mask_belongs_to_the_dwi_grid():
    listing = listed("isles2022", LOCAL / "isles2022-flat.yaml")
    (case,) = listing.cases
    assert (case.id, case.patient) == ("sub-strokecase0009_ses-0001", "sub-strokecase0009")
    assert case.mask_modality == "dwi"
    assert listing.policy.resample_mask
    assert lesions(listing) == {"sub-strokecase0009_ses-0001": (523, 523 * 8 / 1000)}


def test_a_head_with_skull_is_listed_but_not_ready():
    listing = listed("stroke-t2", LOCAL / "stroke-t2.yaml", status="not-ready")
    (case,) = listing.cases
    found = inspect_case(case, listing.policy)
    assert (found.lesion_voxels, found.lesion_ml) == (37855, pytest.approx(37.855, rel=1e-3))


def test_a_format_that_is_not_read_is_named():
    listing = listed("pyradiomics", LOCAL / "pyradiomics.yaml", status="not-ready")
    (case,) = listing.cases
    faults = inspect_case(case, listing.policy).faults
    assert any("brain1_image.nrrd" in fault for fault in faults)
    assert any("brain1_label.nrrd" in fault for fault in faults)
