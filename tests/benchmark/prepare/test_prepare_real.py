"""Real scans, where they are present; figures come from the files themselves, read with nibabel."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from cerebench.contract.data import Case, ReadPolicy
from cerebench.prepare.cache import Prepared, Preparer
from cerebench.prepare.spec import PrepareSpec

REAL = Path(__file__).parents[4] / "shared" / "real"
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="needs real scans in ../shared/real, which are not shipped")

STRIPPED = ReadPolicy(skull_stripped=True)


def mslub(patient: str) -> Case:
    folder = REAL / "mslub" / f"patient{patient}"
    return Case(
        id=patient,
        patient=patient,
        cohort="ms",
        healthy=False,
        images={"flair": folder / "FLAIR_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz"},
        mask=folder / "GOLD_STANDARD_N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI.nii.gz",
    )


def isles() -> Case:
    stem = "sub-strokecase0009_ses-0001_"
    images = {name: REAL / "isles2022" / f"{stem}{name}.nii.gz" for name in ("dwi", "adc", "flair")}
    mask = REAL / "isles2022" / f"{stem}msk.nii.gz"
    return Case("9", "9", "stroke", images, healthy=False, mask=mask, mask_modality="dwi")


def prepare(tmp_path: Path, case: Case, modalities: tuple[str, ...], policy: ReadPolicy, spacing: float) -> Prepared:
    return Preparer(tmp_path / "cache", PrepareSpec(spacing_mm=spacing)).prepare(case, modalities, policy)


def raw_intensity(entry: Prepared) -> tuple[float, float]:
    """AUROC and AP of the prepared intensity inside the brain."""
    labels = entry.labels()
    assert labels is not None
    brain = entry.brain()
    truth, score = labels[brain] == 1, entry.image()[0][brain]
    return roc_auc_score(truth, score), average_precision_score(truth, score)


@pytest.mark.parametrize(
    ("patient", "voxels", "outside", "auroc", "ap"), [("07", 1300, 0, 0.932, 0.079), ("19", 49769, 3, 0.950, 0.650)]
)
def test_multiple_sclerosis(tmp_path: Path, patient: str, voxels: int, outside: int, auroc: float, ap: float) -> None:
    case = mslub(patient)
    entry = prepare(tmp_path, case, ("flair",), STRIPPED, 1.0)
    lesion = entry.meta["lesion"]
    assert case.mask is not None
    assert np.count_nonzero(nib.load(case.mask).get_fdata()) == voxels
    # At the scan's own spacing nothing is interpolated and no lesion voxel is lost.
    assert (lesion["voxels_original"], lesion["voxels"], lesion["cut"]) == (voxels, voxels, 0)
    assert (lesion["outside_brain_original"], lesion["outside_brain"]) == (outside, outside)
    assert entry.meta["channels"]["flair"]["brain_voxels_cut"] == 0
    assert entry.meta["channels"]["flair"]["grid"].startswith("182x218x182, 1x1x1 mm, LAS")
    raw = nib.load(case.images["flair"]).get_fdata(dtype=np.float32)
    low, high = np.percentile(raw[raw != 0], [1, 99])
    np.testing.assert_allclose(entry.meta["channels"]["flair"]["scaled_from"], [low, high], rtol=0.02)
    # Known figures of the raw scan: preparation keeps the order of intensities.
    assert raw_intensity(entry) == pytest.approx((auroc, ap), abs=2e-3)


@pytest.mark.parametrize("spacing", [2.0, 4.0])
def test_lesion_volume_survives_a_coarser_grid(tmp_path: Path, spacing: float) -> None:
    lesion = prepare(tmp_path, mslub("19"), ("flair",), STRIPPED, spacing).meta["lesion"]
    assert lesion["ml"] == pytest.approx(lesion["ml_original"], rel=0.03)


def test_background_that_is_not_zero(tmp_path: Path) -> None:
    folder = REAL / "brats2015" / "brats_2013_pat0004_1"
    case = Case(
        id="4",
        patient="4",
        cohort="glioma",
        healthy=False,
        images={"flair": folder / "Flair_subtrMeanDivStd.nii.gz", "t1c": folder / "T1c_subtrMeanDivStd.nii.gz"},
        mask=folder / "OTMultiClass.nii.gz",
        brain_mask=folder / "brainmask.nii.gz",
    )
    policy = ReadPolicy(labels=dict.fromkeys((1, 2, 3, 4), "anomaly"))
    entry = prepare(tmp_path, case, ("flair", "t1c"), policy, 2.0)
    given = np.count_nonzero(nib.load(folder / "brainmask.nii.gz").get_fdata())
    tumour = np.count_nonzero(nib.load(folder / "OTMultiClass.nii.gz").get_fdata())
    assert [entry.meta["channels"][name]["brain_voxels"] for name in ("flair", "t1c")] == [given, given]
    assert entry.meta["lesion"]["voxels_original"] == tumour
    assert entry.image().shape == (2, 80, 96, 80)
    # The constant background, five standard deviations below the brain, leaves no dark rim.
    inside = entry.image()[:, entry.brain()]
    assert np.quantile(inside, 0.001) > -0.1
    without = Case("4", "4", "glioma", case.images, healthy=False, mask=case.mask)
    found = prepare(tmp_path, without, ("flair",), ReadPolicy(labels=policy.labels, skull_stripped=True), 2.0)
    assert found.meta["channels"]["flair"]["brain_mask"].startswith("voxels unlike the constant background -5.34")
    assert found.meta["channels"]["flair"]["brain_voxels"] == pytest.approx(given, rel=0.02)


def test_stroke_mask_follows_to_the_grid_of_the_flair(tmp_path: Path) -> None:
    plain = prepare(tmp_path, isles(), ("dwi", "adc"), STRIPPED, 2.0)
    assert plain.meta["lesion"]["voxels"] == plain.meta["lesion"]["voxels_original"] == 523
    assert raw_intensity(plain) == pytest.approx((0.932, 0.073), abs=5e-3)
    policy = ReadPolicy(skull_stripped=True, resample_mask=True)
    flair = prepare(tmp_path, isles(), ("flair",), policy, 2.0)
    assert flair.meta["lesion"]["resampled_from_other_grid"] is True
    assert flair.meta["lesion"]["ml"] == pytest.approx(523 * 0.008, rel=0.05)
    labels, first = flair.labels(), plain.labels()
    assert labels is not None
    assert first is not None
    here = nib.affines.apply_affine(np.array(flair.meta["affine"]), np.argwhere(labels == 1)).mean(axis=0)
    there = nib.affines.apply_affine(np.array(plain.meta["affine"]), np.argwhere(first == 1)).mean(axis=0)
    # Nearest neighbour moves a mask by at most half of its own voxel (2 mm).
    np.testing.assert_allclose(here, there, atol=1.0)


def test_head_with_a_label_map_as_brain_mask(tmp_path: Path) -> None:
    stem = REAL / "ixi" / "IXI012-HH-1211-T1_ds"
    image, labels = Path(f"{stem}.nii.gz"), Path(f"{stem}_DLMUSE.nii.gz")
    case = Case("12", "12", "healthy", {"t1": image}, healthy=True, brain_mask=labels)
    entry = prepare(tmp_path, case, ("t1",), ReadPolicy(), 2.0)
    assert entry.meta["channels"]["t1"]["brain_voxels"] == np.count_nonzero(nib.load(labels).get_fdata())
    assert entry.meta["channels"]["t1"]["grid"].startswith("120x120x90, 2x2x2 mm, PSR")
    found = entry.labels()
    assert found is not None
    assert not found.any()
    places = np.argwhere(entry.brain())
    sides = (places.max(axis=0) - places.min(axis=0) + 1) * 2
    # A brain is longest from front to back; 130-150 mm wide.
    assert sides[1] > max(sides[0], sides[2])
    assert 120 < sides[0] < 160
