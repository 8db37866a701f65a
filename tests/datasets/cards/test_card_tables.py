"""Cohorts that a table lists or annotates: controls, classes of lesions, and tables with mistakes."""

from __future__ import annotations

import pytest

from cerebench.errors import DataError


def subject(name, **more):
    row = {"subject": name, "visit": "bl", "site": "002", "diagnosis": "AD", "t1": f"{name}.nii.gz"}
    return row | {"brain_mask": f"{name}_brain.nii.gz", "age": "70", "sex": "F"} | more


@pytest.fixture
def adni(read, tree, write_rows):
    """``adni(row, …)``: the listing of a table with these rows, all files of which are there."""

    def make(*rows):
        tree(f"{row['subject']}{end}" for row in rows for end in (".nii.gz", "_brain.nii.gz"))
        return read("adni-alz", write_rows("subjects.csv", rows))

    return make


def lesion(name, **more):
    row = {"lesion": name, "patient": "P1", "diagnosis": "necrosis", "t1c": f"{name}/t1c.nii.gz"}
    row |= {"mask": f"{name}/mask.nii.gz", "age": "61", "months_since_radiotherapy": "8.5"}
    return row | {"dose_gy": "", "growth_per_month": "0.3", "primary": "lung"} | more


@pytest.fixture
def second_centre(read, tree, write_rows):
    """``second_centre(row, …)``: the listing of a table with these rows, all files of which are there."""

    def make(*rows):
        tree(f"{row['lesion']}/{file}.nii.gz" for row in rows for file in ("t1c", "mask"))
        return read("necrosis-second-centre", write_rows("lesions.csv", rows))

    return make


def test_diagnoses_tell_healthy_subjects_from_patients(adni):
    listing = adni(subject("S1", diagnosis="CN"), subject("S2"), subject("S2", visit="m12", diagnosis="Dementia"))
    assert {case.id: case.healthy for case in listing.cases} == {"S1-bl": True, "S2-bl": False, "S2-m12": False}
    assert listing.patients == ("S1", "S2")
    assert {case.mask for case in listing.cases} == {None}
    assert listing.cases[0].covariates == {"age": 70.0, "sex": "F"}
    assert (listing.faults, listing.unready, listing.lesions) == ((), (), ())


@pytest.mark.parametrize("diagnosis", ["MCI", "", "cn"])
def test_an_unknown_diagnosis_is_named_and_never_healthy(adni, diagnosis):
    listing = adni(subject("S1"), subject("S2", diagnosis=diagnosis))
    assert [case.id for case in listing.cases] == ["S1-bl"]
    (fault,) = listing.faults
    assert f"row 3: column 'diagnosis' is {diagnosis!r}, expected CN, AD, Dementia" in fault


def test_a_head_without_brain_mask_is_not_ready(adni):
    listing = adni(subject("S1"), subject("S2", brain_mask=""))
    assert listing.unready == ("S2-bl",)
    assert "brain mask missing" in listing.faults[0]


def test_a_row_twice_is_refused(adni):
    listing = adni(subject("S1"), subject("S2"), subject("S2", diagnosis="CN"))
    assert [case.id for case in listing.cases] == ["S1-bl"]
    assert "rows 3 and 4 of the table are the same case" in listing.faults[0]


def test_a_missing_column_is_named(adni):
    row = subject("S1")
    del row["diagnosis"]
    with pytest.raises(DataError, match="found no column 'diagnosis'"):
        adni(row)


@pytest.mark.parametrize("path", ["../S2.nii.gz", "/etc/hostname", "x/../../S2.nii.gz"])
def test_paths_that_leave_the_folder_are_not_read(adni, tree, path):
    root = tree([])
    root.mkdir(exist_ok=True)
    (root.parent / "S2.nii.gz").touch()
    listing = adni(subject("S1"), subject("S2", t1=path))
    assert [case.id for case in listing.cases] == ["S1-bl"]
    assert "case S2-bl" in listing.faults[0]
    assert "no image" in listing.faults[0]


def test_rows_of_the_second_centre_are_lesions_with_classes_and_covariates(second_centre):
    listing = second_centre(lesion("L1"), lesion("L2", diagnosis="progression"), lesion("L3", patient="P2"))
    assert {case.id: (case.patient, case.label) for case in listing.lesions} == {
        "L1": ("P1", 0),
        "L2": ("P1", 1),
        "L3": ("P2", 0),
    }
    assert listing.lesions[0].covariates == {
        "age": 61.0,
        "months_since_radiotherapy": 8.5,
        "growth_per_month": 0.3,
        "primary": "lung",
    }
    assert listing.card.tasks == ("lesion-classification",)
    assert listing.faults == ()


def test_an_unknown_class_of_the_second_centre_is_named(second_centre):
    listing = second_centre(lesion("L1"), lesion("L2", diagnosis="unclear"))
    assert [case.id for case in listing.lesions] == ["L1"]
    assert "column 'diagnosis' is 'unclear', expected necrosis, progression" in listing.faults[0]


def test_a_lesion_without_its_mask_is_a_fault(second_centre, tree, read):
    root = second_centre(lesion("L1"), lesion("L2")).root
    (root / "L2/mask.nii.gz").unlink()
    listing = read("necrosis-second-centre", root)
    assert [case.id for case in listing.lesions] == ["L1"]
    assert "case L2 of necrosis-second-centre: lesion mask missing" in listing.faults[0]


@pytest.fixture
def molab(read, tree):
    """``molab()``: the listing of two patients, two time points each."""
    root = tree(
        f"{p}/{p}/NIFTI/{p}_{t}_{kind}.nii" for p in ("000115", "000120") for t in (1, 2) for kind in ("img", "msk")
    )
    return lambda: read("molab", root)


def annotation(patient, timepoint, number, diagnosis="necrosis"):
    empty = dict.fromkeys(("age", "months_since_radiotherapy", "dose_gy", "growth_per_month", "primary"), "")
    return {"patient": patient, "timepoint": timepoint, "lesion": number, "diagnosis": diagnosis} | empty


def test_values_of_openbtai_are_lesion_number_and_part(molab):
    policy = molab().policy
    assert policy.numbered_lesions
    assert policy.labels == {1: "anomaly", 2: "anomaly"}


def test_openbtai_serves_without_annotation(molab):
    listing = molab()
    assert len(listing.cases) == 4
    assert (listing.lesions, listing.faults) == ((), ())


def test_openbtai_lesions_are_cases_of_their_own_where_annotated(molab, write_rows):
    rows = [
        annotation("000115", "1", "3"),
        annotation("000115", "1", "1", "progression"),
        annotation("000120", "2", "1"),
    ]
    write_rows("lesions.csv", rows)
    listing = molab()
    assert [(case.id, case.patient, case.lesion, case.label) for case in listing.lesions] == [
        ("000115_1-1", "000115", 1, 1),
        ("000115_1-3", "000115", 3, 0),
        ("000120_2-1", "000120", 1, 0),
    ]
    assert len({case.mask for case in listing.lesions}) == 2
    assert len(listing.cases) == 4
    assert (listing.lesions[0].covariates, listing.faults) == ({}, ())


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([annotation("000115", "1", "x")], "column 'lesion' is 'x'"),
        ([annotation("000115", "1", "1", "both")], "column 'diagnosis' is 'both'"),
        ([annotation("000115", "1", "1"), annotation("000115", "1", "1")], "is there 2 times"),
    ],
)
def test_mistakes_in_the_annotation_are_named(molab, write_rows, rows, says):
    write_rows("lesions.csv", rows)
    listing = molab()
    assert any(says in fault for fault in listing.faults)
    assert len(listing.cases) == 4
