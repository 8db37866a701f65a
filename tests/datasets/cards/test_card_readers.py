"""Every card on a hand-made tree with the names of its release: complete, damaged, out of order."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

import cerebench_datasets
from cerebench.cohorts.card import load_card
from cerebench.cohorts.reader import read_cohort
from cerebench.errors import DataError

CARDS = {
    path.stem: load_card(path) for path in sorted((Path(cerebench_datasets.__file__).parent / "cards").glob("*.yaml"))
}
NIFTI = [  # names of files come from patterns, and every image is one file
    name
    for name, card in CARDS.items()
    if not card.layout(card.simulate.layout).listed and card.layout(card.simulate.layout).slices is None
]
WITH_MASK = [name for name, card in CARDS.items() if card.layout(card.simulate.layout).mask is not None]
EXAMINATIONS = 6

each_card = pytest.mark.parametrize("name", list(CARDS))


def summary(listing):
    """Everything that a run depends on."""
    return (
        listing.layout.name,
        [(case.id, case.patient, case.centre, case.healthy, dict(case.images), case.mask) for case in listing.cases],
        listing.faults,
    )


@each_card
def test_a_complete_release_has_no_fault(name, release):
    card, plan = CARDS[name], CARDS[name].simulate
    root = release(name, EXAMINATIONS)
    listing = read_cohort(card, root)
    slots = [plan.slot(index) for index in range(EXAMINATIONS)]
    assert (listing.layout.name, listing.root, listing.provenance) == (plan.layout, root, "real")
    assert listing.faults == ()
    assert len(listing.cases) == EXAMINATIONS
    assert len(listing.patients) == len({slot.patient for slot in slots})
    assert set(plan.modalities) <= set(listing.modalities)
    assert all(set(plan.modalities) <= set(case.images) for case in listing.cases)
    assert all((case.mask is not None) is (name in WITH_MASK) for case in listing.cases)
    if card.healthy:
        assert all(case.healthy for case in listing.cases)
    elif listing.layout.table is None:
        assert not any(case.healthy for case in listing.cases)


@each_card
def test_a_release_may_lie_in_a_folder_of_its_own(name, release, tmp_path):
    root = release(name, EXAMINATIONS)
    plain = read_cohort(CARDS[name], root)
    wrapped = tmp_path / "wrapped"
    (wrapped / "download").mkdir(parents=True)
    root.rename(wrapped / "download/release")
    listing = read_cohort(CARDS[name], wrapped)
    assert listing.root == wrapped / "download/release"
    assert [case.id for case in listing.cases] == [case.id for case in plain.cases]
    assert listing.faults == ()


@each_card
def test_the_order_of_directory_listings_changes_nothing(name, release, monkeypatch):
    root = release(name, EXAMINATIONS)
    first = summary(read_cohort(CARDS[name], root))
    walk, shuffle = os.walk, random.Random(0).shuffle

    def unsorted(top):
        for folder, folders, files in walk(top):
            shuffle(folders)
            shuffle(files)
            yield folder, folders, files

    monkeypatch.setattr(os, "walk", unsorted)
    for _ in range(3):
        assert summary(read_cohort(CARDS[name], root)) == first


@pytest.mark.parametrize("name", WITH_MASK)
def test_a_missing_mask_is_a_fault_and_never_a_healthy_subject(name, release):
    root = release(name, EXAMINATIONS)
    whole = read_cohort(CARDS[name], root)
    lost = whole.cases[0]
    masks = sorted(lost.mask.glob("*.png")) if lost.mask.is_dir() else [lost.mask]
    for path in masks:
        path.unlink()
    listing = read_cohort(CARDS[name], root)
    assert [case.id for case in listing.cases] == [case.id for case in whole.cases[1:]]
    assert not any(case.healthy for case in listing.cases)
    (fault,) = listing.faults
    assert f"case {lost.id} of {name}: lesion mask missing" in fault
    assert "not read as healthy" in fault


@pytest.mark.parametrize(
    "name", [name for name, card in CARDS.items() if set(card.modalities) - set(card.optional_modalities)]
)
def test_a_missing_image_is_named_with_its_case(name, release):
    card = CARDS[name]
    root = release(name, EXAMINATIONS)
    needed = [kind for kind in card.simulate.modalities if kind not in card.optional_modalities][-1]
    case = read_cohort(card, root).cases[-1]
    image = case.images[needed]
    for path in sorted(image.glob("*.png")) if image.is_dir() else [image]:
        path.unlink()
    fault = " ".join(read_cohort(card, root).faults)
    assert f"case {case.id} of {name}" in fault
    assert (f"modality {needed} missing" if len(case.images) > 1 else "no image") in fault


@each_card
def test_a_foreign_folder_is_refused_with_what_was_expected(name, tree):
    root = tree(["notes.txt", "scan_7.nii.gz"])
    with pytest.raises(DataError, match=r"fits no layout of cohort .*found scan_7\.nii\.gz"):
        read_cohort(CARDS[name], root)


@each_card
def test_companions_of_other_systems_are_passed_over(name, release, tree):
    root = release(name, EXAMINATIONS)
    first = summary(read_cohort(CARDS[name], root))
    image = read_cohort(CARDS[name], root).cases[0].images[CARDS[name].simulate.modalities[0]]
    image = image / "0.png" if image.is_dir() else image
    (image.parent / f"._{image.name}").touch()
    tree([".DS_Store", "README.txt", "__MACOSX/x.nii.gz"])
    assert summary(read_cohort(CARDS[name], root)) == first


@pytest.mark.parametrize("name", NIFTI)
def test_compressed_and_plain_endings_are_the_same_file(name, release):
    card, root = CARDS[name], release(name, EXAMINATIONS)
    modality = card.simulate.modalities[0]
    image = read_cohort(card, root).cases[0].images[modality]
    other = image.with_suffix("") if image.name.endswith(".gz") else image.with_name(f"{image.name}.gz")
    image.rename(other)
    listing = read_cohort(card, root)
    assert listing.cases[0].images[modality] == other
    assert listing.faults == ()


@pytest.mark.parametrize("name", NIFTI)
def test_a_file_that_is_there_twice_is_refused_unless_the_card_says_which_to_take(name, release):
    card, root = CARDS[name], release(name, EXAMINATIONS)
    case = read_cohort(card, root).cases[0]
    image = case.images[card.simulate.modalities[0]]
    (image.with_suffix("") if image.name.endswith(".gz") else image.with_name(f"{image.name}.gz")).touch()
    listing = read_cohort(card, root)
    if listing.layout.repeats == "refuse":
        assert case.id not in [other.id for other in listing.cases]
        assert "there twice" in listing.faults[0]
    else:
        assert case.id in [other.id for other in listing.cases]
        assert listing.faults == ()
