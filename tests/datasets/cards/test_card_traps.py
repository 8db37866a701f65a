"""Known traps of the cohorts: identity, policy of labels, other grids, heads with skull."""

from __future__ import annotations

import pytest

from cerebench.cohorts.splits import assign_splits

BRATS = ("t1n", "t1c", "t2w", "t2f", "seg")
VISITS = {
    "brats-gli-post": (
        [f"BraTS-GLI-00005-{v}/BraTS-GLI-00005-{v}-{n}.nii.gz" for v in (100, 101) for n in BRATS],
        ["BraTS-GLI-00005-100", "BraTS-GLI-00005-101"],
        "BraTS-GLI-00005",
    ),
    "brats-met": (
        [f"BraTS-MET-00086-{v}/BraTS-MET-00086-{v}-{n}.nii.gz" for v in ("000", "001") for n in BRATS],
        ["BraTS-MET-00086-000", "BraTS-MET-00086-001"],
        "BraTS-MET-00086",
    ),
    "ucsf-bmsr": (
        [f"100101{v}/100101{v}_{n}.nii.gz" for v in "AB" for n in ("T1pre", "T1post", "FLAIR", "seg")],
        ["100101A", "100101B"],
        "100101",
    ),
    "molab": (
        [f"000115/000115/NIFTI/000115_{v}_{n}.nii" for v in (1, 2) for n in ("img", "msk")],
        ["000115_1", "000115_2"],
        "000115",
    ),
    "yale-mets": (
        [f"YG_A/{d}/YG_A_{d}_09-19-56_{n}.nii.gz" for d in ("2016-01-28", "2017-02-01") for n in ("PRE", "POST")],
        ["YG_A_2016-01-28_09-19-56", "YG_A_2017-02-01_09-19-56"],
        "YG_A",
    ),
}


@pytest.mark.parametrize("name", list(VISITS))
def test_visits_of_a_patient_are_one_patient(read, tree, name):
    paths, cases, patient = VISITS[name]
    listing = read(name, tree(paths))
    assert [case.id for case in listing.cases] == cases
    assert listing.patients == (patient,)
    assert listing.faults == ()


@pytest.mark.parametrize("name", ["brats-gli-post", "brats-met", "ucsf-bmsr", "molab", "oasis3", "bids", "yale-mets"])
def test_visits_of_a_patient_never_part_in_splits(name, release, read):
    listing = read(name, release(name, 24))
    splits = assign_splits(listing.cases, {"train": 0.5, "validation": 0.2, "test": 0.3})
    roles = {case: role for role in ("train", "validation", "test") for case in splits.ids(role)}
    assert len(listing.patients) < len(listing.cases) == len(roles)
    for patient in listing.patients:
        assert len({roles[case.id] for case in listing.cases if case.patient == patient}) == 1


def test_numbers_repeat_across_sites_and_scanners_of_wmh(read, tree):
    sites = ["Utrecht", "Singapore", "Amsterdam/GE3T", "Amsterdam/GE1T5", "Amsterdam/Philips_VU .PETMR_01."]
    root = tree(
        f"{part}/{site}/100/{file}"
        for part, site in [("training", sites[0]), *(("test", site) for site in sites[1:])]
        for file in ("pre/FLAIR.nii.gz", "pre/T1.nii.gz", "orig/FLAIR.nii.gz", "wmh.nii.gz")
    )
    listing = read("wmh2017", root)
    assert len(listing.cases) == len(listing.patients) == 5
    assert {case.centre for case in listing.cases} == set(sites)
    assert "test-Amsterdam_GE3T-100" in [case.id for case in listing.cases]
    assert all(path.parent.name == "pre" for case in listing.cases for path in case.images.values())
    assert listing.faults == ()


def test_numbers_repeat_across_centres_of_msseg(read, tree):
    names = [f"{n}_preprocessed" for n in ("FLAIR", "T1", "T2", "DP", "GADO")]
    root = tree(
        f"{part}/Center_{centre}/Patient_01/{file}.nii.gz"
        for part, centre in (("Training", "01"), ("Training", "07"), ("Testing", "03"))
        for file in [*(f"Preprocessed_Data/{n}" for n in names), "Masks/Consensus", "Masks/ManualSegmentation_1"]
    )
    listing = read("msseg2016", root)
    assert listing.patients == ("01-Patient_01", "03-Patient_01", "07-Patient_01")
    assert {case.centre for case in listing.cases} == {"01", "03", "07"}
    first = listing.cases[0]
    assert {kind: path.name.split("_")[0] for kind, path in first.images.items()} == {
        "flair": "FLAIR",
        "t1": "T1",
        "t2": "T2",
        "pd": "DP",
        "t1c": "GADO",
    }
    assert {case.mask.name for case in listing.cases} == {"Consensus.nii.gz"}


def test_a_patient_of_a_second_part_of_wmh_is_the_same_patient(read, tree):
    root = tree(
        f"{part}/Utrecht/7/{file}.nii.gz" for part in ("training", "test") for file in ("pre/FLAIR", "pre/T1", "wmh")
    )
    listing = read("wmh2017", root)
    assert [case.id for case in listing.cases] == ["test-Utrecht-7", "training-Utrecht-7"]
    assert listing.patients == ("Utrecht-7",)


def test_other_pathology_of_wmh_counts_neither_way(card_named):
    assert card_named("wmh2017").layouts[0].read_policy().labels == {1: "anomaly", 2: "ignore"}


@pytest.mark.parametrize(("says", "is_read_as"), [("anomaly", "anomaly"), ("normal", "normal"), ("ignore", "ignore")])
def test_a_resection_cavity_is_what_the_protocol_says(card_named, says, is_read_as):
    layout = card_named("brats-gli-post").layouts[0]
    assert layout.states(says) == {1: "anomaly", 2: "anomaly", 3: "anomaly", 4: is_read_as}


def test_a_resection_cavity_is_ignored_where_nobody_says(read, release):
    assert read("brats-gli-post", release("brats-gli-post")).policy.labels[4] == "ignore"


def test_infarct_masks_belong_to_dwi_and_are_resampled_onto_flair(read, tree):
    case = "sub-strokecase0001"
    root = tree(
        [
            *(f"{case}/ses-0001/dwi/{case}_ses-0001_{n}.nii.gz" for n in ("dwi", "adc")),
            f"{case}/ses-0001/anat/{case}_ses-0001_FLAIR.nii.gz",
            f"derivatives/{case}/ses-0001/{case}_ses-0001_msk.nii.gz",
        ]
    )
    listing = read("isles2022", root)
    (found,) = listing.cases
    assert (found.mask_modality, listing.policy.resample_mask) == ("dwi", True)
    assert found.mask == root / f"derivatives/{case}/ses-0001/{case}_ses-0001_msk.nii.gz"
    assert sorted(found.images) == ["adc", "dwi", "flair"]


@pytest.mark.parametrize("name", ["atlas2", "wmh2017", "molab", "ixi", "camcan", "oasis3"])
def test_heads_with_skull_are_not_ready(name, release, read):
    listing = read(name, release(name))
    assert len(listing.unready) == len(listing.cases) > 0


@pytest.mark.parametrize("name", ["brats-men", "isles2022", "brainmetshare", "ucsf-bmsr", "msseg2016", "yale-mets"])
def test_skull_stripped_releases_are_ready(name, release, read):
    assert read(name, release(name)).unready == ()


def test_the_testing_part_of_atlas_is_not_read(read, tree):
    def name(subject, part):
        stem = f"{part}/R042/sub-{subject}/ses-1/anat/sub-{subject}_ses-1_space-MNI152NLin2009aSym"
        return [f"{stem}_T1w.nii.gz", f"{stem}_label-L_desc-T1lesion_mask.nii.gz"]

    root = tree(f"ATLAS_2/{path}" for path in [*name("r042s002", "Training"), name("r042s003", "Testing")[0]])
    listing = read("atlas2", root)
    assert [(case.id, case.patient, case.centre) for case in listing.cases] == [("r042s002_ses-1", "r042s002", "R042")]
    assert listing.faults == ()


def test_the_test_folder_of_ucsf_has_no_masks_and_is_passed_over(read, tree):
    root = tree(
        [
            *(
                f"UCSF_TRAIN/100101A/100101A_{n}.nii.gz"
                for n in ("T1pre", "T1post", "FLAIR", "seg", "subtraction", "T2Synth")
            ),
            *(f"UCSF_TEST/100999A/100999A_{n}.nii.gz" for n in ("T1pre", "T1post", "FLAIR")),
        ]
    )
    listing = read("ucsf-bmsr", root)
    assert [case.id for case in listing.cases] == ["100101A"]
    assert sorted(listing.cases[0].images) == ["flair", "t1", "t1c"]


def test_the_unlabelled_cohort_is_neither_faulty_nor_healthy(read, tree):
    listing = read("yale-mets", tree(["YG_A/2016-01-28/YG_A_2016-01-28_09-19-56_POST.nii.gz"]))
    (case,) = listing.cases
    assert (case.healthy, case.mask, case.label, sorted(case.images)) == (False, None, None, ["t1c"])
    assert listing.faults == ()
    assert listing.card.tasks == ()
