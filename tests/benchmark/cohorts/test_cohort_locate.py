"""Where a cohort is found under a data root."""

from __future__ import annotations

import pytest

from cerebench.cohorts.locate import find_folder, locate


def test_missing_says_how_to_get_it(base, make_card, tmp_path):
    card = make_card(base)
    for root in (None, tmp_path / "absent", tmp_path):
        location = locate(card, root)
        assert (location.status, location.root, location.listing, location.note) == (
            "missing",
            None,
            None,
            "Make it up.",
        )


@pytest.mark.parametrize("name", ["toy", "TOY", "Toy-Release"])
def test_folder_names_in_any_letter_case(base, make_card, tree, case_files, name):
    base["folders"] = ["toy", "toy-release"]
    root = tree(case_files(), name)
    card = make_card(base)
    assert find_folder(card, root.parent) == root
    assert find_folder(card, root) == root
    location = locate(card, root.parent)
    assert (location.status, location.note) == ("found", "")
    assert location.listing is not None
    assert location.listing.root == root


def test_first_name_of_the_card_wins(base, make_card, tree, case_files):
    base["folders"] = ["release", "toy"]
    tree(case_files(), "toy")
    assert find_folder(make_card(base), tree(case_files(), "release").parent).name == "release"


def test_file_of_that_name_is_no_folder(base, make_card, tmp_path):
    (tmp_path / "toy").touch()
    assert find_folder(make_card(base), tmp_path) is None


def test_empty_or_foreign_folder(base, make_card, tree):
    card = make_card(base)
    root = tree([])
    assert (locate(card, root).status, locate(card, root).listing) == ("empty", None)
    assert "is empty" in locate(card, root.parent).note
    tree(["other.nii.gz"])
    assert "fits no layout" in locate(card, root.parent).note


def test_heads_with_skull_are_not_ready(base, make_card, tree, case_files):
    base["layouts"][0].update(skull_stripped=False, brain_mask="{site}/{patient}-{visit}/brain.nii.gz")
    card = make_card(base)
    root = tree([*case_files("A", "P1"), *case_files("A", "P2")])
    location = locate(card, root)
    assert (location.status, len(location.listing.cases)) == ("not-ready", 2)
    assert "`bench data prepare toy`" in location.note
    tree(["A/P1-1/brain.nii.gz"])
    location = locate(card, root)
    assert location.status == "found"
    assert location.note.startswith("1 of 2 cases have no brain mask (first: A-P2-1); 1 fault (first: case A-P2-1")
