"""The suite of cards finds every planted fault, and the built-in cards pass it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cerebench.cohorts.card import load_card
from cerebench.contract.data import Case
from cerebench.plugins.registry import Registry
from cerebench.testing import assert_card_conforms, card_checks, check_card
from cerebench.testing.card_tree import Tree, existing, twin
from cerebench.testing.outcome import Broken, NotApplicable

CARD = """
schema: 1
name: toy
title: Toy
summary: Ellipsoids.
citation: none
licence: CC0
access: made by the test
healthy: false
modalities: [t1]
layouts:
  - name: flat
    images: {t1: "{patient}/{visit}_t1.nii.gz"}
    mask: "{patient}/{visit}_mask.nii.gz"
    patient: "{patient}"
    skull_stripped: true
"""
SIMULATED = """simulate:
  generator: phantom
  layout: flat
  lesion: ms
  modalities: [t1]
  fields: {patient: "p{patient:02d}", visit: "v{visit}"}
  revisit_every: 2
"""
COHORTS = Registry.discover(environ={"CEREBENCH_PLUGINS": ""}).select("cohort", "all")


def card(folder: Path, text: str = CARD, *edits: tuple[str, str]):
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    path = folder / "toy.yaml"
    path.write_text(text)
    return load_card(path)


def write(path: Path, seed: int, lesion: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    grid = np.stack(np.meshgrid(*(np.linspace(-1.2, 1.2, 12),) * 3, indexing="ij"))
    brain = (grid**2).sum(0) < 1
    image = brain * (100 + np.random.default_rng(seed).normal(0, 5, brain.shape))
    mask = ((grid**2).sum(0) < 0.1) & lesion
    for name, values in (("t1", image), ("mask", mask)):
        file = path.with_name(f"{path.name}_{name}.nii.gz")
        nib.save(nib.Nifti1Image(values.astype(np.float32), np.diag([8.0, 8.0, 8.0, 1.0])), file)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Files of five patients, the first with two visits."""
    folder = tmp_path / "toy"
    visits = [("p0", "a"), ("p0", "b"), *((f"p{index}", "a") for index in range(1, 5))]
    for number, (patient, visit) in enumerate(visits):
        write(folder / patient / visit, number)
    return folder


def failed(results):
    return {result.name: result.detail for result in results if not result.ok}


@pytest.fixture(scope="module")
def built_in() -> Registry:
    return Registry.discover(environ={"CEREBENCH_PLUGINS": ""})


@pytest.mark.parametrize("name", COHORTS)
def test_names_of_every_built_in_card_are_read_back(built_in, name):
    assert card_checks.patterns(built_in.card(name), 12)


@pytest.mark.parametrize("name", ["camcan", "yale-mets"])
def test_built_in_cards_pass_everything(built_in, name):
    results = check_card(built_in.card(name), spacing_mm=10)
    assert [result.name for result in results] == ["card", "patterns", "files", "references", "splits", "leakage"]
    assert not failed(results)
    assert not any(result.skipped for result in results)


def test_real_files_pass(tmp_path, tree):
    results = check_card(card(tmp_path), tree)
    assert not failed(results)
    figures = next(result.figures for result in results if result.name == "files")
    assert figures == {"cases": 6, "patients": 5}
    assert {result.name for result in results if result.skipped} == {"patterns"}
    assert_card_conforms(tmp_path / "toy.yaml", tree)


def test_without_files_or_twin_the_rest_is_skipped(tmp_path):
    results = check_card(card(tmp_path))
    assert [result.name for result in results if result.skipped] == [
        *("patterns", "files", "references", "splits", "leakage")
    ]
    assert not failed(results)


def test_a_card_that_is_not_valid_fails_at_once(tmp_path):
    (tmp_path / "toy.yaml").write_text(CARD.replace("licence: CC0\n", ""))
    results = check_card(tmp_path / "toy.yaml")
    assert [result.name for result in results] == ["card"]
    assert "licence" in failed(results)["card"]
    with pytest.raises(AssertionError, match=r"card '.*toy.yaml' breaks the contract:\n  card: "):
        assert_card_conforms(tmp_path / "toy.yaml")


def test_ambiguous_names_are_found(tmp_path):
    fields = '    fields: {patient: ".+"}\n    skull_stripped'
    broad = card(tmp_path, CARD + SIMULATED, ("{visit}_t1.nii.gz", "{visit}.nii.gz"), ("    skull_stripped", fields))
    with pytest.raises(Broken, match=r"v000_mask.nii.gz \(mask of case p00-v000\) is read as t1"):
        card_checks.patterns(broad, 4)
    same = card(tmp_path, CARD + SIMULATED, ("v{visit}", "v"))
    with pytest.raises(Broken, match="would be both t1 of case p00-v and t1 of case p00-v"):
        card_checks.patterns(same, 4)


def test_faulty_files_are_found(tmp_path, tree):
    (tree / "p3" / "a_mask.nii.gz").unlink()
    assert "p3" in failed(check_card(card(tmp_path), tree))["files"]
    shutil.rmtree(tree)
    tree.mkdir()
    assert failed(check_card(card(tmp_path), tree))["files"]


def test_unknown_labels_are_found(tmp_path, tree):
    other = card(tmp_path, CARD, ("    skull_stripped", "    labels: {2: anomaly}\n    skull_stripped"))
    assert "1" in failed(check_card(other, tree))["references"]


def test_lesions_of_the_healthy_are_found(tmp_path, tree):
    listing = existing(card(tmp_path), tree).listing
    cases = tuple(replace(case, healthy=True) for case in listing.cases)
    with pytest.raises(Broken, match="p0-a is healthy, but its mask marks"):
        card_checks.references(Tree(replace(listing, cases=cases), {}))


def test_one_image_under_two_patients_is_found(tmp_path, tree):
    shutil.copy(tree / "p1" / "a_t1.nii.gz", tree / "p4" / "a_t1.nii.gz")
    assert "of patient p4 equals" in failed(check_card(card(tmp_path), tree))["leakage"]
    shutil.copy(tree / "p0" / "a_t1.nii.gz", tree / "p0" / "b_t1.nii.gz")
    shutil.rmtree(tree / "p4")
    assert "leakage" not in failed(check_card(card(tmp_path), tree))


def test_visits_read_as_patients_are_found(tmp_path):
    torn = card(tmp_path, CARD + SIMULATED, ('    patient: "{patient}"', '    patient: "{patient}-{visit}"'))
    with pytest.raises(Broken, match="patient 0 gets several names"):
        card_checks.files(twin(torn, tmp_path / "out", 5, 10))
    one = tmp_path / "one"
    one.mkdir()
    fused = card(one, CARD + SIMULATED, ('    patient: "{patient}"', '    patient: "{visit}"'))
    with pytest.raises(Broken, match="patient v000 is read for several"):
        card_checks.files(twin(fused, one / "out", 5, 10))


def test_too_few_patients_for_a_split_are_no_fault(tmp_path, tree):
    for patient in ("p2", "p3", "p4"):
        shutil.rmtree(tree / patient)
    with pytest.raises(NotApplicable, match="2 patients are too few"):
        card_checks.splits(existing(card(tmp_path), tree))


def test_a_role_without_patient_and_a_torn_patient_are_found(tmp_path, tree, monkeypatch):
    from cerebench.cohorts import splits

    found = existing(card(tmp_path), tree)

    def by_case(cases: tuple[Case, ...], shares, salt="x"):
        roles = {case.id: frozenset({"test" if case.id == "p0-a" else "train"}) for case in cases}
        return splits.Splits(roles, None, {"test": 1, "train": 5, "validation": 1})

    monkeypatch.setattr(splits, "assign_splits", by_case)
    with pytest.raises(Broken, match=r"patient \['p0'\] has several roles"):
        card_checks.splits(found)
    monkeypatch.setattr(
        splits,
        "assign_splits",
        lambda cases, shares: splits.Splits(
            {case.id: frozenset({"train"}) for case in cases}, None, {"train": 5, "test": 0}
        ),
    )
    with pytest.raises(Broken, match=r"no patient for the role \['test'\]"):
        card_checks.splits(found)


def test_a_broken_generator_is_a_failed_check(tmp_path):
    results = check_card(card(tmp_path, CARD + SIMULATED, ("generator: phantom", "generator: phantm")))
    assert "did you mean 'phantom'" in failed(results)["files"]
