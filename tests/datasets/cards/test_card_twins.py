"""The in-silico tree of every card, read with the card and opened file by file."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy import ndimage

import cerebench_datasets
from cerebench.cohorts.card import load_card
from cerebench.cohorts.reader import read_cohort
from cerebench.cohorts.twins import write_twin
from cerebench.prepare.grid import canonical
from cerebench.prepare.inspection import inspect_case
from cerebench.prepare.read import read_image, read_mask, same_grid
from cerebench_datasets.insilico.write import simulate

CARDS = {
    path.stem: load_card(path) for path in sorted((Path(cerebench_datasets.__file__).parent / "cards").glob("*.yaml"))
}
MASKED = [name for name, card in CARDS.items() if card.layout(card.simulate.layout).mask is not None]

each_card = pytest.mark.parametrize("name", list(CARDS))
each_masked = pytest.mark.parametrize("name", MASKED)


def values_in(case, policy):
    """Values in the mask file of a case."""
    return {int(value) for value in np.unique(read_mask(case.mask, policy.slices).data)}


@each_card
def test_the_tree_is_read_as_in_silico_and_ready(name, twin):
    card = CARDS[name]
    listing = read_cohort(card, twin(name))
    patients = {card.simulate.slot(index).patient for index in range(3)}
    assert (listing.provenance, listing.layout.name) == ("in-silico", card.simulate.layout)
    assert (len(listing.cases), len(listing.patients)) == (3, len(patients))
    assert (listing.faults, listing.unready, listing.excluded) == ((), (), ())
    assert set(listing.modalities) == set(card.simulate.modalities)


@each_card
def test_every_file_opens_and_the_brain_has_the_size_of_the_templates(name, twin):
    listing = read_cohort(CARDS[name], twin(name))
    found = [inspect_case(case, listing.policy) for case in listing.cases]
    assert [case.faults for case in found] == [[]] * 3
    assert all(1300 < case.brain_ml < 2600 for case in found)  # the template's: 1.9 l
    if name in MASKED:
        assert all(case.lesion_voxels > 0 for case in found)
    else:
        assert all(case.lesion_voxels is None for case in found)


@each_masked
def test_the_mask_has_only_values_of_the_card(name, twin):
    listing = read_cohort(CARDS[name], twin(name))
    known = {0, *listing.layout.labels}
    for case in listing.cases:
        values = values_in(case, listing.policy)
        assert {value % 10 for value in values} <= known if listing.policy.numbered_lesions else values <= known


@pytest.mark.parametrize("name", [name for name in CARDS if name != "brainmetshare"])
def test_axes_and_numbers_are_stored_as_in_the_release(name, twin):
    parameters = CARDS[name].simulate.parameters
    for case in read_cohort(CARDS[name], twin(name)).cases:
        for path in case.images.values():
            image = nibabel.load(path)
            assert "".join(nibabel.aff2axcodes(image.affine)) == parameters.get("orientation", "RAS")
            assert image.get_data_dtype() == np.dtype(parameters.get("dtype", "int16"))


def test_meningiomas_touch_the_edge_that_an_erosion_would_cut(twin):
    listing = read_cohort(CARDS["brats-men"], twin("brats-men"))
    assert listing.policy.erosion_mm == 0
    for case in listing.cases:
        lesion = read_mask(case.mask).data > 0
        brain = read_image(case.images["t1"]).data != 0
        lost = lesion & ~ndimage.binary_erosion(brain)
        assert lost.sum() > 0.05 * lesion.sum()


def test_cavities_are_labelled_apart(twin):
    listing = read_cohort(CARDS["brats-gli-post"], twin("brats-gli-post"))
    assert any(4 in values_in(case, listing.policy) for case in listing.cases)
    ignored = sum(inspect_case(case, listing.policy).ignored_voxels for case in listing.cases)
    assert ignored > 0


def test_flair_of_the_stroke_twin_lies_on_a_grid_of_its_own(twin):
    for case in read_cohort(CARDS["isles2022"], twin("isles2022")).cases:
        mask, dwi, adc = read_mask(case.mask), read_image(case.images["dwi"]), read_image(case.images["adc"])
        assert same_grid(mask, dwi)
        assert same_grid(mask, adc)
        assert not same_grid(mask, read_image(case.images["flair"]))


def test_second_visits_are_of_the_same_patient_and_lesions_keep_their_numbers(twin):
    listing = read_cohort(CARDS["molab"], twin("molab"))
    first, second, _ = listing.cases
    assert first.patient == second.patient
    numbers = [{value // 10 for value in values_in(case, listing.policy) if value} for case in (first, second)]
    assert numbers[0] == numbers[1]
    rows = {(case.patient, case.lesion, case.label) for case in listing.lesions}
    assert {number for patient, number, _ in rows if patient == first.patient} == numbers[0]
    assert len(listing.lesions) >= 3


def test_controls_of_the_dementia_twin_are_healthy(twin):
    card = CARDS["adni-alz"]
    cases = read_cohort(card, twin("adni-alz")).cases
    affected = {card.simulate.field_values(i)["subject"]: card.simulate.slot(i).affected for i in range(3)}
    assert {case.patient: not case.healthy for case in cases} == affected
    assert all({"age", "sex"} <= set(case.covariates) for case in cases)


def test_lesions_of_the_second_centre_have_classes_and_covariates(twin):
    listing = read_cohort(CARDS["necrosis-second-centre"], twin("necrosis-second-centre"))
    assert [case.id for case in listing.lesions] == ["L000", "L001", "L002"]
    assert {case.label for case in listing.lesions} <= {0, 1}
    assert all("age" in case.covariates for case in listing.lesions)


def test_slices_hold_the_same_subject_as_volumes_the_same_way_round(twin, tmp_path):
    card = CARDS["brainmetshare"]
    plan = card.simulate.model_copy(update={"layout": "nifti", "fields": {"case": "Mets_{index:03d}"}})
    write_twin(card.model_copy(update={"simulate": plan}), simulate, tmp_path / "nifti", cases=1, spacing=8.0, seed=0)
    found = []
    for root in (twin("brainmetshare"), tmp_path / "nifti"):
        listing = read_cohort(card, root)
        case, slices = listing.cases[0], listing.policy.slices
        scans = canonical(read_image(case.images["t1c"], slices)), canonical(read_mask(case.mask, slices))
        assert np.allclose(np.abs(np.diag(scans[0].affine)[:3]), 8)
        found.append([scan.data for scan in scans])
    (sliced, sliced_mask), (volume, volume_mask) = found
    assert np.corrcoef(sliced.ravel(), volume.ravel())[0, 1] > 0.99
    for axis in range(3):
        assert np.corrcoef(np.flip(sliced, axis).ravel(), volume.ravel())[0, 1] < 0.97
    assert np.array_equal(sliced_mask, volume_mask)
    assert set(np.unique(volume_mask)) == {0, 255}
