"""Releases of one cohort that differ in names, folders or labels."""

from __future__ import annotations

import pytest

from cerebench.contract.data import SliceStack

BRATS = ("t1n", "t1c", "t2w", "t2f", "seg")


def brats(case, folder=""):
    return [f"{folder}{case}/{case}-{name}.nii.gz" for name in BRATS]


@pytest.mark.parametrize(
    ("layout", "names", "enhancing"),
    [("2021", ("t1", "t1ce", "t2", "flair", "seg"), 4), ("2023", BRATS, 3)],
)
def test_brats_glioma_releases_have_their_own_names_and_labels(read, tree, layout, names, enhancing):
    case, joint = ("BraTS2021_00002", "_") if layout == "2021" else ("BraTS-GLI-00002-000", "-")
    listing = read("brats-gli", tree(f"{case}/{case}{joint}{name}.nii.gz" for name in names))
    (found,) = listing.cases
    assert (listing.layout.name, found.id, found.patient) == (layout, case, case.removesuffix("-000"))
    assert [found.images[kind].name.split(joint)[-1] for kind in ("t1", "t1c", "t2", "flair")] == [
        f"{name}.nii.gz" for name in names[:4]
    ]
    assert listing.policy.labels == {1: "anomaly", 2: "anomaly", enhancing: "anomaly"}
    assert listing.unready == ()


@pytest.mark.parametrize(
    ("name", "case", "labels"),
    [
        ("brats-gli", "BraTS-GLI-00000-000", {1: "anomaly", 2: "anomaly", 3: "anomaly"}),
        ("brats-gli-post", "BraTS-GLI-00005-100", {1: "anomaly", 2: "anomaly", 3: "anomaly", 4: "cavity"}),
        ("brats-men", "BraTS-MEN-00004-000", {1: "anomaly", 2: "anomaly", 3: "anomaly"}),
        ("brats-met", "BraTS-MET-00086-000", {1: "anomaly", 2: "anomaly", 3: "anomaly"}),
        ("brats-ped", "BraTS-PED-00002-000", {1: "anomaly", 2: "anomaly", 3: "anomaly", 4: "anomaly"}),
        ("brats-ssa", "BraTS-SSA-00002-000", {1: "anomaly", 2: "anomaly", 3: "anomaly"}),
    ],
)
def test_each_brats_release_owns_its_label_map(read, tree, name, case, labels):
    listing = read(name, tree(brats(case)))
    assert [found.id for found in listing.cases] == [case]
    assert listing.layout.labels == labels


def test_label_four_is_tumour_cavity_or_oedema_by_release(card_named):
    layouts = {
        "2021": card_named("brats-gli").layout("2021"),
        "2023": card_named("brats-gli").layout("2023"),
        "post": card_named("brats-gli-post").layouts[0],
        "ped": card_named("brats-ped").layouts[0],
    }
    assert {name: layout.labels.get(4) for name, layout in layouts.items()} == {
        "2021": "anomaly",
        "2023": None,
        "post": "cavity",
        "ped": "anomaly",
    }


def test_the_card_before_treatment_does_not_take_the_release_after_it(read, tree):
    root = tree([*brats("BraTS-GLI-00005-100"), *brats("BraTS-GLI-00006-000")])
    assert [case.id for case in read("brats-gli", root).cases] == ["BraTS-GLI-00006-000"]


@pytest.mark.parametrize("wrapped", ["", "BraTS-Africa/"])
def test_both_categories_of_brats_africa_are_read_and_told_apart(read, tree, wrapped):
    root = tree(
        [
            *brats("BraTS-SSA-00108-000", f"{wrapped}95_Glioma/"),
            *brats("BraTS-SSA-00009-000", f"{wrapped}51_OtherNeoplasms/"),
        ]
    )
    listing = read("brats-ssa", root)
    assert (listing.layout.name, listing.faults) == ("tcia", ())
    assert {case.centre: case.patient for case in listing.cases} == {
        "95_Glioma": "BraTS-SSA-00108",
        "51_OtherNeoplasms": "BraTS-SSA-00009",
    }


@pytest.mark.parametrize(("layout", "prefix"), [("official", "patient07_"), ("mirror", "")])
def test_mslub_releases(read, tree, layout, prefix):
    names = ("FLAIR", "T1W", "T1WKS", "T2W", "consensus_gt", "brainmask")
    listing = read("mslub", tree(f"patient07/{prefix}{name}.nii.gz" for name in names))
    (case,) = listing.cases
    assert listing.layout.name == layout
    assert case.images["t1c"].name == f"{prefix}T1WKS.nii.gz"
    assert case.images["t1"].name == f"{prefix}T1W.nii.gz"
    assert case.brain_mask is not None
    assert (listing.unready, listing.faults) == ((), ())


def test_mslub_mirror_takes_the_coregistered_copy(read, tree):
    names = ("FLAIR", "T1W", "T1WKS", "T2W", "consensus_gt", "brainmask")
    root = tree(f"cross_sectional/{copy}/patient07/{name}.nii.gz" for copy in ("raw", "coregistered") for name in names)
    listing = read("mslub", root)
    assert listing.root == root / "cross_sectional/coregistered"
    assert len(listing.cases) == 1


def test_brainmetshare_as_nifti(read, tree):
    listing = read(
        "brainmetshare", tree(f"train/Mets_005/{n}.nii" for n in ("bravo", "t1_pre", "t1_gd", "flair", "seg"))
    )
    (case,) = listing.cases
    assert (listing.layout.name, case.id, listing.faults) == ("nifti", "Mets_005", ())
    assert {kind: path.name for kind, path in case.images.items()} == {
        "t1c": "bravo.nii",
        "t1": "t1_pre.nii",
        "flair": "flair.nii",
    }
    assert listing.policy.labels == {0: "normal", 1: "anomaly", 255: "anomaly"}


def test_brainmetshare_as_slices_reads_sequences_by_their_number(read, tree):
    part = "mets_stanford_releaseMask_train"
    root = tree(f"{part}/Mets_005/{kind}/{n:03d}.png" for kind in ("0", "1", "2", "3", "seg") for n in range(4))
    listing = read("brainmetshare", root)
    (case,) = listing.cases
    assert (listing.layout.name, listing.faults) == ("png", ())
    folders = {kind: path.relative_to(root / part / "Mets_005").as_posix() for kind, path in case.images.items()}
    assert folders == {"t1c": "0", "t1": "1", "flair": "3"}
    assert case.mask == root / part / "Mets_005/seg"
    assert listing.policy.slices == SliceStack((0.94, 0.94, 1.0), "LPS")
    assert listing.policy.labels == {0: "normal", 255: "anomaly"}


def test_studies_of_the_stanford_test_part_are_faults_and_never_healthy(read, tree):
    train, test = "mets_stanford_releaseMask_train", "mets_stanford_releaseMask_test"
    root = tree(
        [
            *(f"{train}/A/{kind}/0.png" for kind in ("0", "1", "3", "seg")),
            *(f"{test}/B/{kind}/0.png" for kind in ("0", "1", "3")),
        ]
    )
    listing = read("brainmetshare", root)
    assert [(case.id, case.healthy) for case in listing.cases] == [("A", False)]
    assert ["case B" in fault and "not read as healthy" in fault for fault in listing.faults] == [True]


def test_ixi_leaves_other_files_alone(read, tree):
    root = tree(
        [
            *(f"IXI002-Guys-0828-{kind}.nii.gz" for kind in ("T1", "T2", "PD", "MRA")),
            "IXI012-HH-1211-T1.nii.gz",
            "IXI.xls",
        ]
    )
    listing = read("ixi", root)
    first, second = listing.cases
    assert (first.id, first.patient, first.centre) == ("IXI002-Guys-0828", "IXI002", "Guys")
    assert sorted(first.images) == ["pd", "t1", "t2"]
    assert sorted(second.images) == ["t1"]
    assert (first.healthy, first.mask) == (True, None)
    assert listing.unready == ("IXI002-Guys-0828", "IXI012-HH-1211")
    assert listing.faults == ()


def test_oasis_sessions_have_several_scans_and_two_spellings(read, tree):
    root = tree(
        [
            "OAS30246_MR_d0746/anat3/sub-OAS30246_ses-d0746_run-02_T1w.nii.gz",
            "OAS30246_MR_d0746/anat2/sub-OAS30246_ses-d0746_run-01_T1w.nii.gz",
            "OAS30246_MR_d0746/anat4/sub-OAS30246_ses-d0746_T2w.nii.gz",
            "OAS30246_MR_d2000/anat1/sub-OAS30246_sess-d2000_acq-TSE_T2w.nii.gz",
            "OAS30300_MR_d0001/anat1/sub-OAS30300_ses-d0001_FLAIR.nii.gz",
        ]
    )
    listing = read("oasis3", root)
    assert [case.id for case in listing.cases] == ["OAS30246_d0746", "OAS30246_d2000", "OAS30300_d0001"]
    assert listing.patients == ("OAS30246", "OAS30300")
    assert listing.cases[0].images["t1"].name.endswith("run-01_T1w.nii.gz")
    assert [sorted(case.images) for case in listing.cases] == [["t1", "t2"], ["t2"], ["flair"]]
    assert all(case.healthy for case in listing.cases)
    assert listing.faults == ()


def test_camcan_demographics_are_joined_where_they_are(read, tree, write_rows):
    root = tree(f"BIDS/sub-CC11003{n}/anat/sub-CC11003{n}_{kind}.nii.gz" for n in (3, 7) for kind in ("T1w", "T2w"))
    assert [case.covariates for case in read("camcan", root).cases] == [{}, {}]
    write_rows("BIDS/demographics.csv", [{"subject": "CC110037", "age": "18.75", "sex": "F"}])
    assert [case.covariates for case in read("camcan", root).cases] == [{}, {"age": 18.75, "sex": "F"}]
