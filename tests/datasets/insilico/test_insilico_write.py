"""The simulator: layout, determinism, independence of cases, shared grid and mask, axes and number types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cerebench.errors import UsageError
from cerebench_datasets.insilico.write import simulate

SPACING = 6.0


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def read(path: Path) -> np.ndarray:
    return np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj)


@pytest.fixture(scope="module")
def written(cards, tmp_path_factory) -> dict[str, Path]:
    """Three subjects of three cards of NIfTI files on one grid."""
    root = tmp_path_factory.mktemp("twins")
    names = ("ixi", "brats-gli", "mslub")
    for name in names:
        simulate(cards[name], root / name, cases=3, spacing=SPACING, seed=1)
    return {name: root / name for name in names}


def test_every_file_fits_the_layout(written, cards):
    for name, root in written.items():
        card = cards[name]
        layout = card.layout(card.simulate.layout)
        kinds = {*card.simulate.modalities, *(k for k in ("mask", "brain_mask") if k in layout.patterns())}
        found = [layout.match(path) for path in tree(root)]
        assert None not in found
        assert len(found) == 3 * len(kinds)
        assert {kind for kind, _ in found} == kinds


def test_same_seed_same_bytes_another_seed_other_bytes(written, cards, tmp_path):
    simulate(cards["mslub"], tmp_path / "a", cases=3, spacing=SPACING, seed=1)
    simulate(cards["mslub"], tmp_path / "b", cases=3, spacing=SPACING, seed=2)
    again, other = tree(tmp_path / "a"), tree(tmp_path / "b")
    assert again == tree(written["mslub"])
    assert again.keys() == other.keys()
    assert all(again[name] != other[name] for name in again)


def test_same_seed_same_bytes_for_every_card(cards, tmp_path):
    for name, card in cards.items():
        for copy in "ab":
            simulate(card, tmp_path / copy / name, cases=2, spacing=8.0, seed=5)
    first, second = tree(tmp_path / "a"), tree(tmp_path / "b")
    assert {Path(path).parts[0] for path in first} == set(cards)
    assert first == second


def test_more_cases_change_no_earlier_one(written, cards, tmp_path):
    simulate(cards["brats-gli"], tmp_path, cases=4, spacing=SPACING, seed=1)
    more, fewer = tree(tmp_path), tree(written["brats-gli"])
    assert fewer.items() < more.items()


def test_subjects_and_cohorts_differ(written):
    first = [root.rglob("*") for root in written.values()]
    contents = [path.read_bytes() for files in first for path in files if path.is_file()]
    assert len(set(contents)) == len(contents)


def test_modalities_share_grid_and_brain_and_lie_in_it(written, cards):
    for name, root in written.items():
        card = cards[name]
        layout, plan = card.layout(card.simulate.layout), card.simulate
        for index in range(3):
            files = {m: root / layout.path(m, **plan.field_values(index)) for m in plan.modalities}
            affines = [nib.load(path).affine for path in files.values()]
            volumes = {modality: read(path) for modality, path in files.items()}
            brain = next(iter(volumes.values())) > 0
            for values in volumes.values():
                np.testing.assert_array_equal(values != 0, brain)
                assert values.min() == 0
            np.testing.assert_array_equal(np.ptp(affines, axis=0), 0)
            if layout.brain_mask is not None:
                np.testing.assert_array_equal(read(root / layout.path("brain_mask", **plan.field_values(index))), brain)
            if layout.mask is not None:
                mask = read(root / layout.path("mask", **plan.field_values(index)))
                assert mask.any()
                assert not (mask.astype(bool) & ~brain).any()
                assert set(np.unique(mask)) <= {0, *layout.labels}


def test_glioma_masks_use_all_labels_of_the_layout(written, cards):
    layout = cards["brats-gli"].layout(cards["brats-gli"].simulate.layout)
    found = set()
    for path in tree(written["brats-gli"]):
        if layout.match(path)[0] == "mask":
            found |= set(np.unique(read(written["brats-gli"] / path)).tolist())
    assert found == {0, *layout.labels}


@pytest.mark.parametrize(("dtype", "axes"), [("int16", "LPS"), ("float32", "PSR"), ("int16", "RAS")])
def test_number_type_and_axes_as_the_release_has_them(cards, with_parameters, tmp_path, dtype, axes):
    card = with_parameters(cards["ixi"], dtype=dtype, orientation=axes)
    simulate(card, tmp_path / "own", cases=1, spacing=SPACING, seed=0)
    plain = with_parameters(cards["ixi"], dtype="float32", orientation="RAS")
    simulate(plain, tmp_path / "plain", cases=1, spacing=SPACING, seed=0)
    for path in tree(tmp_path / "own"):
        image = nib.load(tmp_path / "own" / path)
        assert image.get_data_dtype() == np.dtype(dtype)
        assert "".join(nib.aff2axcodes(image.affine)) == axes
        assert image.header.get_zooms() == (SPACING,) * 3
        reference = nib.load(tmp_path / "plain" / path)
        np.testing.assert_allclose(nib.as_closest_canonical(image).affine, reference.affine)
        np.testing.assert_allclose(read(tmp_path / "own" / path), reference.dataobj, atol=0.51)
        assert 100 < np.median(reference.get_fdata()[reference.get_fdata() > 0]) < 5000


def test_centres_differ_and_the_card_can_fix_them(cards, with_parameters, tmp_path):
    quiet = {"snr": 1e6, "bias": 0}
    card = with_parameters(cards["ixi"], dtype="float32", scanner=quiet, centres={"HH": {"gain": 5000}})
    simulate(card, tmp_path, cases=3, spacing=SPACING, seed=0)
    medians = {}
    for path in tree(tmp_path):
        if path.endswith("T1.nii.gz"):
            values = read(tmp_path / path)
            medians[path.split("-")[1]] = float(np.median(values[values > 0]))
    assert set(medians) == {"Guys", "HH", "IOP"}
    assert medians["HH"] > 3 * max(medians["Guys"], medians["IOP"])
    assert medians["Guys"] != pytest.approx(medians["IOP"], rel=0.02)


@pytest.mark.parametrize("bad", [{"dtpe": "int16"}, {"orientation": "XYZ"}, {"anatomy": {"asymmetry": 2}}])
def test_bad_parameters_name_card_and_field(cards, with_parameters, tmp_path, bad):
    with pytest.raises(UsageError, match=rf"card 'ixi': simulate\.parameters\.{next(iter(bad))}.*found"):
        simulate(with_parameters(cards["ixi"], **bad), tmp_path, cases=1, spacing=SPACING, seed=0)


def test_a_modality_the_phantom_lacks_is_refused(cards, tmp_path):
    card = cards["ixi"]
    layout = card.layouts[0].model_copy(update={"images": {"swi": card.layouts[0].images["t1"]}})
    plan = card.simulate.model_copy(update={"modalities": ("swi",), "layout": layout.name})
    with pytest.raises(UsageError, match=r"no modality 'swi'; it offers: t1, t1c"):
        simulate(card.model_copy(update={"layouts": (layout,), "simulate": plan}), tmp_path, 1, SPACING, 0)


def test_a_card_without_simulation_is_refused(cards, tmp_path):
    with pytest.raises(UsageError, match="no `simulate` section"):
        simulate(cards["ixi"].model_copy(update={"simulate": None}), tmp_path, 1, SPACING, 0)


def test_progress_is_told_after_each_case(cards, tmp_path):
    seen = []
    simulate(cards["ixi"], tmp_path, 2, SPACING, 0, progress=lambda done, total, text: seen.append((done, total, text)))
    assert [(done, total) for done, total, _ in seen] == [(1, 2), (2, 2)]
    assert all(text.startswith("IXI") for _, _, text in seen)


def test_generator_imports_neither_torch_nor_nilearn():
    code = (
        "import sys, cerebench_datasets.insilico.write, cerebench_datasets.insilico.subject as s\n"
        "from cerebench_datasets.insilico.parameters import PhantomParameters as P\n"
        "before = {'scipy', 'nibabel'} & set(sys.modules)\n"
        "s.make_subject(s.Examination(0, 'x', 0), 8.0, 'glioma', P())\n"
        "print(before, {'torch', 'nilearn', 'sklearn'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["set()", "set()"]
