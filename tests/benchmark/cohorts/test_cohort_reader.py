"""The reader: grouping, layout choice, and every fault of a tree in one sentence."""

from __future__ import annotations

import json
import random

import pytest

from cerebench.cohorts.reader import MARKER, read_cohort
from cerebench.errors import DataError


def test_cases_are_grouped_and_sorted(base, make_card, tree, case_files):
    root = tree([*case_files("B", "P1", "1"), *case_files("A", "P2", "2"), *case_files("A", "P2", "1"), "readme.txt"])
    listing = read_cohort(make_card(base), root)
    assert [case.id for case in listing.cases] == ["A-P2-1", "A-P2-2", "B-P1-1"]
    assert listing.patients == ("A-P2", "B-P1")
    assert listing.modalities == ("t1", "flair")
    assert listing.faults == ()
    assert listing.provenance == "real"
    assert listing.unready == ()
    first = listing.cases[0]
    assert (first.cohort, first.centre, first.healthy, first.label) == ("toy", "A", False, None)
    assert first.images == {"t1": root / "A/P2-1/T1.nii.gz", "flair": root / "A/P2-1/FLAIR.nii.gz"}
    assert first.mask == root / "A/P2-1/lesion.nii.gz"
    assert listing.policy.skull_stripped


def test_order_of_the_directory_does_not_matter(base, make_card, tree, case_files, monkeypatch):
    root = tree([name for site in "CAB" for patient in ("P2", "P1") for name in case_files(site, patient)])
    card = make_card(base)
    expected = read_cohort(card, root).cases
    import os

    walk = os.walk

    def shuffled(top, **options):
        for folder, folders, files in walk(top, **options):
            random.Random(len(folder)).shuffle(files)
            folders.reverse()
            yield folder, folders, files

    monkeypatch.setattr(os, "walk", shuffled)
    assert read_cohort(card, root).cases == expected


def test_missing_mask_is_a_fault_and_never_healthy(base, make_card, tree, case_files):
    root = tree([*case_files("A", "P1"), *case_files("A", "P2", without="lesion.nii.gz")])
    listing = read_cohort(make_card(base), root)
    assert [case.id for case in listing.cases] == ["A-P1-1"]
    assert listing.faults == (
        f"case A-P2-1 of toy: lesion mask missing, expected A/P2-1/lesion.nii.gz in {root}; not read as healthy",
    )


def test_missing_modality_is_named_and_the_case_stays(base, make_card, tree, case_files):
    root = tree([*case_files("A", "P1"), *case_files("A", "P2", without="T1.nii.gz")])
    listing = read_cohort(make_card(base), root)
    assert len(listing.cases) == 2
    assert listing.faults == (f"case A-P2-1 of toy: modality t1 missing, expected A/P2-1/T1.nii.gz in {root}",)
    assert [case.id for case in listing.with_modalities("t1")] == ["A-P1-1"]
    assert len(listing.with_modalities("flair")) == 2
    base["optional_modalities"] = ["t1"]
    assert read_cohort(make_card(base), root).faults == ()


def test_mask_alone_is_no_case(base, make_card, tree, case_files):
    root = tree([*case_files("A", "P1"), "A/P2-1/lesion.nii.gz"])
    listing = read_cohort(make_card(base), root)
    assert [case.id for case in listing.cases] == ["A-P1-1"]
    assert listing.faults == ("case A-P2-1 of toy: no image, only mask",)


def test_duplicate_case_is_refused(base, make_card, tree, case_files):
    root = tree([*case_files("A", "P1"), *case_files("A", "P2"), "A/P1-1/T1.nii"])
    listing = read_cohort(make_card(base), root)
    assert [case.id for case in listing.cases] == ["A-P2-1"]
    assert listing.faults == (
        "case A-P1-1 of toy: duplicate case, t1 is there twice (A/P1-1/T1.nii and A/P1-1/T1.nii.gz); keep one",
    )


def test_two_cases_with_one_id_are_refused(base, make_card, tree):
    layout = base["layouts"][0]
    layout["case"] = "{patient}{visit}"
    layout["images"] = {"t1": "{patient}-{visit}/T1.nii.gz"}
    layout["mask"] = "{patient}-{visit}/lesion.nii.gz"
    layout.update(patient="{patient}", centre=None)
    root = tree([f"{case}/{name}.nii.gz" for case in ("P1-11", "P11-1", "P2-1") for name in ("T1", "lesion")])
    listing = read_cohort(make_card(base), root)
    assert [case.id for case in listing.cases] == ["P21"]
    assert any("case P111 of toy: duplicate case" in fault for fault in listing.faults)


def test_excluded_cases_are_left_out_and_counted(base, make_card, tree, case_files):
    base["exclude"] = ["A-P1-1", "A-P9-1"]
    listing = read_cohort(make_card(base), tree([*case_files("A", "P1"), *case_files("A", "P2")]))
    assert [case.id for case in listing.cases] == ["A-P2-1"]
    assert listing.excluded == ("A-P1-1",)
    assert listing.faults == ()


def test_brain_mask_decides_readiness(base, make_card, tree, case_files):
    base["layouts"][0].update(skull_stripped=False, brain_mask="{site}/{patient}-{visit}/brain.nii.gz")
    root = tree([*case_files("A", "P1"), *case_files("A", "P2"), "A/P1-1/brain.nii.gz"])
    listing = read_cohort(make_card(base), root)
    assert listing.cases[0].brain_mask == root / "A/P1-1/brain.nii.gz"
    assert listing.unready == ("A-P2-1",)
    assert listing.faults == (f"case A-P2-1 of toy: brain mask missing, expected A/P2-1/brain.nii.gz in {root}",)


def test_marker_makes_it_in_silico(base, make_card, tree, case_files):
    base["layouts"][0]["skull_stripped"] = False
    root = tree(case_files())
    assert read_cohort(make_card(base), root).unready == ("A-P1-1",)
    (root / MARKER).write_text(json.dumps({"skull_stripped": True}))
    listing = read_cohort(make_card(base), root)
    assert (listing.provenance, listing.policy.skull_stripped, listing.unready) == ("in-silico", True, ())
    (root / MARKER).write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        read_cohort(make_card(base), root)


def test_layout_that_matches_most_wins(base, make_card, tree, case_files):
    flat = {
        "name": "flat",
        "images": {"t1": "{patient}_T1.nii.gz"},
        "mask": "{patient}_M.nii.gz",
        "patient": "{patient}",
    }
    base["layouts"].append(flat)
    card = make_card(base)
    root = tree([*case_files("A", "P1"), "P7_T1.nii.gz", "P7_M.nii.gz"])
    assert read_cohort(card, root).layout.name == "nested"
    tree(["P8_T1.nii.gz", "P8_M.nii.gz"])
    assert read_cohort(card, root).layout.name == "flat"


def test_wrapped_release_is_found(base, make_card, tree, case_files):
    root = tree(
        [
            *(f"Release/Training/{name}" for name in [*case_files("A", "P1"), *case_files("A", "P2")]),
            *(f"Release/Validation/{name}" for name in case_files("A", "P3", without="lesion.nii.gz")),
        ]
    )
    listing = read_cohort(make_card(base), root)
    assert listing.root == root / "Release/Training"
    assert [case.id for case in listing.cases] == ["A-P1-1", "A-P2-1"]


def test_hidden_and_outside_files_are_not_read(base, make_card, tree, case_files, tmp_path):
    root = tree([*case_files("A", "P1"), "A/P1-1/._T1.nii.gz", ".snapshot/A/P5-1/T1.nii.gz"])
    elsewhere = tmp_path / "secret.nii.gz"
    elsewhere.touch()
    (root / "A/P2-1").mkdir()
    (root / "A/P2-1/T1.nii.gz").symlink_to(elsewhere)
    (root / "B").symlink_to(tmp_path, target_is_directory=True)
    listing = read_cohort(make_card(base), root)
    assert [case.id for case in listing.cases] == ["A-P1-1"]
    assert [fault.split(":")[0] for fault in listing.faults] == [str(root / "A/P2-1/T1.nii.gz"), str(root / "B")]
    assert all("was not followed" in fault for fault in listing.faults)


def test_link_within_the_root_counts(base, make_card, tree, case_files):
    root = tree([*case_files("A", "P1", without="T1.nii.gz"), "store/blob"])
    (root / "A/P1-1/T1.nii.gz").symlink_to(root / "store/blob")
    listing = read_cohort(make_card(base), root)
    assert listing.faults == ()
    assert listing.modalities == ("t1", "flair")


def test_nothing_to_read(base, make_card, tree, tmp_path):
    card = make_card(base)
    with pytest.raises(DataError, match=r"absent is no folder: cohort 'toy' .*\(Make it up\.\)"):
        read_cohort(card, tmp_path / "absent")
    with pytest.raises(DataError, match="is empty: cohort 'toy' expects files such as"):
        read_cohort(card, tree([]))
    root = tree(["a/x.nii.gz", "a/y.nii.gz", "a/z.nii.gz", "a/list.csv"])
    with pytest.raises(
        DataError, match=r"fits no layout of cohort 'toy': found a/x.nii.gz and a/y.nii.gz, expected for"
    ):
        read_cohort(card, root)


def test_only_faulty_cases(base, make_card, tree, case_files):
    root = tree(case_files("A", "P1", without="lesion.nii.gz"))
    with pytest.raises(
        DataError, match="holds no usable case of cohort 'toy': case A-P1-1 of toy: lesion mask missing"
    ):
        read_cohort(make_card(base), root)
