from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cerebench.contract.data import Case, ReadPolicy
from cerebench.errors import DataError
from cerebench.prepare.spec import PrepareSpec
from cerebench.prepare.steps import Steps, run_steps

Make = Callable[..., Any]
World = Callable[[tuple[int, ...], np.ndarray], np.ndarray]
Write = Callable[..., Path]

GRIDS = [
    {"codes": "RAS"},
    {"codes": "LAS"},
    {"codes": "LPS", "shape": (96, 60, 40), "spacing": (1.0, 1.6, 2.5)},
    {"codes": "PSR", "shape": (48, 32, 96), "spacing": (2.0, 3.0, 1.0)},
    {"codes": "LPI", "turn_degrees": 14.0},
]


def unscaled(steps: Steps, name: str = "t1") -> np.ndarray:
    """Intensities in the file's own units."""
    low, high = steps.meta["channels"][name]["scaled_from"]
    image: np.ndarray = steps.image[0] * (high - low) + low
    return image


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid["codes"])
@pytest.mark.parametrize("spacing", [1.5, 4.0])
def test_sphere_phantom_keeps_place_size_and_intensity(
    grid: dict[str, Any], spacing: float, phantom: Make, coordinates: World, stripped: ReadPolicy
) -> None:
    """Truth is analytic: two balls and a linear field in world millimetres, whatever the grid they came on."""
    made, case = phantom(**grid)
    steps = run_steps(case, ("t1",), stripped, PrepareSpec(spacing_mm=spacing, field_of_view_mm=(96, 96, 96)))
    affine = np.array(steps.meta["affine"])
    xyz = coordinates(steps.brain.shape, affine)
    assert steps.labels is not None

    np.testing.assert_allclose(xyz[steps.brain].mean(axis=0), made.centre, atol=0.3)
    assert steps.brain.sum() * spacing**3 == pytest.approx(4 / 3 * np.pi * made.radius**3, rel=0.03)
    np.testing.assert_allclose(xyz[steps.labels == 1].mean(axis=0), made.lesion_centre, atol=max(0.6, spacing / 4))
    assert steps.meta["lesion"]["ml"] == pytest.approx(4 / 3 * np.pi * made.lesion_radius**3 / 1000, rel=0.12)

    field = 100.0 + xyz @ np.array([0.5, -0.3, 0.8])
    low, high = steps.meta["channels"]["t1"]["scaled_from"]
    deep = np.linalg.norm(xyz - made.centre, axis=-1) < made.radius - 3 * spacing
    np.testing.assert_allclose(unscaled(steps)[deep], field[deep], atol=0.02 * (high - low))
    # RAS+: the first axis runs to the patient's right, and so on.
    assert (np.diag(np.sign(affine[:3, :3])) == 1).all()
    assert np.abs(affine[:3, :3]).argmax(axis=0).tolist() == [0, 1, 2]


def test_scale_is_the_brain_percentiles_and_outside_is_zero(phantom: Make, stripped: ReadPolicy) -> None:
    made, case = phantom(codes="LPS")
    spec = PrepareSpec(spacing_mm=2.0, field_of_view_mm=(96, 96, 96), low_percentile=5.0, high_percentile=90.0)
    steps = run_steps(case, ("t1",), stripped, spec)
    expected = np.quantile(made.image[made.brain], [0.05, 0.9])
    np.testing.assert_allclose(steps.meta["channels"]["t1"]["scaled_from"], expected, rtol=1e-6)
    inside = steps.image[0][steps.brain]
    np.testing.assert_allclose(np.quantile(inside, [0.05, 0.9]), [0.0, 1.0], atol=0.01)
    assert (steps.image[0][~steps.brain] == 0).all()
    assert steps.image.dtype == np.float32
    assert steps.image.shape == (1, *spec.shape)
    assert steps.brain.dtype == bool


def test_outliers_are_clipped_and_counted(phantom: Make, write: Write, stripped: ReadPolicy) -> None:
    made, case = phantom()
    data = made.image.copy()
    spikes = np.argwhere(made.brain)[1000:1005]
    data[tuple(spikes.T)] = 1e6
    data[tuple(np.argwhere(made.brain)[2000])] = -1e6
    write(case.images["t1"], data, made.affine)
    steps = run_steps(case, ("t1",), stripped, PrepareSpec(spacing_mm=2.0, field_of_view_mm=(96, 96, 96)))
    assert steps.image.max() == 3.0
    assert steps.image.min() == -0.5
    assert steps.meta["clipped_voxels"] == 6


@pytest.mark.parametrize("background", [-5.342541217803955, 7.0])
def test_constant_background_is_found_exactly(background: float, phantom: Make, stripped: ReadPolicy) -> None:
    made, case = phantom(background=background)
    steps = run_steps(case, ("t1",), stripped, PrepareSpec(spacing_mm=2.0, field_of_view_mm=(96, 96, 96)))
    assert steps.meta["channels"]["t1"]["brain_voxels"] == made.brain.sum()
    said = steps.meta["channels"]["t1"]["brain_mask"]
    assert said == f"voxels unlike the constant background {float(np.float32(background))!r}"


def test_brain_is_the_largest_component_with_holes_filled(phantom: Make, write: Write, stripped: ReadPolicy) -> None:
    made, case = phantom()
    data = made.image.copy()
    middle = tuple(np.argwhere(made.brain).mean(axis=0).astype(int))
    data[middle] = 0.0
    data[1:3, 1:3, 1:3] = 50.0
    write(case.images["t1"], data, made.affine)
    steps = run_steps(case, ("t1",), stripped, PrepareSpec(spacing_mm=2.0, field_of_view_mm=(96, 96, 96)))
    assert steps.meta["channels"]["t1"]["brain_voxels"] == made.brain.sum()
    assert steps.meta["channels"]["t1"]["brain_mask"] == "non-zero voxels"


def test_given_brain_mask_wins_and_may_be_a_label_map(phantom: Make, write: Write, stripped: ReadPolicy) -> None:
    made, case = phantom(brain_mask=True)
    smaller = made.brain & (made.xyz[..., 0] > 0)
    write(case.brain_mask, (smaller * 47).astype(np.uint8), made.affine)
    spec = PrepareSpec(spacing_mm=2.0, field_of_view_mm=(96, 96, 96))
    for policy in (stripped, ReadPolicy()):
        steps = run_steps(case, ("t1",), policy, spec)
        assert steps.meta["channels"]["t1"]["brain_voxels"] == smaller.sum() == steps.brain.sum()
        assert steps.meta["channels"]["t1"]["brain_mask"] == "file brain.nii.gz"


def test_head_without_mask_names_the_extra(phantom: Make, spec: PrepareSpec) -> None:
    _, case = phantom()
    with pytest.raises(DataError, match=r"t1\.nii\.gz: found a head with its skull .* extra `prepare`"):
        run_steps(case, ("t1",), ReadPolicy(), spec)


def test_noise_in_the_background_is_no_skull_stripped_image(
    phantom: Make, write: Write, spec: PrepareSpec, stripped: ReadPolicy
) -> None:
    made, case = phantom()
    noise = np.random.default_rng(0).normal(5, 1, made.shape)
    write(case.images["t1"], np.where(made.brain, made.image, noise).astype(np.float32), made.affine)
    with pytest.raises(DataError, match="8 different values in the eight corners"):
        run_steps(case, ("t1",), stripped, spec)


def test_three_states_follow_the_label_map(phantom: Make, write: Write, stripped: ReadPolicy) -> None:
    made, case = phantom()
    values = np.zeros(made.shape, np.uint8)
    for value, (low, high) in {1: (-30, -10), 2: (-10, 5), 4: (5, 30)}.items():
        values[made.brain & (made.xyz[..., 0] > low) & (made.xyz[..., 0] <= high)] = value
    write(case.mask, values, made.affine)
    policy = dataclasses.replace(stripped, labels={1: "normal", 2: "ignore", 4: "anomaly"})
    steps = run_steps(case, ("t1",), policy, PrepareSpec(spacing_mm=2.0, field_of_view_mm=(96, 96, 96)))
    assert steps.labels is not None
    assert steps.labels.dtype == np.uint8
    counts = np.bincount(steps.labels.ravel(), minlength=3)
    assert counts[1] == (values == 4).sum() == steps.meta["lesion"]["voxels"]
    assert counts[2] == (values == 2).sum() == steps.meta["lesion"]["ignored_voxels"]
    assert counts.sum() == steps.labels.size


def test_unknown_label_names_value_and_expected(phantom: Make, write: Write, spec: PrepareSpec) -> None:
    made, case = phantom()
    write(case.mask, np.where(made.lesion, 7, 0).astype(np.uint8), made.affine)
    policy = ReadPolicy(labels={1: "anomaly", 2: "ignore"}, skull_stripped=True)
    with pytest.raises(DataError, match=r"mask\.nii\.gz: found label value 7, expected one of 0, 1, 2"):
        run_steps(case, ("t1",), policy, spec)


def test_mask_on_another_grid_is_refused_or_resampled(
    phantom: Make, write: Write, coordinates: World, stripped: ReadPolicy
) -> None:
    made, case = phantom()
    other, _ = phantom(folder="other", codes="LPS", shape=(100, 80, 36), spacing=(1.0, 1.25, 3.0))
    write(case.mask, other.lesion.astype(np.uint8), other.affine)
    spec = PrepareSpec(spacing_mm=2.0, field_of_view_mm=(96, 96, 96))
    with pytest.raises(DataError, match=r"mask\.nii\.gz: found a mask of 100x80x36, .* expected the grid of .*t1\.nii"):
        run_steps(case, ("t1",), stripped, spec)
    steps = run_steps(case, ("t1",), dataclasses.replace(stripped, resample_mask=True), spec)
    assert steps.meta["lesion"]["resampled_from_other_grid"] is True
    xyz = coordinates(steps.brain.shape, np.array(steps.meta["affine"]))
    assert steps.labels is not None
    np.testing.assert_allclose(xyz[steps.labels == 1].mean(axis=0), made.lesion_centre, atol=0.6)


def test_brain_mask_on_another_grid_is_refused_or_resampled(phantom: Make, write: Write, spec: PrepareSpec) -> None:
    made, case = phantom(brain_mask=True)
    other, _ = phantom(folder="other", codes="LPS", shape=(100, 80, 36), spacing=(1.0, 1.25, 3.0))
    write(case.brain_mask, other.brain.astype(np.uint8), other.affine)
    with pytest.raises(DataError, match=r"brain\.nii\.gz: found a mask of 100x80x36"):
        run_steps(case, ("t1",), ReadPolicy(), spec)
    steps = run_steps(case, ("t1",), ReadPolicy(resample_mask=True), spec)
    assert steps.meta["channels"]["t1"]["brain_mask"] == "file brain.nii.gz, resampled"
    assert steps.meta["channels"]["t1"]["brain_voxels"] == pytest.approx(made.brain.sum(), rel=0.02)


def test_empty_brain_mask_and_flat_brain_are_faults(phantom: Make, write: Write, spec: PrepareSpec) -> None:
    made, case = phantom(brain_mask=True)
    write(case.brain_mask, np.zeros(made.shape, np.uint8), made.affine)
    with pytest.raises(DataError, match="found no brain voxel"):
        run_steps(case, ("t1",), ReadPolicy(), spec)
    made, case = phantom(folder="flat")
    write(case.images["t1"], np.where(made.brain, 9.0, 0.0).astype(np.float32), made.affine)
    with pytest.raises(DataError, match="same intensity 9 in nearly the whole brain"):
        run_steps(case, ("t1",), ReadPolicy(skull_stripped=True), spec)


def test_lesion_outside_the_brain_and_brain_outside_the_grid_are_counted(phantom: Make, stripped: ReadPolicy) -> None:
    made, case = phantom(lesion_centre=(36.0, -5.0, 4.0))
    steps = run_steps(case, ("t1",), stripped, PrepareSpec(spacing_mm=2.0, field_of_view_mm=(96, 96, 48)))
    lesion = steps.meta["lesion"]
    assert lesion["voxels_original"] == made.lesion.sum() == lesion["voxels"]
    assert lesion["outside_brain_original"] == (made.lesion & ~made.brain).sum() == lesion["outside_brain"]
    assert lesion["outside_brain"] > 50
    assert lesion["ml_original"] == pytest.approx(made.lesion.sum() * 0.008)
    cut = steps.meta["channels"]["t1"]["brain_voxels_cut"]
    assert cut == made.brain.sum() - steps.brain.sum() > 0
    assert steps.meta["brain_voxels_by_slice"] == steps.brain.sum(axis=(0, 1)).tolist()


def test_lesion_cut_off_by_the_grid_is_counted(phantom: Make, stripped: ReadPolicy) -> None:
    made, case = phantom(lesion_centre=(3.0, -5.0, 32.0))
    steps = run_steps(case, ("t1",), stripped, PrepareSpec(spacing_mm=2.0, field_of_view_mm=(96, 96, 48)))
    assert steps.meta["lesion"]["cut"] == made.lesion.sum() - steps.meta["lesion"]["voxels"] > 0


def test_channels_on_their_own_grids_meet_in_the_world(phantom: Make, coordinates: World, stripped: ReadPolicy) -> None:
    made, case = phantom()
    other, second = phantom(folder="other", codes="PSR", shape=(48, 32, 96), spacing=(2.0, 3.0, 1.0), radius=33.0)
    both = dataclasses.replace(case, images={**case.images, "flair": second.images["t1"]}, mask_modality="t1")
    spec = PrepareSpec(spacing_mm=2.0, field_of_view_mm=(96, 96, 96))
    policy = dataclasses.replace(stripped, resample_mask=True)
    steps = run_steps(both, ("flair", "t1"), policy, spec)
    assert steps.image.shape[0] == 2
    xyz = coordinates(steps.brain.shape, np.array(steps.meta["affine"]))
    deep = np.linalg.norm(xyz - made.centre, axis=-1) < 27
    field = 100.0 + xyz @ np.array([0.5, -0.3, 0.8])
    for channel, name in enumerate(("flair", "t1")):
        low, high = steps.meta["channels"][name]["scaled_from"]
        np.testing.assert_allclose(steps.image[channel][deep] * (high - low) + low, field[deep], atol=0.8)
    # Only where every channel has brain: the smaller ball.
    assert steps.brain.sum() * 8 == pytest.approx(4 / 3 * np.pi * other.radius**3, rel=0.04)
    # The grid is the one of the modality on which the mask was drawn: its voxels are copied.
    assert steps.meta["lesion"]["voxels"] == made.lesion.sum()


@pytest.mark.parametrize(("healthy", "expected"), [(True, "healthy"), (False, "none")])
def test_without_mask_only_the_healthy_are_normal(
    healthy: bool, expected: str, phantom: Make, spec: PrepareSpec, stripped: ReadPolicy
) -> None:
    _, case = phantom()
    steps = run_steps(dataclasses.replace(case, mask=None, healthy=healthy), ("t1",), stripped, spec)
    assert steps.labels is None
    assert steps.meta["labels"] == expected


def test_missing_modality_names_case_and_what_is_there(phantom: Make, spec: PrepareSpec, stripped: ReadPolicy) -> None:
    case: Case = phantom()[1]
    with pytest.raises(DataError, match=r"case case of phantom: modality flair is missing \(found t1\)"):
        run_steps(case, ("flair",), stripped, spec)
