"""Tables that list cases, describe cases, or describe lesions; and what is wrong with them."""

from __future__ import annotations

import pytest

from cerebench.cohorts.reader import read_cohort
from cerebench.errors import DataError, UsageError


@pytest.fixture
def listed(base):
    """A card whose cases are the rows of ``cases.csv``."""
    base["layouts"] = [
        {
            "name": "table",
            "images": {"t1": "{t1}"},
            "brain_mask": "{brain}",
            "patient": "{patient}",
            "case": "{patient}-{visit}",
            "centre": "{site}",
            "table": {
                "file": "cases.csv",
                "lists_cases": True,
                "columns": {"patient": "id", "visit": "visit", "site": "site", "t1": "image", "brain": "brain"},
                "healthy": {"column": "dx", "values": ["CN"], "patients": ["AD", "MCI"]},
                "covariates": {"age": "age", "sex": "sex"},
            },
        }
    ]
    base["modalities"] = ["t1"]
    return base


@pytest.fixture
def write(tree):
    def write(text, files=(), name="cases.csv"):
        root = tree(files)
        (root / name).write_text(text, encoding="utf-8-sig")
        return root

    return write


HEAD = "id,visit,site,image,brain,dx,age,sex\n"


def test_rows_are_cases(listed, make_card, write):
    root = write(
        HEAD
        + "S2,m12,X,s2/b.nii.gz,s2/m.nii.gz,AD,71.5,F\n"
        + "S1,bl,Y,s1.nii,,CN,,M\n"
        + "S2,bl,X,s2/a.nii.gz,s2/m.nii.gz,MCI,70,F\n",
        ["s2/a.nii.gz", "s2/b.nii.gz", "s2/m.nii.gz", "s1.nii"],
    )
    listing = read_cohort(make_card(listed), root)
    assert [case.id for case in listing.cases] == ["S1-bl", "S2-bl", "S2-m12"]
    assert listing.patients == ("S1", "S2")
    control, first, second = listing.cases
    assert (control.healthy, first.healthy, second.healthy) == (True, False, False)
    assert (control.covariates, second.covariates) == ({"sex": "M"}, {"age": 71.5, "sex": "F"})
    assert (first.images["t1"], first.centre, control.brain_mask) == (root / "s2/a.nii.gz", "X", None)
    assert listing.unready == ("S1-bl",)
    assert any("brain mask missing" in fault for fault in listing.faults)


@pytest.mark.parametrize("path", ["../secret.nii.gz", "/etc/hostname", "a/../../secret.nii.gz"])
def test_a_path_that_leaves_the_folder_is_not_read(listed, make_card, write, tmp_path, path):
    (tmp_path / "data/secret.nii.gz").parent.mkdir(parents=True)
    (tmp_path / "data/secret.nii.gz").touch()
    root = write(HEAD + f"S1,bl,X,a.nii.gz,m.nii.gz,CN,,\nS2,bl,X,{path},m.nii.gz,AD,,\n", ["a.nii.gz", "m.nii.gz"])
    listing = read_cohort(make_card(listed), root)
    assert [case.id for case in listing.cases] == ["S1-bl"]
    assert any("case S2-bl" in fault and "no image" in fault for fault in listing.faults)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("S1,bl,X,a.nii.gz,m.nii.gz,XX,,", "row 2: column 'dx' is 'XX', expected CN, AD, MCI"),
        ("S1,bl,X,a.nii.gz,m.nii.gz,,,", "column 'dx' is ''"),
        (",bl,X,a.nii.gz,m.nii.gz,CN,,", "gives no patient"),
        ("S1,bl,X,a.nii.gz,m.nii.gz,CN,,\nS1,bl,X,a.nii.gz,m.nii.gz,CN,,", "rows 2 and 3"),
        ("S1,bl,X,gone.nii.gz,m.nii.gz,CN,,", "no image"),
    ],
)
def test_a_faulty_row_costs_its_case_alone(listed, make_card, write, row, says):
    root = write(HEAD + f"{row}\nS9,bl,X,a.nii.gz,m.nii.gz,CN,,\n", ["a.nii.gz", "m.nii.gz"])
    listing = read_cohort(make_card(listed), root)
    assert [case.id for case in listing.cases] == ["S9-bl"]
    assert any(says in fault for fault in listing.faults), listing.faults


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,visit\nS1,bl\n", "no column 'site'"),
        (HEAD, "no rows"),
        (HEAD + "S1,bl\n", "row 2: found 2 cells, expected 8"),
        ("id,id\n1,2\n", "'id' is there twice"),
    ],
)
def test_a_damaged_table_is_one_sentence(listed, make_card, write, text, says):
    with pytest.raises(DataError, match=says):
        read_cohort(make_card(listed), write(text, ["a.nii.gz"]))


def test_rows_describe_cases_found_by_name(base, make_card, tree, case_files):
    base["layouts"][0]["table"] = {
        "file": "about.tsv",
        "columns": {"site": "s", "patient": "p"},
        "label": {"column": "grade", "values": {"low": 0, "high": 1}},
    }
    root = tree([*case_files("A", "P1"), *case_files("A", "P1", "2"), *case_files("B", "P1")])
    (root / "about.tsv").write_text("s\tp\tgrade\nA\tP1\thigh\nC\tP7\tlow\n")
    listing = read_cohort(make_card(base), root)
    assert {case.id: case.label for case in listing.cases} == {"A-P1-1": 1, "A-P1-2": 1, "B-P1-1": None}
    assert [case.id for case in listing.lesions] == ["A-P1-1", "A-P1-2"]
    assert "1 rows speak of cases that are not here (first: C, P7)" in listing.notes[0]


def test_rows_describe_lesions(base, make_card, tree, case_files):
    layout = base["layouts"][0]
    layout |= {"numbered_lesions": True, "labels": {1: "anomaly", 2: "anomaly"}}
    layout["table"] = {
        "file": "lesions.csv",
        "columns": {"site": "s", "patient": "p", "visit": "v"},
        "lesion": "n",
        "label": {"column": "what", "values": {"necrosis": 0, "progression": 1}},
        "covariates": {"dose": "gy"},
    }
    root = tree(case_files("A", "P1"))
    (root / "lesions.csv").write_text(
        "s,p,v,n,what,gy\nA,P1,1,3,necrosis,20\nA,P1,1,1,progression,\nA,P1,1,x,necrosis,\n"
    )
    listing = read_cohort(make_card(base), root)
    assert [(case.id, case.label) for case in listing.cases] == [("A-P1-1", None)]
    assert [(case.id, case.lesion, case.label, case.covariates) for case in listing.lesions] == [
        ("A-P1-1-1", 1, 1, {}),
        ("A-P1-1-3", 3, 0, {"dose": 20.0}),
    ]
    assert listing.policy.numbered_lesions
    assert any("'n' is 'x'" in fault for fault in listing.faults)


def test_a_missing_table_is_a_fault_unless_it_is_optional(base, make_card, tree, case_files):
    table = {"file": "about.csv", "columns": {"patient": "p"}, "covariates": {"age": "age"}}
    base["layouts"][0]["table"] = table
    root = tree(case_files("A", "P1"))
    listing = read_cohort(make_card(base), root)
    assert len(listing.cases) == 1
    assert any("about.csv: the table is missing" in fault for fault in listing.faults)
    table["optional"] = True
    assert read_cohort(make_card(base), root).faults == ()


def test_a_healthy_row_needs_no_lesion_mask(base, make_card, tree, case_files):
    base["layouts"][0]["table"] = {
        "file": "who.csv",
        "columns": {"patient": "p", "site": "s", "visit": "v"},
        "healthy": {"column": "group", "values": ["control"]},
    }
    base["layouts"][0]["table"]["lists_cases"] = True
    root = tree([*case_files("A", "P1", without="lesion.nii.gz"), *case_files("A", "P2", without="lesion.nii.gz")])
    (root / "who.csv").write_text("p,s,v,group\nP1,A,1,control\nP2,A,1,patient\n")
    listing = read_cohort(make_card(base), root)
    assert [(case.id, case.healthy, case.mask) for case in listing.cases] == [("A-P1-1", True, None)]
    assert any("A-P2-1" in fault and "not read as healthy" in fault for fault in listing.faults)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"file": "a.xlsx"}, ".csv or .tsv"),
        ({"file": "../a.csv"}, r"\.\."),
        ({"columns": {"nothing": "p"}}, "nothing"),
        ({"lists_cases": True}, "site|visit"),
        ({"lesion": "n"}, "numbered_lesions"),
        ({"lists_cases": True, "optional": True}, "cannot be optional"),
    ],
)
def test_a_card_with_an_impossible_table_is_refused(base, make_card, change, says):
    base["layouts"][0]["table"] = {"file": "a.csv", "columns": {"patient": "p"}, **change}
    with pytest.raises(UsageError, match=says):
        make_card(base)
