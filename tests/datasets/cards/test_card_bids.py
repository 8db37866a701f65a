"""Any BIDS tree: sessions or none, contrast, runs, and masks among the derivatives."""

from __future__ import annotations

import pytest

from cerebench.errors import DataError

LESION = "label-lesion_mask.nii.gz"


@pytest.mark.parametrize("session", ["", "ses-01"])
def test_with_and_without_sessions(read, tree, session):
    folder, stem = ("sub-01/ses-01", "sub-01_ses-01") if session else ("sub-01", "sub-01")
    root = tree(
        [
            *(f"{folder}/anat/{stem}_{kind}.nii.gz" for kind in ("T1w", "T2w", "FLAIR", "PDw")),
            f"{folder}/anat/{stem}_T1w.json",
            f"{folder}/func/{stem}_task-rest_bold.nii.gz",
            f"derivatives/manual/{folder}/anat/{stem}_{LESION}",
            f"derivatives/smriprep/{folder}/anat/{stem}_desc-brain_mask.nii.gz",
            f"derivatives/smriprep/{folder}/anat/{stem}_desc-preproc_T1w.nii.gz",
            "participants.tsv",
        ]
    )
    listing = read("bids", root)
    (case,) = listing.cases
    assert (case.id, case.patient) == (stem, "sub-01")
    assert sorted(case.images) == ["flair", "pd", "t1", "t2"]
    assert all("derivatives" not in path.parts for path in case.images.values())
    assert case.mask.name == f"{stem}_{LESION}"
    assert case.brain_mask.name == f"{stem}_desc-brain_mask.nii.gz"
    assert (listing.faults, listing.unready) == ((), ())


@pytest.mark.parametrize(
    "mask",
    [
        "derivatives/sub-01/anat/sub-01_mask.nii.gz",
        "derivatives/lesions/sub-01/sub-01_space-T1w_label-lesion_mask.nii.gz",
        "derivatives/group/manual/sub-01/dwi/sub-01_desc-rater1_mask.nii.gz",
    ],
)
def test_lesion_masks_lie_anywhere_below_derivatives(read, tree, mask):
    root = tree(["sub-01/anat/sub-01_T1w.nii.gz", mask])
    (case,) = read("bids", root).cases
    assert case.mask == root / mask
    assert case.brain_mask is None


def test_a_brain_mask_alone_is_no_lesion_mask(read, tree):
    root = tree(["sub-01/anat/sub-01_T1w.nii.gz", "derivatives/x/sub-01/anat/sub-01_desc-brain_mask.nii.gz"])
    with pytest.raises(DataError, match=r"lesion mask missing.*not read as healthy"):
        read("bids", root)


def test_the_contrast_enhanced_image_is_told_from_the_plain_one(read, tree):
    root = tree(
        [
            "sub-01/anat/sub-01_acq-mprage_T1w.nii.gz",
            "sub-01/anat/sub-01_acq-mprage_ce-gadolinium_run-1_T1w.nii.gz",
            f"derivatives/x/sub-01/anat/sub-01_{LESION}",
        ]
    )
    (case,) = read("bids", root).cases
    assert {kind: path.name for kind, path in case.images.items()} == {
        "t1": "sub-01_acq-mprage_T1w.nii.gz",
        "t1c": "sub-01_acq-mprage_ce-gadolinium_run-1_T1w.nii.gz",
    }


@pytest.mark.parametrize(
    "more",
    ["sub-02/anat/sub-02_run-2_T1w.nii.gz", f"derivatives/rater2/sub-02/anat/sub-02_{LESION}"],
    ids=["two runs", "two lesion masks"],
)
def test_what_is_there_twice_is_refused(read, tree, more):
    files = [[f"sub-{n}/anat/sub-{n}_T1w.nii.gz", f"derivatives/x/sub-{n}/anat/sub-{n}_{LESION}"] for n in ("01", "02")]
    listing = read("bids", tree([*files[0], *files[1], more]))
    assert [case.id for case in listing.cases] == ["sub-01"]
    assert any("case sub-02" in fault and "there twice" in fault for fault in listing.faults)


def test_sessions_with_the_same_number_belong_to_their_subjects(read, tree):
    root = tree(
        path
        for n in ("01", "02")
        for s in ("a", "b")
        for path in (
            f"sub-{n}/ses-{s}/anat/sub-{n}_ses-{s}_FLAIR.nii.gz",
            f"derivatives/x/sub-{n}/ses-{s}/anat/sub-{n}_ses-{s}_{LESION}",
        )
    )
    listing = read("bids", root)
    assert [case.id for case in listing.cases] == ["sub-01_ses-a", "sub-01_ses-b", "sub-02_ses-a", "sub-02_ses-b"]
    assert listing.patients == ("sub-01", "sub-02")
    assert all(case.mask.name.startswith(case.id) for case in listing.cases)
